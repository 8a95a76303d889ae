"""A network that loses connections (cut) or packets (pause) while a worker reads, executes and commits."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from geartrain import Client
from geartrain.registry import Status, Store
from geartrain.server import EmbeddedServer
from geartrain.wire import Link
from support.proxy import Proxy
from support.waiting import wait_for
from support.workers import HASTY, RECORDING, add, check_effects, committed, count_effects, effects_on, owner_of

POLICIES = ["retry", "abort", "continue"]

QUICK = replace(HASTY, block=0.3)
"""An unanswered read is noticed after 1.3 s."""


@pytest.fixture
def network(valkey: EmbeddedServer) -> Iterator[Proxy]:
    """What the worker's packets go through; the test's own do not."""
    assert valkey.port is not None
    with Proxy(valkey.port) as proxy:
        yield proxy


def submit(server: EmbeddedServer, function: str, **arguments: object) -> None:
    """Register a function of `RECORDING` for the stream `load:1`."""
    written = "".join(f", {name}={value!r}" for name, value in arguments.items())
    script = f"{RECORDING}\n{function}\nGB('StreamReader').foreach(work).register('load:1', name='recorder'{written})\n"
    Client(server.url).execute(script, session="chaos")


def is_blocked(db: Link, command: str) -> bool:
    """Whether a client waits in `command`; the worker waits for parts of run() too, with BLPOP."""
    clients = db.call("CLIENT", "LIST").splitlines()
    return any(" flags=b " in client and f" cmd={command} " in client for client in clients)


def assert_no_failure(db: Link) -> None:
    """A lost connection is no failure of a batch: none is counted, none is shown, nothing is aborted."""
    statistics = Store(db).statistics(["recorder"])["recorder"]
    assert (statistics.failed, statistics.aborted, statistics.retried) == (0, 0, 0), statistics
    assert statistics.last_error is None
    assert Store(db).snapshot().status["recorder"] is Status.ACTIVE


@pytest.mark.parametrize("policy", POLICIES)
def test_a_connection_that_is_cut_while_a_command_is_under_way_is_no_failure(
    valkey: EmbeddedServer, db: Link, network: Proxy, start_worker, policy: str
) -> None:
    """The step waits for a reply that never comes: the batch runs again, whatever the policy."""
    submit(valkey, "def work(r):\n record(r, execute('brpop', 'gate', 0)[1])", onFailedPolicy=policy)
    start_worker(network.url, QUICK)
    ids = add(db, "load:1", 2)
    for _ in range(2):
        wait_for(lambda: is_blocked(db, "brpop") and is_blocked(db, "xread"), 30, "a step and a read wait")
        network.cut()
        wait_for(lambda: "blocked_clients:0" in db.call("INFO", "clients"), 30)
        network.resume()
    db.call("LPUSH", "gate", "first", "second")
    wait_for(lambda: committed(db, "load:1") == ids[-1], 30)
    assert [(effect.id, effect.tag) for effect in effects_on(db, "load:1")] == list(
        zip(ids, ["first", "second"], strict=True)
    )
    assert_no_failure(db)


@pytest.mark.parametrize("policy", POLICIES)
def test_connections_that_are_cut_under_load_lose_nothing_and_are_no_failures(
    valkey: EmbeddedServer, db: Link, network: Proxy, start_worker, policy: str, seed: random.Random
) -> None:
    """Cut and restored ten times at random, with commands of the batch sent ahead: order and offsets as always."""
    submit(valkey, "def work(r):\n time.sleep(0.0005)\n record(r)", batch=50, duration=20, onFailedPolicy=policy)
    start_worker(network.url, QUICK)
    ids: list[str] = []
    for _ in range(10):
        goal = count_effects(db, ["load:1"]) + seed.randrange(1, 200)
        ids += add(db, "load:1", 200)
        wait_for(lambda: count_effects(db, ["load:1"]) >= goal, 30)  # noqa: B023
        network.cut()
        network.resume()
    wait_for(lambda: committed(db, "load:1") == ids[-1], 30)
    print(check_effects(ids, effects_on(db, "load:1"), batch=50), "repetitions")
    assert_no_failure(db)


def test_packets_that_vanish_for_longer_than_a_lease_only_delay(
    valkey: EmbeddedServer, db: Link, network: Proxy, start_worker
) -> None:
    """The worker finds its lease gone, takes it again, and goes on from its last commit."""
    submit(valkey, "def work(r):\n time.sleep(0.001)\n record(r)", batch=10, duration=20)
    worker = start_worker(network.url, QUICK)
    ids: list[str] = []
    for _ in range(2):
        ids += add(db, "load:1", 100)
        wait_for(lambda: (committed(db, "load:1") or "") in ids[-100:], 30)  # noqa: B023
        network.pause()
        wait_for(lambda: owner_of(db, "load:1") is None, 30, "the lease expires")
        network.resume()
    wait_for(lambda: committed(db, "load:1") == ids[-1], 30)
    check_effects(ids, effects_on(db, "load:1"), batch=10)
    assert_no_failure(db)
    assert worker.terminate() == 0


def test_packets_that_vanish_while_the_worker_waits_for_entries_only_delay(
    valkey: EmbeddedServer, db: Link, network: Proxy, start_worker
) -> None:
    """Connections that are silent for too long are made again; the entries that came meanwhile are executed once."""
    submit(valkey, "work = record")
    worker = start_worker(network.url, QUICK)
    wait_for(lambda: owner_of(db, "load:1") and " cmd=xread " in db.call("CLIENT", "LIST"), 30)
    network.pause()
    ids = add(db, "load:1", 10)
    worker.wait_for_line("reading failed")
    worker.wait_for_line("the server is away")
    network.resume()
    wait_for(lambda: committed(db, "load:1") == ids[-1], 30)
    assert check_effects(ids, effects_on(db, "load:1")) == 0
    assert_no_failure(db)


def test_another_worker_goes_on_while_the_first_is_cut_off(
    valkey: EmbeddedServer, db: Link, network: Proxy, start_worker
) -> None:
    """The offset never goes back, and the one that was cut off commits nothing when it can be heard again."""
    submit(valkey, "def work(r):\n time.sleep(0.002)\n record(r)", batch=10, duration=20)
    far = start_worker(network.url, QUICK)
    wait_for(lambda: owner_of(db, "load:1") == far.pid, 30)
    ids = add(db, "load:1", 400)
    places = {entry: number for number, entry in enumerate(["0-0", *ids])}
    wait_for(lambda: places[committed(db, "load:1") or "0-0"] > 20, 30)
    network.pause()
    near = start_worker(valkey.url, QUICK)
    wait_for(lambda: owner_of(db, "load:1") == near.pid, 30)
    taken_over = places[committed(db, "load:1") or "0-0"]
    near_began = wait_for(lambda: [item for item in effects_on(db, "load:1") if item.pid == near.pid], 30)[0]
    assert places[near_began.id] == taken_over + 1
    network.resume()
    seen = [taken_over]

    def done() -> bool:
        seen.append(places[committed(db, "load:1") or "0-0"])
        return seen[-1] == len(ids)

    wait_for(done, 30)
    assert seen == sorted(seen)
    assert {effect.id for effect in effects_on(db, "load:1")} == set(ids)
    assert_no_failure(db)


def test_a_commit_whose_answer_is_lost_is_made_again_and_the_batch_is_not(
    valkey: EmbeddedServer, db: Link, network: Proxy, start_worker, tmp_path: Path
) -> None:
    """The server holds the commit back, the connection is cut: the offset moves in the end, the batch ran once."""
    effects = tmp_path / "effects"
    submit(valkey, f"def work(r):\n with open({str(effects)!r}, 'a') as file:\n  file.write(r['streamId'] + ' ')")
    start_worker(network.url, replace(HASTY, lease_ttl=20.0, block=0.3))
    ids = add(db, "load:1", 1)
    wait_for(lambda: committed(db, "load:1") == ids[-1], 30)
    for hold in ("cut", "pause"):
        db.pipeline([("MULTI",), ("XADD", "load:1", "*", "n", 1), ("EXEC",), ("CLIENT", "PAUSE", 20_000, "WRITE")])
        ids.append(db.call("XREVRANGE", "load:1", "+", "-", "COUNT", 1)[0][0])
        wait_for(lambda: effects.read_text().split() == ids, 30)
        wait_for(lambda: "cmd=evalsha" in db.call("CLIENT", "LIST"), 30, "the commit waits")
        getattr(network, hold)()
        db.call("CLIENT", "UNPAUSE")
        network.resume()
        wait_for(lambda: committed(db, "load:1") == ids[-1], 30)
    assert effects.read_text().split() == ids
    assert_no_failure(db)
