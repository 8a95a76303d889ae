# The demo's customers: they write with redis-py's own cluster client, as any program would, and count what came of it.
from __future__ import annotations

import random
import time

import redis
from redis.cluster import ClusterNode, RedisCluster

RATE = 40  # orders per second
LINE_EVERY = 1.0  # seconds

BRANCHES = ("north", "south", "east", "west", "harbour", "station", "web", "phone")
CUSTOMERS = ("ann", "ben", "cleo", "dora", "emil")


class Traffic:
    """Sends orders, each until it was taken.

    Args:
        url: the cluster's nodes.
        posts: whether invoices are posted.
        show: called with a line on what was sent, every second.
    """

    def __init__(self, url, posts, show):
        hosts = [host.split(":") for host in url.removeprefix("redis://").split(",")]
        nodes = [ClusterNode(host, int(port)) for host, port in hosts]
        self.server = RedisCluster(startup_nodes=nodes, decode_responses=True)
        self.sent = 0
        self._posts = posts
        self._show = show
        self._began = self._shown = time.monotonic()
        self._chance = random.Random(7)

    def flow(self, seconds):
        """Send orders at the rate for that long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.send(f"orders:{self._chance.choice(BRANCHES)}")
            self._line()
            time.sleep(1 / RATE)

    def send(self, stream):
        """One order. Where its shard cannot take it, it is sent again: the same number may be there twice then."""
        fields = {"number": self.sent, "customer": self._chance.choice(CUSTOMERS), "price": 490}
        while True:
            try:
                self.server.xadd(stream, fields)
            # An AttributeError is redis-py's answer (8.1) to ASK with a node that has no slots yet: it knows none such.
            except (redis.RedisError, AttributeError):
                time.sleep(0.05)
            else:
                self.sent += 1
                return

    def drain(self, seconds):
        """Wait until every order has its effects, at most that long."""
        end = time.monotonic() + seconds
        while not self._done() and time.monotonic() < end:
            self._line()
            time.sleep(0.05)

    def _done(self):
        return self.invoices() >= self.sent and (not self._posts or self.posted() >= self.sent)

    def invoices(self):
        return sum(1 for _ in self.server.scan_iter("invoice:*", count=1000))

    def posted(self):
        return self.server.scard("posted")

    def entries(self):
        return sum(self.server.xlen(f"orders:{branch}") for branch in BRANCHES)

    def taken(self):
        """What the servers' functions have counted, on all shards."""
        counters = [self.server.hvals(key) for key in self.server.scan_iter("taken:*", count=1000)]
        return sum(int(number) for counter in counters for number in counter)

    def _line(self):
        if time.monotonic() - self._shown >= LINE_EVERY:
            self._shown = time.monotonic()
            self._show(f"{self._shown - self._began:5.1f} s  {self.sent} orders in")
