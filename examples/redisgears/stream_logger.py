# Each entry of the stream measurements becomes a hash, under the entry's id; the stream is trimmed behind it.
#
#     redis-cli -x RG.PYEXECUTE < examples/redisgears/stream_logger.py
#     redis-cli XADD measurements '*' room kitchen celsius 21
#     redis-cli KEYS 'measurement:*'
from __future__ import annotations


def keep(entry):
    fields = [word for field in entry["value"].items() for word in field]
    execute("HSET", f"measurement:{entry['id']}", *fields)


GB("StreamReader").foreach(keep).register("measurements")
