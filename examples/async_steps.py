# An `async def` step: the records of a batch are waited for together, and come out in their order. Here 20 look-ups of
# 0.1 s each take 0.1 s, not 2 s.
#
#     redis-cli -p PORT XADD visits '*' ip 192.0.2.7
#     redis-cli -p PORT LRANGE places 0 -1
from __future__ import annotations

import asyncio


async def with_place(visit):
    await asyncio.sleep(0.1)  # a request to some service
    return {**visit, "place": f"network {visit['ip'].rpartition('.')[0]}"}


GB("StreamReader").map(with_place).foreach(lambda visit: execute("RPUSH", "places", visit["place"])).register(
    "visits", batch=20, duration=200
)
