"""Which slot of a cluster a key is in: redis-py's function, at a third of its price, as each command needs it."""

from __future__ import annotations

from binascii import crc_hqx

from redis.crc import REDIS_CLUSTER_HASH_SLOTS

from geartrain.text import to_bytes

SLOTS: int = REDIS_CLUSTER_HASH_SLOTS


def slot_of(key: str | bytes | float) -> int:
    """The slot of a key, 0 to 16383: of what stands between its first braces, where something does."""
    name = to_bytes(key) if isinstance(key, str | bytes) else str(key).encode()
    begin = name.find(b"{")
    if begin >= 0:
        end = name.find(b"}", begin + 1)
        if end > begin + 1:
            name = name[begin + 1 : end]
    return crc_hqx(name, 0) % SLOTS
