# HSET on person:* also writes when that was: the command is taken over, changed, and goes on to the server's own.
#
#     redis-cli -x RG.PYEXECUTE < examples/redisgears/last_modified.py
#     redis-cli HSET person:ann city Rome
#     redis-cli HGETALL person:ann
from __future__ import annotations

import time


def hset(command):
    return call_next(*command[1:], "modified", str(int(time.time())))


GB("CommandReader").map(hset).register(hook="hset", keyprefix="person:", mode="sync")
