"""Ids of the dialect redisgears-1.2, and the executions that are kept under them."""

from __future__ import annotations

import pytest

from geartrain import keys
from geartrain.registry.executions import EMPTY, Executions, Kept, Limits, PlanStep, State, Yield
from geartrain.registry.sequence import ALONE, new_id, new_ids, shard_id
from geartrain.wire import Endpoint, Link, access

RESULTS = Yield(b"*1\r\n$1\r\nx\r\n", b"*1\r\n$1\r\ne\r\n")


@pytest.fixture
def link(server):
    """A connection to an empty server of each flavour."""
    with Link(Endpoint(server.url)) as link:
        yield link


def done(registration=None, **more):
    """An execution that has ended."""
    return Kept(status=State.DONE, registration=registration, **more), RESULTS


def test_ids_count_from_one_behind_forty_zeros(link):
    """Whoever asks gets the next numbers; several at once follow each other."""
    assert new_id(link) == f"{ALONE}-1"
    assert new_ids(link, 3) == [f"{ALONE}-{number}" for number in (2, 3, 4)]
    assert new_id(link) == f"{ALONE}-5"


def test_in_a_cluster_ids_begin_with_the_node_that_serves_the_registry(cluster_url):
    """Forty characters of that node; executions are kept there, whatever node was asked."""
    with access(Endpoint(cluster_url)) as link:
        node = link.on(link.shard_of(keys.SEQUENCE)).call("CLUSTER", "MYID")
        assert shard_id(link) == node
        assert new_id(link) == f"{node}-1"
        executions = Executions(link, Limits(2, 1))
        ids = executions.record([done("a"), done("a"), done(), done()])
        assert executions.ids() == ids[2:]
        assert executions.results(ids[3]) == RESULTS


def test_an_execution_is_kept_from_its_beginning_to_its_end(link):
    """Running with nothing in it, then done with results, errors and plan."""
    executions = Executions(link)
    begun = Kept(session="s", owner="control:1", started=12.5, steps=(PlanStep("map", "f", "x"),))
    name = executions.begin(begun)
    assert executions.get(name).status is State.RUNNING
    assert executions.results(name) == Yield(EMPTY, EMPTY)
    ended = Kept(id=name, status=State.DONE, session="s", owner="control:1", started=12.5, duration_us=7, read_us=3,
                 results=1, errors=1, shards_received=3, shards_completed=2, steps=begun.steps)  # fmt: skip
    assert executions.end(ended, RESULTS)
    assert executions.get(name) == ended
    assert executions.results(name) == RESULTS


def test_an_execution_ends_once(link):
    """What was aborted stays aborted, whatever its process says later; what it had given until then is kept."""
    executions = Executions(link)
    name = executions.begin(Kept())
    assert executions.abort(name)
    assert not executions.abort(name)
    assert not executions.end(Kept(id=name, status=State.DONE), RESULTS)
    assert executions.get(name).status is State.ABORTED
    assert executions.results(name) == Yield()
    assert executions.end(Kept(id=name, status=State.ABORTED, duration_us=5), RESULTS)
    assert (executions.get(name).duration_us, executions.results(name)) == (5, RESULTS)


def test_the_oldest_are_pushed_out(link):
    """Of each registration by its own bound, of all by theirs; nothing else is left of them."""
    executions = Executions(link, Limits(5, 2))
    first = executions.record([done("a"), done("a"), done("a"), done("b"), done()])
    assert executions.ids() == first[1:]
    second = executions.record([done(), done()])
    assert executions.ids() == [*first[2:], *second]
    assert set(link.call("KEYS", "*execution:*")) == {keys.execution(item).decode() for item in executions.ids()}
    executions.record([done() for _ in range(5)])
    assert not link.call("KEYS", keys.EXECUTIONS_OF + b"*")


def test_running_ones_are_not_pushed_out(link):
    """Ended ones that are younger go before them; they count again when they have ended."""
    executions = Executions(link, Limits(2, 2))
    running = [executions.begin(Kept(registration="a")) for _ in range(3)]
    executions.record([done("a"), done()])
    assert executions.ids() == running
    executions.end(Kept(id=running[0], status=State.DONE), RESULTS)
    assert executions.ids() == running[1:]


def test_many_are_recorded_in_order(link):
    """More than one script's worth."""
    executions = Executions(link)
    ids = executions.record([done(session=str(number)) for number in range(250)])
    assert [item.session for item in executions.all()] == [str(number) for number in range(250)]
    assert executions.ids() == ids


def test_only_what_has_ended_is_dropped(link):
    """The reply tells the status; an unknown id has none."""
    executions = Executions(link)
    name = executions.begin(Kept(registration="a"))
    assert executions.drop(name) is State.RUNNING
    assert executions.ids() == [name]
    executions.abort(name)
    assert executions.drop(name) is State.ABORTED
    assert executions.drop(name) is None
    assert (executions.get(name), executions.results(name)) == (None, None)
    assert link.call("KEYS", "*") == [keys.SEQUENCE.decode()]


def test_results_of_any_bytes_are_kept(link):
    """What is no UTF-8 comes back as it was; so does what is."""
    executions = Executions(link)
    blob = b"*1\r\n$3\r\n\xff\x00\xfe\r\n"
    name = executions.record([(Kept(status=State.DONE), Yield(blob, EMPTY))])[0]
    assert executions.results(name) == Yield(blob, EMPTY)
