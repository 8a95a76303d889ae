# Pi from the share of random points in a square that lie in the circle inside it; on a cluster all shards throw.
#
#     redis-cli -x RG.PYEXECUTE < examples/redisgears/monte_carlo_pi.py
from __future__ import annotations

import random

THROWS = 100_000


def throws():
    yield from range(THROWS)


def inside(_):
    return int(random.random() ** 2 + random.random() ** 2 < 1)


def counted(total, hit):
    return (total[0] + hit, total[1] + 1)


def combined(one, other):
    return (one[0] + other[0], one[1] + other[1])


GB("PythonReader").map(inside).aggregate((0, 0), counted, combined).map(lambda t: 4 * t[0] / t[1]).run(throws)
