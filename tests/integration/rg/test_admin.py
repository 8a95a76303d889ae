"""The RG.* commands that run no script, as clients of RESP2 and RESP3 see them."""

from __future__ import annotations

import pytest
import redis

from support.redisgears import emptied, pairs, registrations, served_server

STREAMS = "GB('StreamReader', desc='mine').register('a'); GB('StreamReader').register('b')"


@pytest.fixture(scope="module", params=["valkey-9.1", "redis-8.2"])
def shared(request):
    """One server for this module's tests, whose RG.* commands are served by a service alone."""
    with served_server(request.param, MaxExecutions=500) as (server, _):
        yield server


@pytest.fixture(params=[2, 3])
def r(request, shared):
    """A client, of both protocols; the server is empty, but for its numbers."""
    with emptied(shared, request.param) as r:
        yield r


def ids(r):
    """Those of all registrations."""
    return [item["id"] for item in registrations(r)]


def status(r):
    """Of each registration."""
    return r.hgetall("geartrain:{registry}:status")


def test_registrations_are_dumped_as_documented(r):
    """Alternating names and values, in the documented order."""
    r.execute_command(
        "RG.PYEXECUTE", "GB('KeysReader').register('p:*', eventTypes=['set'], mode='async_local')", "ID", "mine"
    )
    ((*flat,),) = r.execute_command("RG.DUMPREGISTRATIONS")
    assert flat[::2] == ["id", "reader", "desc", "RegistrationData", "PD"]
    assert flat[3:6] == ["KeysReader", "desc", None]
    assert flat[7] == [
        "mode", "async_local",
        "numTriggered", 0, "numSuccess", 0, "numFailures", 0, "numAborted", 0,
        "lastError", None,
        "args", ["regex", "p:*", "eventTypes", ["set"], "keyTypes", None],
    ]  # fmt: skip
    assert flat[9] == "{'sessionId': 'mine', 'depsList': []}"


def test_durations_are_told_where_that_is_set(r):
    """Those of streams with their lag."""
    r.execute_command("RG.PYEXECUTE", STREAMS)
    assert r.execute_command("RG.CONFIGSET", "RegistrationDurations", 1) == ["OK"]
    data = registrations(r)[0]["RegistrationData"]
    durations = {"lastRunDurationMS": 0, "totalRunDurationMS": 0, "avgRunDurationMS": "0"}
    assert data.items() >= (durations | {"lastEstimatedLagMS": 0, "avgEstimatedLagMS": "0"}).items()


def test_a_registration_is_removed_by_its_id(r):
    """One that is not there is an error, and so is none at all."""
    r.execute_command("RG.PYEXECUTE", STREAMS)
    first, second = ids(r)
    assert r.execute_command("RG.UNREGISTER", first) == "OK"
    assert ids(r) == [second]
    with pytest.raises(redis.ResponseError, match="there is no registration"):
        r.execute_command("RG.UNREGISTER", first)
    with pytest.raises(redis.ResponseError, match="wrong number of arguments"):
        r.execute_command("RG.UNREGISTER")


def test_registrations_are_paused_together_or_not_at_all(r):
    """Pausing one that is paused changes nothing."""
    r.execute_command("RG.PYEXECUTE", STREAMS)
    first, second = ids(r)
    with pytest.raises(redis.ResponseError, match="there is no registration 'x'"):
        r.execute_command("RG.PAUSEREGISTRATIONS", first, "x", second)
    assert set(status(r).values()) == {"active"}
    assert r.execute_command("RG.PAUSEREGISTRATIONS", first, second) == "OK"
    assert r.execute_command("RG.PAUSEREGISTRATIONS", first) == "OK"
    assert status(r) == {first: "paused", second: "paused"}
    with pytest.raises(redis.ResponseError, match="there is no registration 'x'"):
        r.execute_command("RG.UNPAUSEREGISTRATIONS", first, "x")
    assert r.execute_command("RG.UNPAUSEREGISTRATIONS", second) == "OK"
    assert status(r) == {first: "paused", second: "active"}


def test_statistics_are_cleared(r):
    """The last error stays."""
    r.execute_command("RG.PYEXECUTE", STREAMS)
    name = ids(r)[0]
    r.hset(f"geartrain:{{registry}}:stats:{name}", mapping={"triggered": 3, "failed": 1, "last_error": "no"})
    assert registrations(r)[0]["RegistrationData"]["numTriggered"] == 3
    assert r.execute_command("RG.CLEARREGISTRATIONSSTATS") == "OK"
    data = registrations(r)[0]["RegistrationData"]
    assert (data["numTriggered"], data["numFailures"], data["lastError"]) == (0, 0, "no")


def test_settings_are_read_by_their_names_in_any_case(r):
    """Those that the module was given, defaults, and an error for one that there is not."""
    found = r.execute_command("RG.CONFIGGET", "maxexecutions", "MaxExecutionsPerRegistration", "Plugin", "foo")
    assert found[:3] == [500, 100, ""]
    assert isinstance(found[3], redis.ResponseError)
    assert str(found[3]) == "Unsupported config parameter: foo"


def test_settings_are_changed_one_by_one(r):
    """What cannot be changed is an error in its place; other names are kept for their users."""
    pairs_ = ("MAXEXECUTIONS", 7, "ExecutionThreads", 9, "foo", "bar", "ProfileExecutions", "x")
    done = r.execute_command("RG.CONFIGSET", *pairs_)
    assert done[0] == "OK"
    assert "ExecutionThreads can only be set when the module is loaded" in str(done[1])
    assert done[2] == "OK - value was saved in extra config dictionary"
    assert "ProfileExecutions: 'x' is no number" in str(done[3])
    assert r.execute_command("RG.CONFIGGET", "MaxExecutions", "foo") == [7, "bar"]
    with pytest.raises(redis.ResponseError, match="'foo' has no value"):
        r.execute_command("RG.CONFIGSET", "MaxExecutions", 7, "foo")


def test_memory_is_told_in_bytes(r):
    """Three numbers, of which the first is the largest."""
    found = pairs(r.execute_command("RG.PYSTATS"))
    assert list(found) == ["TotalAllocated", "PeakAllocated", "CurrAllocated"]
    assert found["TotalAllocated"] >= found["PeakAllocated"] >= found["CurrAllocated"] > 10_000_000


def test_sessions_are_dumped_as_documented(r):
    """All of them, or those that are named; with VERBOSE the registrations too."""
    r.execute_command("RG.PYEXECUTE", STREAMS, "ID", "one", "DESCRIPTION", "streams")
    r.execute_command("RG.PYEXECUTE", "GB('KeysReader').register('c')", "ID", "two")
    first, second = r.execute_command("RG.PYDUMPSESSIONS")
    assert first == [
        "ID", "one",
        "sessionDescription", "streams",
        "refCount", 2,
        "Linked", "true",
        "TS", "false",
        "requirementInstallationNeeded", 0,
        "requirements", [],
        "registrations", ids(r)[:2],
    ]  # fmt: skip
    assert r.execute_command("RG.PYDUMPSESSIONS", "SESSIONS", "two", "three") == [second]
    (verbose,) = r.execute_command("RG.PYDUMPSESSIONS", "TS", "verbose", "SESSIONS", "one")
    registration = pairs(pairs(verbose)["registrations"][0])
    assert list(registration) == ["id", "reader", "desc", "RegistrationData", "ExecutionThreadPool"]
    assert pairs(registration["RegistrationData"])["avgRunDurationMS"] == "0"
    assert registration["desc"] == "mine"
    with pytest.raises(redis.ResponseError, match=r"OTHER is no argument of RG\.PYDUMPSESSIONS"):
        r.execute_command("RG.PYDUMPSESSIONS", "other")


def test_requirements_are_none_where_no_session_has_any(r):
    """An empty list."""
    assert r.execute_command("RG.PYDUMPREQS") == []


def test_executions_are_profiled_where_that_is_set(r):
    """By session, until they are reset."""
    script = "def slow(x):\n    return sum(range(1000))\nGB('ShardsIDReader').map(slow).run()"
    with pytest.raises(redis.ResponseError, match="session 'mine' has no profile"):
        r.execute_command("RG.PYPROFILE", "STATS", "mine")
    r.execute_command("RG.CONFIGSET", "ProfileExecutions", 1)
    for _ in range(2):
        r.execute_command("RG.PYEXECUTE", script, "ID", "mine")
    text = r.execute_command("RG.PYPROFILE", "STATS", "mine", "cumtime")
    assert "Ordered by: cumulative time" in text
    assert any(line.split()[0] == "2" and "(slow)" in line for line in text.splitlines() if "(slow)" in line)
    with pytest.raises(redis.ResponseError, match="'x' is no column"):
        r.execute_command("RG.PYPROFILE", "STATS", "mine", "x")
    assert r.execute_command("RG.PYPROFILE", "RESET", "mine") == "OK"
    with pytest.raises(redis.ResponseError, match="has no profile"):
        r.execute_command("RG.PYPROFILE", "STATS", "mine")


def test_a_server_that_is_no_cluster_says_so(r):
    """Refreshing what it knows of the cluster does nothing."""
    assert r.execute_command("RG.INFOCLUSTER") == "no cluster mode"
    assert r.execute_command("RG.REFRESHCLUSTER") == "OK"
