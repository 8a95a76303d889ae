"""Triggers of workers: RG.TRIGGER and RG.TRIGGERONKEY find the hook and make a call of it; a raw connection answers."""

from __future__ import annotations

import hiredis
import pytest

from geartrain.errors import CommandError
from support.calls import answer, figures, serve, wait_blocked, wait_waiting
from support.hooks import captured, hooks, information, outbox, set_hook
from support.waiting import wait_for


def trigger(db, name="t", hook="h", **fields):
    """Set the hook of a trigger."""
    set_hook(db, hook, reader="command", trigger=name, **fields)


@pytest.fixture
def worker(raw, db):
    """A connection that serves triggers."""
    connection = raw()
    connection.send("GEARTRAIN.SERVE", 60_000, "trigger")
    wait_blocked(db, connection)
    db.call("CLIENT", "UNBLOCK", connection.id)
    connection.receive()
    return connection


@pytest.mark.parametrize("words", [("RG.TRIGGER", "t"), ("RG.TRIGGER", "t", "a", "b"), ("RG.TRIGGERONKEY", "t", "key")])
def test_a_trigger_is_a_call_of_its_registration(db, raw, worker, words):
    """In the lane `trigger`, with the command as it was sent; the hook counts it."""
    trigger(db)
    caller = raw()
    caller.send(*words)
    call = serve(worker, "trigger")
    assert (call.lane, call.registration) == (b"trigger", b"h")
    assert call.argv == [word.encode() for word in words]
    answer(worker, call, b"*1\r\n$2\r\nhi\r\n")
    assert caller.receive() == [b"hi"]
    assert hooks(db)["h"].captured == 1


def test_a_trigger_that_nobody_has_registered_is_an_error_that_says_so(db, raw):
    """At once, with the name; one of another database is not known here."""
    trigger(db)
    for name in ("other", "T", "t ", b"\x00\r\n", "x" * 1000):
        with pytest.raises(CommandError, match=r"no trigger '.*' in database 0: nothing is registered under this name"):
            db.call("RG.TRIGGER", name)
    caller = raw()
    caller.call("SELECT", 1)
    assert "no trigger 't' in database 1" in str(caller.call("RG.TRIGGER", "t"))


def test_a_paused_trigger_has_no_hook_and_is_not_known(db):
    """The error names that case."""
    trigger(db)
    db.call("GEARTRAIN.HOOK", "DEL", "h")
    with pytest.raises(CommandError, match="or it is paused"):
        db.call("RG.TRIGGER", "t")


def test_names_are_bytes(db, raw, worker):
    """Whatever they are."""
    for name in (b"\x00", b"a b", b"\xff\n", b"x" * 5000):
        trigger(db, name)
        caller = raw()
        caller.send("RG.TRIGGER", name)
        call = serve(worker, "trigger")
        assert call.argv[1] == name
        answer(worker, call, b"*0\r\n")
        assert caller.receive() == []


def test_of_two_with_one_name_the_later_one_is_called(db, raw, worker):
    """And the other one when that goes."""
    trigger(db, hook="first", version=5)
    trigger(db, hook="second", version=6)
    trigger(db, hook="third", version=4)
    found = []
    for _ in range(3):
        caller = raw()
        caller.send("RG.TRIGGER", "t")
        call = serve(worker, "trigger")
        found.append(call.registration)
        answer(worker, call, b"*0\r\n")
        db.call("GEARTRAIN.HOOK", "DEL", call.registration)
    assert found == [b"second", b"first", b"third"]


def test_ten_thousand_triggers_are_told_apart(db, raw, worker):
    """By their names."""
    commands = [("GEARTRAIN.HOOK", "SET", f"h{n}", 1, "reader", "command", "trigger", f"t{n}") for n in range(10_000)]
    db.pipeline(commands)
    assert information(db, "geartrain")["geartrain_triggers"] == "10000"
    for number in (0, 4711, 9999):
        caller = raw()
        caller.send("RG.TRIGGER", f"t{number}")
        call = serve(worker, "trigger")
        assert call.registration == b"h%d" % number
        answer(worker, call, b"*0\r\n")
    db.call("FLUSHALL")
    assert information(db, "geartrain")["geartrain_triggers"] == "0"


def test_triggers_of_an_environment_have_a_lane_of_their_own(db, raw):
    """`trigger:<environment>`."""
    trigger(db, environment="abc")
    caller, worker = raw(), raw()
    serve(worker, "trigger:abc", timeout=1)
    caller.send("RG.TRIGGER", "t")
    call = serve(worker, "trigger:abc")
    assert call.lane == b"trigger:abc"
    answer(worker, call, b"*0\r\n")
    assert caller.receive() == []


def test_calls_in_order_are_handed_out_one_at_a_time(db, raw, worker):
    """The next one when the one before is answered; another trigger's calls are not held up."""
    trigger(db, "slow", "ordered", inorder=1)
    trigger(db, "free", "free")
    callers = [raw() for _ in range(3)]
    for number, caller in enumerate(callers):
        caller.send("RG.TRIGGER", "slow", number)
        wait_blocked(db, caller)
    first = serve(worker, "trigger")
    assert first.argv[2] == b"0"
    assert serve(worker, "trigger", timeout=20) is None
    assert (figures(db)["waiting"], figures(db)["running"]) == (2, 1)
    other = raw()
    other.send("RG.TRIGGER", "free")
    answer(worker, serve(worker, "trigger"), b"*0\r\n")
    assert other.receive() == []
    answer(worker, first, b"*0\r\n")
    second = serve(worker, "trigger")
    assert second.argv[2] == b"1"
    answer(worker, second, b"*0\r\n")
    answer(worker, serve(worker, "trigger"), b"*0\r\n")
    assert [caller.receive() for caller in callers] == [[], [], []]


def the_caller_goes(db, caller, worker, other):
    """While its call runs: the next one waits for the answer."""
    call = serve(worker, "trigger")
    caller.close()
    wait_for(lambda: "flags" not in str(db.call("CLIENT", "LIST", "ID", caller.id)))
    assert serve(other, "trigger", timeout=20) is None
    assert answer(worker, call, b"*0\r\n") == 0


def the_caller_goes_before(db, caller, worker, other):
    """Nobody has taken its call."""
    caller.close()
    wait_waiting(db, 2)


def the_worker_goes(db, caller, worker, other):
    """And has not answered."""
    serve(worker, "trigger")
    worker.close()
    assert "has gone" in str(caller.receive())


def it_is_returned(db, caller, worker, other):
    """It is the first again."""
    call = serve(worker, "trigger")
    worker.call("GEARTRAIN.RETURN", call.id)
    again = serve(worker, "trigger")
    assert again.id == call.id
    answer(worker, again, b"*0\r\n")


def the_answer_is_wrong(db, caller, worker, other):
    """No value in RESP3."""
    assert isinstance(answer(worker, serve(worker, "trigger"), b"*"), hiredis.HiredisError)


@pytest.mark.parametrize(
    "happens", [the_caller_goes, the_caller_goes_before, the_worker_goes, it_is_returned, the_answer_is_wrong]
)
def test_whatever_becomes_of_a_call_in_order_the_next_one_comes(db, raw, happens):
    """And not before the one that runs has really ended."""
    trigger(db, inorder=1)
    callers = [raw() for _ in range(3)]
    for caller in callers:
        caller.send("RG.TRIGGER", "t", caller.id)
        wait_blocked(db, caller)
    other = raw()
    happens(db, callers[0], raw(), other)
    for caller in callers[1:]:
        call = serve(other, "trigger")
        assert call.argv[2] == str(caller.id).encode()
        answer(other, call, b"*0\r\n")
        assert caller.receive() == []


def test_the_hook_may_go_while_its_calls_wait(db, raw, worker):
    """Their worker decides what becomes of them; the order of a new hook of that id goes on."""
    trigger(db, inorder=1)
    callers = [raw() for _ in range(3)]
    for caller in callers:
        caller.send("RG.TRIGGER", "t")
        wait_blocked(db, caller)
    db.call("GEARTRAIN.HOOK", "DEL", "h")
    trigger(db, inorder=1, version=2)
    for caller in callers:
        call = serve(worker, "trigger")
        assert serve(worker, "trigger", timeout=1) is None
        answer(worker, call, b"+x\r\n")
        assert caller.receive() == b"x"


def test_within_multi_and_scripts_a_trigger_of_workers_fails_at_once(db, raw):
    """Nobody waits there."""
    trigger(db)
    caller = raw()
    caller.call("MULTI")
    caller.call("RG.TRIGGER", "t")
    assert "within MULTI or a script" in str(caller.call("EXEC")[0])
    assert "within MULTI or a script" in str(caller.call("EVAL", "return redis.call('RG.TRIGGER', 't')", 0))


def test_hooks_of_triggers_take_no_key_events(db):
    """Whatever their pattern: no outbox, and what others capture is as before."""
    set_hook(db, "keys")
    trigger(db, hook="trigger")
    db.call("SET", "t", 1)
    assert captured(db, "keys") == [("set", b"t")]
    assert db.call("EXISTS", outbox(db, "trigger")) == 0
    assert hooks(db)["trigger"].captured == 0


def test_triggers_survive_a_restart_and_are_replicated(fresh_server, module_flavour, replicate, connect):
    """In the RDB, with `inorder` and the environment; a replica refuses to call until it is a primary."""
    primary = fresh_server(module_flavour, module={"workers": 0}, aof="everysec")
    link = connect(primary)
    trigger(link, inorder=1, environment="e")
    link.call("SAVE")
    primary.restart()
    assert information(connect(primary), "geartrain")["geartrain_triggers"] == "1"
    _, replica = replicate(primary, module_flavour)
    wait_for(lambda: information(replica, "geartrain")["geartrain_triggers"] == "1")
    replica.call("REPLICAOF", "NO", "ONE")
    with pytest.raises(CommandError, match="within MULTI"):
        replica.call("EVAL", "return redis.call('RG.TRIGGER', 't')", 0)


def test_swapped_databases_take_their_triggers_along(db):
    """As their other hooks."""
    trigger(db)
    db.call("SWAPDB", 0, 1)
    with pytest.raises(CommandError, match="in database 0"):
        db.call("RG.TRIGGER", "t")
    db.call("SWAPDB", 0, 1)
    with pytest.raises(CommandError, match="within MULTI"):
        db.call("EVAL", "return redis.call('RG.TRIGGER', 't')", 0)


def test_users_call_triggers_and_need_the_key_they_name(db, raw):
    """RG.TRIGGERONKEY names one."""
    trigger(db)
    db.call("ACL", "SETUSER", "u", "on", "nopass", "~mine:*", "+rg.trigger", "+rg.triggeronkey", "+auth", "+client")
    caller = raw()
    caller.call("AUTH", "u", "x")
    assert "NOPERM" in str(caller.call("RG.TRIGGERONKEY", "t", "other:1"))
    caller.send("RG.TRIGGERONKEY", "t", "mine:1")
    wait_blocked(db, caller)
    assert db.call("COMMAND", "GETKEYS", "RG.TRIGGERONKEY", "t", "k", "a") == ["k"]
