# A cache that fills itself: who asks for a missing cached:KEY waits, and gets the value of KEY on another server.
#
# The other server's address is an option of the user's own.
#
#     redis-cli RG.CONFIGSET origin redis://127.0.0.1:6381
#     redis-cli -x RG.PYEXECUTE < examples/redisgears/read_through.py
#     redis-cli -p 6381 SET price:tea 4
#     redis-cli GET cached:price:tea
from __future__ import annotations

import redis

origin = None


def connect():
    global origin  # noqa: PLW0603  the same in every process that runs the function
    origin = redis.Redis.from_url(gearsConfigGet("origin", "redis://127.0.0.1:6381"), decode_responses=True)


def fetch(x):
    value = origin.get(x["key"].removeprefix("cached:"))
    if value is not None:
        execute("SET", x["key"], value, "EX", 60)
        override_reply(value)


GB("KeysReader", desc="fills the cache").foreach(fetch).register(
    "cached:*", mode="async_local", eventTypes=["keymiss"], commands=["get"], readValue=False, onRegistered=connect
)
