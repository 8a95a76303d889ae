"""A server that dies under its workers: with its data kept, and with all of it gone."""

from __future__ import annotations

import time

from geartrain import Client
from geartrain.wire import Endpoint, Link
from support.proxy import Proxy
from support.waiting import wait_for
from support.workers import RECORDING, add, check_effects, committed, count_effects, effects_on

STREAMS = [f"load:{number}" for number in range(4)]

SCRIPT = (
    RECORDING
    + """
def work(r):
    time.sleep(0.001)
    record(r)

GB('StreamReader').foreach(work).register('load:*', batch=5, duration=50, name='recorder')
"""
)


def test_nothing_acknowledged_is_lost_when_the_server_is_killed_and_restarted(fresh_server, start_worker) -> None:
    """With AOF always, each entry has its effect, in order; workers go on by themselves."""
    server = fresh_server(aof="always")
    Client(server.url).execute(SCRIPT, session="chaos")
    workers = [start_worker(server.url) for _ in range(2)]
    ids: dict[str, list[str]] = {stream: [] for stream in STREAMS}
    with Link(Endpoint(server.url)) as db:
        for _ in range(4):
            before = count_effects(db, STREAMS)
            for stream in STREAMS:
                ids[stream] += add(db, stream, 100)
            wait_for(lambda: count_effects(db, STREAMS) > before + 40, 30)  # noqa: B023
            server.kill()
            server.restart()
            db.close()
        wait_for(lambda: all(committed(db, stream) == ids[stream][-1] for stream in STREAMS), 30)
        for stream in STREAMS:
            check_effects(ids[stream], effects_on(db, stream), batch=5)
        assert all(worker.running for worker in workers)


def test_workers_rest_while_the_server_is_away_and_go_on_when_it_returns(fresh_server, start_worker) -> None:
    """They wait longer and longer, use next to no processor time, say little, and go on within seconds."""
    server = fresh_server(aof="always")
    Client(server.url).execute(SCRIPT, session="chaos")
    worker = start_worker(server.url)
    with Link(Endpoint(server.url)) as db:
        ids = add(db, "load:1", 50)
        wait_for(lambda: committed(db, "load:1") == ids[-1], 30)
    server.kill()
    worker.wait_for_line("the server is away, next try in 1.6 s")
    began, used, lines = time.monotonic(), worker.cpu, worker.stderr.count("\n")
    worker.wait_for_line("the server is away, next try in 5.0 s")
    seconds = time.monotonic() - began
    assert worker.cpu - used < 0.1 * seconds
    assert worker.stderr.count("\n") - lines < 10 * seconds
    assert "Traceback" not in worker.stderr

    server.restart()
    with Link(Endpoint(server.url)) as db:
        ids += add(db, "load:1", 50)
        wait_for(lambda: committed(db, "load:1") == ids[-1], 30)
        assert check_effects(ids, effects_on(db, "load:1")) == 0


def test_a_worker_that_starts_before_its_server_waits_for_it(fresh_server, start_worker) -> None:
    """A server that is not there yet is no reason to end."""
    server = fresh_server(aof="always")
    Client(server.url).execute(SCRIPT, session="chaos")
    server.kill()
    worker = start_worker(server.url)
    worker.wait_for_line("the server is away")
    server.restart()
    with Link(Endpoint(server.url)) as db:
        ids = add(db, "load:1", 50)
        wait_for(lambda: committed(db, "load:1") == ids[-1], 30)
    assert worker.terminate() == 0


def test_workers_are_idle_at_a_server_that_comes_back_empty_and_take_what_is_submitted_then(
    fresh_server, start_worker
) -> None:
    """The registrations are gone with the data: no hot loop; after a new submission all works."""
    server = fresh_server()
    Client(server.url).execute(SCRIPT, session="chaos")
    worker = start_worker(server.url)
    with Link(Endpoint(server.url)) as db:
        ids = add(db, "load:1", 50)
        wait_for(lambda: committed(db, "load:1") == ids[-1], 30)
        server.kill()
        server.restart()
        db.close()
        wait_for(lambda: worker.works_for(db), 30)
        began, used, lines = time.monotonic(), worker.cpu, worker.stderr.count("\n")
        # Half a second without work: ten looks at an empty registry.
        wait_for(lambda: time.monotonic() - began > 1.5)
        assert worker.cpu - used < 0.3
        assert worker.stderr.count("\n") - lines < 10

        ids = add(db, "load:1", 50)
        Client(server.url).execute(SCRIPT, session="chaos")
        wait_for(lambda: committed(db, "load:1") == ids[-1], 30)
        assert check_effects(ids, effects_on(db, "load:1")) == 0


def test_other_code_submitted_to_an_empty_server_is_what_runs_even_if_no_worker_saw_it_empty(
    fresh_server, start_worker
) -> None:
    """The first version of a session is not taken for the first version of the one before the data were lost."""
    server = fresh_server()
    Client(server.url).execute(SCRIPT, session="chaos")
    with Proxy(server.port) as network, Link(Endpoint(server.url)) as db:
        start_worker(network.url)
        add(db, "load:1", 1)
        wait_for(lambda: committed(db, "load:1") not in {None, "0-0"}, 30)
        network.cut()
        server.kill()
        server.restart()
        db.close()
        Client(server.url).execute(SCRIPT.replace("record(r)", "record(r, 'new')"), session="chaos")
        ids = add(db, "load:1", 50)
        network.resume()
        wait_for(lambda: committed(db, "load:1") == ids[-1], 30)
        # What the worker ran before it found out that its lease had gone with the data was not committed.
        assert [effect.id for effect in effects_on(db, "load:1") if effect.tag == "new"] == ids


def test_streams_that_come_back_without_their_groups_get_them_again(fresh_server, start_worker) -> None:
    """Somebody empties the database and submits again while the connections stay: everything begins anew."""
    server = fresh_server()
    Client(server.url).execute(SCRIPT, session="chaos")
    worker = start_worker(server.url)
    with Link(Endpoint(server.url)) as db:
        for _ in range(3):
            ids = add(db, "load:1", 30)
            wait_for(lambda: committed(db, "load:1") == ids[-1], 30)  # noqa: B023
            check_effects(ids, effects_on(db, "load:1"))
            db.call("FLUSHALL")
            Client(server.url).execute(SCRIPT, session="chaos")
    assert worker.terminate() == 0
