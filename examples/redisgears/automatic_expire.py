# A session that nobody touches for an hour goes away: each write to session:* gives it another hour, before the reply.
#
#     redis-cli -x RG.PYEXECUTE < examples/redisgears/automatic_expire.py
#     redis-cli HSET session:ann page 1
#     redis-cli TTL session:ann
from __future__ import annotations

GB("KeysReader", desc="an hour for each session").foreach(lambda x: execute("EXPIRE", x["key"], 3600)).register(
    "session:*", mode="sync", eventTypes=["set", "hset", "lpush", "rpush"], readValue=False
)
