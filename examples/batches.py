# One execution for up to 100 readings of a sensor, or for those that came within half a second.
#
#     redis-cli -p PORT XADD sensor:hall '*' celsius 21.5
#     redis-cli -p PORT HGETALL hottest
from __future__ import annotations


def hotter(highest, reading):
    return max(highest, float(reading["celsius"]))


def remember(celsius):
    # All records of an execution come from one stream: streamKey() is its name.
    execute("HSET", "hottest", streamKey(), celsius)
    execute("HINCRBY", "executions", streamKey(), 1)


GB("StreamReader").aggregate(-273.15, hotter, max).foreach(remember).register("sensor:*", batch=100, duration=500)
