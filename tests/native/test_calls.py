"""Calls: a command waits for a worker's answer, whatever becomes of either; a raw connection plays the worker."""

from __future__ import annotations

import hiredis
import pytest

from geartrain.errors import CommandError
from geartrain.wire import Endpoint, Link
from support.calls import Raw, answer, figures, serve, wait_blocked, wait_waiting
from support.waiting import wait_for


@pytest.fixture
def worker(raw, db):
    """A connection that is known to serve the lane `l`."""
    connection = raw()
    connection.send("GEARTRAIN.SERVE", 60_000, "l")
    wait_blocked(db, connection)
    db.call("CLIENT", "UNBLOCK", connection.id)
    assert connection.receive() is None
    return connection


def fails(reply):
    """The text of an error reply."""
    assert isinstance(reply, hiredis.HiredisError), reply
    return str(reply)


def test_a_call_goes_to_a_worker_and_its_answer_to_the_caller(raw, worker):
    """SERVE says whose call it is; ANSWER says that it has arrived."""
    caller = raw()
    caller.call("SELECT", 2)
    caller.send("GEARTRAIN.CALL", "l", "a", b"b\x00\r\n", "")
    call = serve(worker, "l")
    assert (call.lane, call.db, call.user, call.protocol, call.registration) == (b"l", 2, b"default", 2, b"")
    assert call.argv == [b"a", b"b\x00\r\n", b""]
    assert answer(worker, call, b"*2\r\n:1\r\n+yes\r\n") == 1
    assert caller.receive() == [1, b"yes"]


def test_a_worker_that_waits_gets_the_next_call_at_once(raw, worker, db):
    """It is woken; the ids of calls grow."""
    caller, ids = raw(), []
    for _ in range(3):
        worker.send("GEARTRAIN.SERVE", 60_000, "l")
        wait_blocked(db, worker)
        caller.send("GEARTRAIN.CALL", "l", "x")
        ids.append(worker.receive()[0])
        assert worker.call("GEARTRAIN.ANSWER", ids[-1], b"_\r\n") == 1
        assert caller.receive() is None
    assert ids == sorted(set(ids))


def test_serve_ends_with_null_after_its_time(worker):
    """And at CLIENT UNBLOCK; it can be called again."""
    assert serve(worker, "l", timeout=1) is None
    assert serve(worker, "l", timeout=20) is None


def test_lanes_are_served_in_the_order_in_which_they_are_named(raw, db, worker):
    """Calls of a lane come in theirs."""
    callers = [raw() for _ in range(4)]
    serve(worker, "b", "l", "a", timeout=1)
    for caller, lane in zip(callers, "abab", strict=True):
        caller.send("GEARTRAIN.CALL", lane, len(callers))
        wait_blocked(db, caller)
    taken = [serve(worker, "b", "a") for _ in range(4)]
    assert [call.lane for call in taken] == [b"b", b"b", b"a", b"a"]
    for number, call in enumerate(taken):
        answer(worker, call, f":{number}\r\n".encode())
    assert [caller.receive() for caller in callers] == [2, 0, 3, 1]


def test_a_lane_that_nobody_serves_refuses_a_call(raw, worker):
    """At once, with the lane's name; also when the worker serves another lane by now."""
    caller = raw()
    assert "nobody serves the lane 'other'" in fails(caller.call("GEARTRAIN.CALL", "other", "x"))
    assert serve(worker, "other", timeout=1) is None
    assert "nobody serves the lane 'l'" in fails(caller.call("GEARTRAIN.CALL", "l", "x"))


def test_a_returned_call_is_the_next_one_again(raw, db, worker):
    """Before those that wait already; another worker may take it."""
    first, second, other = raw(), raw(), raw()
    first.send("GEARTRAIN.CALL", "l", "first")
    call = serve(worker, "l")
    second.send("GEARTRAIN.CALL", "l", "second")
    wait_waiting(db, 1)
    assert worker.call("GEARTRAIN.RETURN", call.id) == 1
    assert worker.call("GEARTRAIN.RETURN", call.id) == 0
    again = serve(other, "l")
    assert (again.id, again.argv) == (call.id, [b"first"])
    assert answer(worker, again, b"+done\r\n") == 1
    assert first.receive() == b"done"
    assert serve(worker, "l").argv == [b"second"]


def test_a_worker_whose_connection_ends_leaves_an_error_to_its_callers(raw, db, worker):
    """To all whose calls it had taken; what waits goes to another worker."""
    callers = [raw() for _ in range(3)]
    for caller in callers:
        caller.send("GEARTRAIN.CALL", "l", "x")
        wait_blocked(db, caller)
    serve(worker, "l")
    serve(worker, "l")
    worker.close()
    assert "the worker that executed this has gone" in fails(callers[0].receive())
    assert "the worker that executed this has gone" in fails(callers[1].receive())
    other = raw()
    assert answer(other, serve(other, "l"), b":3\r\n") == 1
    assert callers[2].receive() == 3


def test_a_caller_that_goes_takes_its_waiting_call_along(raw, db, worker):
    """A worker gets the next one."""
    gone, caller = raw(), raw()
    gone.send("GEARTRAIN.CALL", "l", "gone")
    wait_waiting(db, 1)
    gone.close()
    wait_waiting(db, 0)
    caller.send("GEARTRAIN.CALL", "l", "here")
    assert serve(worker, "l").argv == [b"here"]


def test_the_worker_of_a_caller_that_has_gone_is_told_so(raw, db, worker):
    """Its answer is for nobody, and so is a call that it returns."""
    for end in (lambda call: answer(worker, call, b":1\r\n"), lambda call: worker.call("GEARTRAIN.RETURN", call.id)):
        gone = raw()
        gone.send("GEARTRAIN.CALL", "l", "gone")
        call = serve(worker, "l")
        before = figures(db)["abandoned"]
        gone.close()
        wait_for(lambda before=before: figures(db)["abandoned"] == before + 1)
        assert end(call) == 0
        assert figures(db)["running"] == 0
    assert serve(worker, "l", timeout=1) is None


@pytest.mark.parametrize("how", ["TIMEOUT", "ERROR"])
def test_client_unblock_gives_a_call_up(raw, db, worker, how):
    """Waiting or running: the caller gets an error and can go on."""
    for is_taken in (False, True):
        caller = raw()
        caller.send("GEARTRAIN.CALL", "l", "x")
        call = serve(worker, "l") if is_taken else wait_waiting(db, 1)
        assert db.call("CLIENT", "UNBLOCK", caller.id, how) == 1
        assert "UNBLOCKED" in fails(caller.receive())
        assert caller.call("PING") == b"PONG"
        assert figures(db)["waiting"] == 0
        if is_taken:
            assert answer(worker, call, b":1\r\n") == 0


@pytest.mark.parametrize("how", ["TIMEOUT", "ERROR"])
def test_client_unblock_ends_a_workers_wait(raw, db, worker, how):
    """With null, or an error; it can serve again."""
    worker.send("GEARTRAIN.SERVE", 0, "l")
    wait_blocked(db, worker)
    assert db.call("CLIENT", "UNBLOCK", worker.id, how) == 1
    assert worker.receive() is None if how == "TIMEOUT" else True
    caller = raw()
    if how == "ERROR":
        fails(worker.receive())
    caller.send("GEARTRAIN.CALL", "l", "x")
    assert answer(worker, serve(worker, "l"), b":1\r\n") == 1
    assert caller.receive() == 1


def test_a_call_that_meets_a_dying_worker_goes_to_the_next_one(raw, db, worker):
    """Woken and killed in one turn of the server: the call was not handed out."""
    other, caller = raw(), raw()
    for connection in (worker, other):
        connection.send("GEARTRAIN.SERVE", 60_000, "l")
        wait_blocked(db, connection)
    killer = raw()
    caller.send("GEARTRAIN.CALL", "l", "x")
    killer.send("CLIENT", "KILL", "ID", worker.id)
    assert killer.receive() == 1
    if not other.has_reply():
        # The worker that was killed had it already.
        wait_for(lambda: other.has_reply() or caller.has_reply())
    if other.has_reply():
        assert other.receive()[6] == [b"x"]


def test_an_answer_and_the_end_of_the_caller_in_one_turn(raw, db, worker):
    """In either order: no memory is freed twice, whichever it was."""
    for first, how in ((True, "KILL"), (False, "KILL"), (True, "UNBLOCK"), (False, "UNBLOCK")):
        caller = raw()
        caller.send("GEARTRAIN.CALL", "l", "x")
        call = serve(worker, "l")
        end = ("CLIENT", "KILL", "ID", caller.id) if how == "KILL" else ("CLIENT", "UNBLOCK", caller.id, "ERROR")
        said = ("GEARTRAIN.ANSWER", call.id, b":1\r\n")
        db.pipeline([said, end] if first else [end, said])
        assert db.call("PING") == "PONG"
    assert figures(db)["running"] == 0


@pytest.mark.parametrize("command", [("GEARTRAIN.CALL", "l", "x"), ("GEARTRAIN.SERVE", 0, "l")])
def test_within_multi_and_scripts_nobody_waits(raw, worker, command):
    """An error at once."""
    caller = raw()
    caller.call("MULTI")
    caller.call(*command)
    (reply,) = caller.call("EXEC")
    assert "within MULTI or a script" in fails(reply)
    words = ", ".join(f"'{word}'" for word in command)
    assert fails(caller.call("EVAL", f"return redis.call({words})", 0))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("SERVE",), "wrong number"),
        (("SERVE", 1), "wrong number"),
        (("SERVE", "soon", "l"), "takes a number of milliseconds"),
        (("SERVE", -1, "l"), "takes a number of milliseconds"),
        (("SERVE", 1, *("l" * 65)), "64 lanes at the most"),
        (("ANSWER",), "wrong number"),
        (("ANSWER", 1), "wrong number"),
        (("ANSWER", "x", b":1\r\n"), "id is a number"),
        (("ANSWER", -1, b":1\r\n"), "id is a number"),
        (("RETURN",), "wrong number"),
        (("RETURN", "x"), "id is a number"),
        (("CALL", "l"), "wrong number"),
        (("CALL", "a\r\nb", "x"), "nobody serves the lane 'a  b'"),
    ],
    ids=str,
)
def test_wrong_words_are_refused(db, words, message):
    """With what is wrong."""
    with pytest.raises(CommandError, match=message):
        db.call(f"GEARTRAIN.{words[0]}", *words[1:])


def test_an_unknown_call_is_no_error(db):
    """Its caller may just have gone."""
    assert db.call("GEARTRAIN.ANSWER", 2**62, b":1\r\n") == 0
    assert db.call("GEARTRAIN.RETURN", 2**62) == 0


def test_only_administrators_serve_and_call(db, raw):
    """The commands are in @admin and @dangerous."""
    db.call("ACL", "SETUSER", "u", "on", "nopass", "+@all", "-@admin", "~*")
    caller = raw()
    caller.call("AUTH", "u", "x")
    for name in ("SERVE", "ANSWER", "RETURN", "CALL"):
        assert "NOPERM" in fails(caller.call(f"GEARTRAIN.{name}", 1, "l"))
    caller.call("AUTH", "default", "")


def test_the_users_name_comes_with_the_call(db, raw, worker):
    """Of the connection's user."""
    db.call("ACL", "SETUSER", "u", "on", "nopass", "+@all", "~*")
    caller = raw()
    caller.call("AUTH", "u", "x")
    caller.send("GEARTRAIN.CALL", "l", "x")
    assert serve(worker, "l").user == b"u"


def test_figures_are_in_info(db, raw, worker):
    """How many wait, run, were answered, and how many connections serve."""
    caller, before = raw(), figures(db)
    assert before["servers"] == 1
    caller.send("GEARTRAIN.CALL", "l", "x")
    wait_waiting(db, 1)
    call = serve(worker, "l")
    assert (figures(db)["waiting"], figures(db)["running"]) == (0, 1)
    answer(worker, call, b":1\r\n")
    after = figures(db)
    assert (after["running"], after["answered"]) == (0, before["answered"] + 1)
    worker.close()
    wait_for(lambda: figures(db)["servers"] == 0)


def test_flushall_ends_no_call(db, raw, worker):
    """Calls are no keys."""
    caller = raw()
    caller.send("GEARTRAIN.CALL", "l", "x")
    wait_waiting(db, 1)
    db.call("FLUSHALL")
    call = serve(worker, "l")
    db.call("FLUSHALL")
    assert answer(worker, call, b":1\r\n") == 1
    assert caller.receive() == 1


def take_turn(worker):
    """Answer the call that has come with its argument, and serve again; also where another one was faster."""
    reply = worker.receive()
    if isinstance(reply, list):
        worker.send("GEARTRAIN.ANSWER", reply[0], b"$%d\r\n%b\r\n" % (len(reply[6][0]), reply[6][0]))
    if isinstance(reply, list) or reply is None:
        worker.send("GEARTRAIN.SERVE", 0, "l")


def test_servers_with_threads_for_connections_do_the_same(fresh_server, module_flavour):
    """`io-threads`: many callers and workers at the same time."""
    server = fresh_server(module_flavour, module={"workers": 0}, options={"io-threads": "4"})
    workers = [Raw(server.port) for _ in range(4)]
    callers = [Raw(server.port) for _ in range(16)]
    for connection in workers:
        connection.send("GEARTRAIN.SERVE", 0, "l")
    with Link(Endpoint(server.url)) as link:
        for connection in workers:
            wait_blocked(link, connection)
    for number in range(50):
        for caller in callers:
            caller.send("GEARTRAIN.CALL", "l", number)
        while not all(caller.has_reply() for caller in callers):
            for connection in workers:
                if connection.has_reply():
                    take_turn(connection)
        assert {caller.receive() for caller in callers} == {b"%d" % number}
    for connection in (*workers, *callers):
        connection.close()
