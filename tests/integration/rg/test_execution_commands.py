"""RG.DUMPEXECUTIONS and its like, from a client's connection to its reply, for scripts and for registrations."""

from __future__ import annotations

import threading
import time

import pytest
import redis

from geartrain import Dialect, GearsBuilder
from geartrain.registry.executions import Executions, Kept, State
from geartrain.wire import Endpoint, Link
from support.redisgears import client, emptied, pairs, served_server
from support.waiting import wait_for
from support.working import Workplace, until_released

GEARS = Dialect.REDISGEARS_1_2


@pytest.fixture(scope="module", params=["valkey-9.1", "redis-8.2"])
def shared(request):
    """One server for this module's tests, whose RG.* commands are served by a service alone."""
    with served_server(request.param) as (server, _):
        yield server


@pytest.fixture(params=[2, 3])
def r(request, shared):
    """A client, of both protocols, of a server that is empty but for its numbers."""
    with emptied(shared, request.param) as r:
        yield r


@pytest.fixture
def place(shared, r):
    """Workers for the same server, which is empty."""
    assert not r.keys("*registrations*")
    with Workplace(shared.url) as place:
        yield place


@pytest.fixture
def executions(shared):
    """The executions in the registry."""
    with Link(Endpoint(shared.url)) as link:
        yield Executions(link)


def unblocking(r, script):
    """Begin a script; the id of its execution."""
    return r.execute_command("RG.PYEXECUTE", script, "UNBLOCKING")


def listed(r, *scope):
    """What RG.DUMPEXECUTIONS says: (status, registered) by id."""
    found = [pairs(item) for item in r.execute_command("RG.DUMPEXECUTIONS", *scope)]
    return {item["executionId"]: (item["status"], item["registered"]) for item in found}


def plan(r, name, *scope):
    """What RG.GETEXECUTION says of the one shard."""
    (shard,) = r.execute_command("RG.GETEXECUTION", name, *scope)
    assert pairs(shard)["shard_id"] == "0" * 40
    return pairs(pairs(shard)["execution_plan"])


HOLD = "GB('ShardsIDReader').map(lambda x: execute('blpop', 'release', 30)[1]).run()"


def test_a_script_is_listed_while_it_runs_and_when_it_is_done(r):
    """Its results come when they are there."""
    name = unblocking(r, HOLD)
    assert listed(r) == {name: ("running", 0)}
    with pytest.raises(redis.ResponseError, match="is still running"):
        r.execute_command("RG.GETRESULTS", name)
    assert plan(r, name)["status"] == "running"
    r.rpush("release", "now")
    assert r.execute_command("RG.GETRESULTSBLOCKING", name) == [["now"], []]
    assert listed(r, "CLUSTER") == listed(r, "shard") == {name: ("done", 0)}
    assert r.execute_command("RG.GETRESULTS", name) == [["now"], []]


def test_the_plan_has_the_documented_fields(r):
    """With counts of results and errors; the steps with their callbacks."""
    r.set("k", 1)
    name = unblocking(r, "GB().map(lambda x: x['key']).filter(lambda x: 1/0).run('k')")
    r.execute_command("RG.GETRESULTSBLOCKING", name)
    found = plan(r, name, "SHARD")
    assert list(found) == [
        "status", "shards_received", "shards_completed", "results", "errors",
        "total_duration", "read_duration", "steps",
    ]  # fmt: skip
    assert (found["status"], found["results"], found["errors"]) == ("done", 0, 1)
    steps = [pairs(item) for item in found["steps"]]
    assert [item["type"] for item in steps][:2] == ["map", "filter"]
    assert list(steps[0]) == ["type", "duration", "name", "arg"]


def test_those_who_wait_are_answered_at_the_end(r, shared):
    """Several of them, and nobody else waits meanwhile."""
    name = unblocking(r, HOLD)
    replies = []

    def wait():
        with client(shared) as other:
            replies.append(other.execute_command("RG.GETRESULTSBLOCKING", name))

    threads = [threading.Thread(target=wait) for _ in range(5)]
    for thread in threads:
        thread.start()
    assert listed(r)[name] == ("running", 0)
    r.rpush("release", "now")
    for thread in threads:
        thread.join(20)
    assert replies == [[["now"], []]] * 5


def test_a_script_is_aborted(r):
    """It is aborted at once, for everybody, and only once."""
    name = unblocking(r, "import time\nGB('ShardsIDReader').foreach(lambda x: time.sleep(60)).run()")
    assert r.execute_command("RG.ABORTEXECUTION", name) in (True, "OK")
    assert listed(r) == {name: ("aborted", 0)}
    wait_for(lambda: r.execute_command("RG.GETRESULTSBLOCKING", name) == [[], ["execution aborted"]])
    with pytest.raises(redis.ResponseError, match="has already ended"):
        r.execute_command("RG.ABORTEXECUTION", name)


def test_only_what_has_ended_is_dropped(r):
    """Then it does not exist any more."""
    name = unblocking(r, HOLD)
    with pytest.raises(redis.ResponseError, match="is still running"):
        r.execute_command("RG.DROPEXECUTION", name)
    r.rpush("release", "now")
    r.execute_command("RG.GETRESULTSBLOCKING", name)
    assert r.execute_command("RG.DROPEXECUTION", name) in (True, "OK")
    assert listed(r) == {}


@pytest.mark.parametrize(
    "command", ["GETEXECUTION", "GETRESULTS", "GETRESULTSBLOCKING", "DROPEXECUTION", "ABORTEXECUTION"]
)
def test_an_execution_that_is_not_there_is_an_error(r, command):
    """With its id."""
    with pytest.raises(redis.ResponseError, match="execution nonsense does not exist"):
        r.execute_command(f"RG.{command}", "nonsense")


def test_arguments_that_are_wrong_are_errors(r):
    """Which name them."""
    with pytest.raises(redis.ResponseError, match="NODE is neither SHARD nor CLUSTER"):
        r.execute_command("RG.DUMPEXECUTIONS", "node")
    with pytest.raises(redis.ResponseError, match="wrong number of arguments"):
        r.execute_command("RG.GETRESULTS")


def test_an_execution_whose_process_has_gone_is_aborted(r, executions):
    """Whoever looks finds out."""
    name = executions.begin(Kept(owner="control:gone", started=time.time()))
    assert listed(r) == {name: ("aborted", 0)}
    assert executions.get(name).status is State.ABORTED
    name = executions.begin(Kept(owner="control:gone"))
    assert r.execute_command("RG.GETRESULTSBLOCKING", name) == [[], []]
    name = executions.begin(Kept(owner="control:gone"))
    with pytest.raises(redis.ResponseError, match="has already ended"):
        r.execute_command("RG.ABORTEXECUTION", name)


def test_no_more_executions_are_kept_than_are_wanted(r):
    """MaxExecutions, as it is set now."""
    r.execute_command("RG.CONFIGSET", "MaxExecutions", 3)
    for _ in range(5):
        r.execute_command("RG.PYEXECUTE", "GB('ShardsIDReader').run()")
    numbers = [int(name.rpartition("-")[2]) for name in listed(r)]
    assert len(numbers) == 3
    assert numbers == sorted(numbers)


def wait_for_release(_record):
    """A step that goes on until a key is there."""
    until_released()
    return "gone"


def test_executions_of_registrations_are_listed(r, place):
    """As registered; their results are to be had."""
    place.register(GearsBuilder("StreamReader").map(lambda r: r["value"]["a"]), "s", dialect=GEARS)
    place.start()
    place.add("s", "a", "x")
    (name,) = wait_for(lambda: listed(r))
    assert listed(r) == {name: ("done", 1)}
    assert r.execute_command("RG.GETRESULTS", name) == [["x"], []]
    assert plan(r, name)["results"] == 1


def test_an_execution_of_a_registration_is_aborted(r, place):
    """In its worker; its statistics tell."""
    registration = place.register(GearsBuilder("StreamReader").map(wait_for_release), "s", dialect=GEARS)
    place.start()
    place.add("s")
    (name,) = wait_for(lambda: listed(r))
    assert listed(r) == {name: ("running", 1)}
    assert r.execute_command("RG.ABORTEXECUTION", name) in (True, "OK")
    assert listed(r) == {name: ("aborted", 1)}
    place.wait_info(registration, lambda info: info.aborted == 1)
    wait_for(lambda: r.execute_command("RG.GETRESULTS", name) == [[], ["execution aborted"]])
