"""RG.*: which lane each goes to, who may call it, what is refused at once, and what happens where nobody answers."""

from __future__ import annotations

import hiredis
import pytest

from geartrain.errors import CommandError, ServerUnavailable
from support.calls import Raw, answer, serve, wait_blocked
from support.hooks import information
from support.waiting import wait_for

ADMIN = [
    ("RG.DUMPREGISTRATIONS",),
    ("RG.UNREGISTER", "id"),
    ("RG.PAUSEREGISTRATIONS", "a", "b"),
    ("RG.UNPAUSEREGISTRATIONS", "a"),
    ("RG.CLEARREGISTRATIONSSTATS",),
    ("RG.DUMPEXECUTIONS",),
    ("RG.DUMPEXECUTIONS", "SHARD"),
    ("RG.GETEXECUTION", "id", "CLUSTER"),
    ("RG.GETRESULTS", "id"),
    ("RG.GETRESULTSBLOCKING", "id"),
    ("RG.DROPEXECUTION", "id"),
    ("RG.ABORTEXECUTION", "id"),
    ("RG.CONFIGGET", "a", "b"),
    ("RG.CONFIGSET", "a", "b"),
    ("RG.PYSTATS",),
    ("RG.PYDUMPSESSIONS", "VERBOSE", "SESSIONS", "s"),
    ("RG.PYDUMPREQS",),
    ("RG.PYPROFILE", "STATS", "s"),
    ("RG.INFOCLUSTER",),
    ("RG.REFRESHCLUSTER",),
]
SCRIPT = [("RG.PYEXECUTE", "GB().run()"), ("rg.pyexecute", "GB().run()", "UNBLOCKING")]


@pytest.fixture
def worker(raw, db):
    """A connection that serves both lanes."""
    connection = raw()
    connection.send("GEARTRAIN.SERVE", 60_000, "script", "admin")
    wait_blocked(db, connection)
    db.call("CLIENT", "UNBLOCK", connection.id)
    connection.receive()
    return connection


@pytest.mark.parametrize(("words", "lane"), [(w, b"admin") for w in ADMIN] + [(w, b"script") for w in SCRIPT], ids=str)
def test_each_command_goes_to_its_lane_as_it_was_sent(raw, worker, words, lane):
    """With its name, in the letters of the client."""
    caller = raw()
    caller.send(*words)
    call = serve(worker, "script", "admin")
    assert (call.lane, call.registration) == (lane, b"")
    assert call.argv == [word.encode() for word in words]
    answer(worker, call, b"+OK\r\n")
    assert caller.receive() == b"OK"


@pytest.mark.parametrize(
    "words",
    [
        ("RG.PYEXECUTE",),
        ("RG.DUMPREGISTRATIONS", "x"),
        ("RG.UNREGISTER",),
        ("RG.UNREGISTER", "a", "b"),
        ("RG.PAUSEREGISTRATIONS",),
        ("RG.CONFIGSET", "a"),
        ("RG.GETEXECUTION", "a", "b", "c"),
        ("RG.PYPROFILE", "STATS"),
        ("RG.TRIGGER",),
        ("RG.TRIGGERONKEY", "t"),
    ],
    ids=str,
)
def test_a_wrong_number_of_arguments_is_refused_at_once(db, words):
    """Whether somebody serves or not."""
    with pytest.raises(CommandError, match="wrong number of arguments"):
        db.call(*words)


def test_commands_but_triggers_are_for_administrators(db, raw):
    """@admin and @dangerous."""
    db.call("ACL", "SETUSER", "u", "on", "nopass", "~*", "+@all", "-@admin")
    caller = raw()
    caller.call("AUTH", "u", "x")
    for words in ADMIN + SCRIPT:
        assert "NOPERM" in str(caller.call(*words))
    assert "NOPERM" not in str(caller.call("RG.TRIGGER", "t"))
    dangerous = db.call("ACL", "CAT", "dangerous")
    assert {words[0].lower() for words in ADMIN + SCRIPT} <= set(dangerous)
    assert "rg.trigger" not in dangerous


@pytest.mark.parametrize("words", [*ADMIN[:1], *SCRIPT[:1]], ids=str)
def test_within_multi_and_scripts_they_fail_at_once(raw, worker, words):
    """Nobody waits there."""
    caller = raw()
    caller.call("MULTI")
    caller.call(*words)
    assert "within MULTI or a script" in str(caller.call("EXEC")[0])
    arguments = ", ".join(f"'{word}'" for word in words)
    assert isinstance(caller.call("EVAL", f"return redis.call({arguments})", 0), hiredis.HiredisError)


def test_a_replica_refuses_them(fresh_server, module_flavour, replicate):
    """Its primary's workers answer."""
    primary = fresh_server(module_flavour, module={"workers": 0})
    _, replica = replicate(primary, module_flavour)
    for words in (ADMIN[0], SCRIPT[0], ("RG.TRIGGER", "t")):
        with pytest.raises(ServerUnavailable, match="READONLY"):
            replica.call(*words)


def test_a_server_that_becomes_a_replica_ends_what_waits(fresh_server, module_flavour, connect):
    """Callers and workers; it serves again as a primary."""
    server = fresh_server(module_flavour, module={"workers": 0})
    link = connect(server)
    worker, caller, waiting = (Raw(server.port) for _ in range(3))
    assert serve(worker, "admin", timeout=1) is None
    for connection in (caller, waiting):
        connection.send("RG.PYSTATS")
        wait_blocked(link, connection)
    assert serve(worker, "admin").argv == [b"RG.PYSTATS"]
    worker.send("GEARTRAIN.SERVE", 0, "other")
    wait_blocked(link, worker)
    link.call("REPLICAOF", "127.0.0.1", 1)
    for connection in (caller, waiting, worker):
        assert "UNBLOCKED" in str(connection.receive())
    link.call("REPLICAOF", "NO", "ONE")
    again, other = Raw(server.port), Raw(server.port)
    other.send("RG.PYSTATS")
    assert answer(again, serve(again, "admin"), b"+OK\r\n") == 1
    assert other.receive() == b"OK"
    for connection in (worker, caller, waiting, again, other):
        connection.close()


def test_where_nobody_comes_the_caller_learns_what_to_do(fresh_server, module_flavour):
    """After ten seconds."""
    server = fresh_server(module_flavour, module={"workers": 0})
    caller = Raw(server.port)
    reply = str(caller.call("RG.PYSTATS"))
    assert "nobody answers this command here: start a worker" in reply
    assert "workers 1" in reply
    caller.close()


def test_the_first_command_that_nobody_answers_starts_a_worker(fresh_server, module_flavour, connect):
    """Unless `workers 0` was said; one, however many commands come."""
    server = fresh_server(module_flavour, module={})
    link = connect(server)
    callers = [Raw(server.port) for _ in range(3)]
    for caller in callers:
        caller.send("RG.PYSTATS")
        wait_blocked(link, caller)
    wait_for(lambda: information(link, "geartrain")["geartrain_workers_running"] == "1", 20)
    assert information(link, "geartrain")["geartrain_workers_wanted"] == "1"
    assert server.log_path.read_text(errors="replace").count("geartrain: worker 1 started") == 1
    for caller in callers:
        caller.close()
