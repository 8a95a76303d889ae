# `make demo-cluster`: starts a real cluster of three shards with a replica each and two workers, and sends orders while
# a primary is killed, a shard is added, and slots move to it. Then it checks that every order had its effects.
#
# GEARTRAIN_DEMO_SECONDS=1 makes the calm spans between shorter. Exit code 0: every number is right; 1: one is not.
from __future__ import annotations

import os
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from redis.crc import key_slot
from traffic import BRANCHES, Traffic

from geartrain.client import Client
from geartrain.errors import ServerUnavailable
from geartrain.server import EmbeddedCluster

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "shop"))

from commands import Background, geartrain  # noqa: E402 - of the other demo

CALM = float(os.environ.get("GEARTRAIN_DEMO_SECONDS", "4"))  # seconds between two events
SLOTS = 300  # that the new shard gets key by key; ten times as many follow at once
PATIENCE = 30  # seconds until everything must have its effects


def main():
    print("A cluster is started: three shards, a replica each.")
    with EmbeddedCluster.start(shards=3, replicas=1) as cluster, Client(cluster.url) as client:
        tell_shards(cluster)
        print(f"$ export GEARTRAIN_URL={cluster.url}")
        os.environ["GEARTRAIN_URL"] = cluster.url
        geartrain("register", HERE / "orders.py")
        if cluster.has_module:
            geartrain("register", HERE / "counts.py")
        else:
            say("without the server module: no functions in the server, and key events are best effort; left out")
        with Background("worker", "--processes", "2", line=tell_worker) as workers:
            workers.wait_ready()
            traffic = Traffic(cluster.url, cluster.has_module, lambda line: show(line, client))
            play(cluster, traffic)
            right = report(cluster, traffic)
            code = workers.stop()
    print(f"the workers ended with exit code {code}")
    return 0 if right and code == 0 else 1


def play(cluster, traffic):
    """What happens, in this order, while orders go on."""
    traffic.flow(CALM)
    traffic.drain(PATIENCE)  # so that the kill finds nothing that its replica has not got
    killed = kill_a_primary(cluster, traffic)
    traffic.flow(CALM)
    say(f"node {killed.port} is started again: it is a replica now")
    cluster.restart(killed)
    cluster.wait_ok()
    traffic.flow(CALM)
    add_a_shard(cluster, traffic)
    traffic.flow(CALM)
    traffic.drain(PATIENCE)


def kill_a_primary(cluster, traffic):
    stream = f"orders:{BRANCHES[0]}"
    killed = cluster.primary_of(stream)
    say(f"primary {killed.port} is killed (SIGKILL): {streams_of(cluster, killed)} cannot be written for a while")
    cluster.kill(killed)
    began = time.monotonic()
    traffic.send(stream)
    say(f"the first order in {stream} since then was taken after {time.monotonic() - began:.1f} s")
    cluster.wait_ok()
    say(f"the shard's primary is {cluster.primary_of(stream).port} now, which was its replica")
    return killed


def add_a_shard(cluster, traffic):
    say("a fourth shard is added, with a replica; it has no slots yet")
    shard = cluster.add_shard(replicas=1)
    if cluster.has_module:
        wait_for_hooks(shard, traffic)
    chance = random.Random(7)
    streams = {key_slot(f"orders:{branch}".encode()) for branch in BRANCHES[:3]}
    slots = sorted({*streams, *chance.sample(range(16384), SLOTS)})
    say(f"{len(slots)} slots move to it, key by key, while orders go on; three of the streams are in them")
    say(f"moved after {during(traffic, lambda: cluster.move_slots(slots, shard)):.1f} s")
    traffic.flow(CALM)
    slots = chance.sample(range(16384), 10 * SLOTS)
    say(f"{len(slots)} slots move to it by the server's own migration, each shard's at once")
    say(f"moved after {during(traffic, lambda: cluster.migrate_slots_atomically(slots, shard)):.1f} s")
    cluster.wait_ok()
    tell_shards(cluster)


def wait_for_hooks(shard, traffic):
    """Wait until the workers have seen the new shard: then what is written there is captured from its first slot on."""
    while len(hooks_of(shard)) < 2:
        traffic.flow(0.1)
    say("the workers have set their hooks there")


def hooks_of(node):
    reply = node.call("GEARTRAIN.HOOK", "LIST")
    return reply[reply.index("hooks") + 1]


def during(traffic, change):
    """Send orders while something changes; the seconds that it took."""
    with ThreadPoolExecutor(1) as pool:
        began = time.monotonic()
        changing = pool.submit(change)
        while not changing.done():
            traffic.flow(0.1)
        changing.result()
        return time.monotonic() - began


def streams_of(cluster, node):
    slots = set(cluster.slots_of(node))
    return " ".join(f"orders:{branch}" for branch in BRANCHES if key_slot(f"orders:{branch}".encode()) in slots)


def tell_shards(cluster):
    for node in cluster.primaries():
        replicas = ", ".join(str(replica.port) for replica in cluster.replicas_of(node)) or "none"
        print(
            f"  shard {node.port}  replica {replicas}  {len(cluster.slots_of(node)):5} slots "
            f" {streams_of(cluster, node)}",
            flush=True,
        )


def say(text):
    print(f"  ** {text}", flush=True)


def tell_worker(text):
    print(f"    worker | {text}", flush=True)


def show(line, client):
    """A line on how the orders fare, every second."""
    try:
        done = ", ".join(f"{info.id} {info.records} (lag {info.lag})" for info in client.registrations())
    except ServerUnavailable:  # the connection to a node that has ended, which the next call makes anew
        done = "a node is away"
    print(f"  {line} | {done}", flush=True)


def report(cluster, traffic):
    """Print what must be and what is; whether they are equal."""
    found = [
        ("orders with an invoice", traffic.sent, traffic.invoices()),
        *([("invoices posted, from their key events", traffic.sent, traffic.posted())] if cluster.has_module else []),
        *([("entries counted in the server", traffic.entries(), traffic.taken())] if cluster.has_module else []),
    ]
    print("\nExpected, and found:")
    for what, expected, number in found:
        print(f"  {'ok   ' if expected == number else 'WRONG'}  {what:<45}{expected:>8}{number:>8}")
    return all(expected == number for _, expected, number in found)


if __name__ == "__main__":
    sys.exit(main())
