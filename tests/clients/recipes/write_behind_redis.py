# Hashes under person:* are written to hashes under copy:* of another server. PORT stands for its port.
from __future__ import annotations

from rgsync import RGWriteBehind
from rgsync.Connectors import RedisConnection, RedisConnector

RGWriteBehind(
    GB,
    keysPrefix="person",
    mappings={"first_name": "first", "age": "age"},
    connector=RedisConnector(RedisConnection("127.0.0.1", PORT), "copy", "exactly-once"),
    name="PersonsCopy",
    version="VERSION",
)
