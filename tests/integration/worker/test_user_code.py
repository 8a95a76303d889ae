"""User code that blocks, or raises what nobody expects: the worker goes on, and says what happened."""

from __future__ import annotations

import pytest

from geartrain import GearsBuilder, execute
from support.waiting import wait_for


def streams():
    """A StreamReader."""
    return GearsBuilder("StreamReader")


def noting():
    """Write down each record's field `a`."""
    return streams().foreach(lambda record: execute("rpush", "seen", record["a"]))


def test_a_partition_that_blocks_does_not_stop_the_others(place):
    """Three of four threads are held; the fourth does all the rest."""

    def block(record):
        execute("brpoplpush", "gate", "gate", 20)
        execute("rpush", "blocked", record["a"])

    with place.client.session("test"):
        streams().foreach(block).register("slow:*")
        noting().register("quick:*")
    for number in range(3):
        place.add(f"slow:{number}")
    place.start(threads=4)
    for number in range(20):
        place.add(f"quick:{number % 5}", "a", number)
    assert sorted(map(int, place.seen(20))) == list(range(20))
    assert place.link.call("EXISTS", "blocked") == 0
    place.link.call("RPUSH", "gate", "open")
    assert len(place.seen(3, "blocked")) == 3


def test_what_is_done_is_committed_while_the_next_batch_runs_long(place):
    """And counted: a worker that is killed meanwhile repeats that one batch only."""

    def block(record):
        if record["a"] == "3":
            execute("brpoplpush", "gate", "gate", 20)

    registration = place.register(streams().foreach(block), "s")
    ids = [place.add("s", "a", number) for number in range(5)]
    place.start()
    wait_for(lambda: place.groups("s")[f"geartrain:{registration}"]["last-delivered-id"] == ids[2])
    assert place.wait_info(registration, lambda info: info.triggered == 3).succeeded == 3
    place.link.call("RPUSH", "gate", "open")
    info = place.wait_done(registration, triggered=5)
    assert (info.triggered, info.succeeded, info.records) == (5, 5, 5)
    assert [item.last_id for item in reversed(place.client.show(registration).history)] == ids


def test_a_partition_with_much_to_do_lets_others_have_a_turn(place):
    """With one thread, a short stream does not wait until a long one is done."""
    with place.client.session("test"):
        streams().foreach(lambda _: execute("lpush", "done", 1) and None).register("long")
        noting().register("short")
    place.link.pipeline([("XADD", "long", "*", "a", 1) for _ in range(20_000)])
    place.start(threads=1)
    place.seen(1, "done")
    place.add("short", "a", "turn")
    assert place.seen(1) == ["turn"]
    assert place.link.call("LLEN", "done") < 20_000


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        ("fail(record)", "RecursionError"),
        ("raise GeneratorExit", "GeneratorExit"),
        ("raise MemoryError('much')", "MemoryError: much"),
        ("raise Odd", "Odd"),
        ("raise Silent", "Silent"),
        ("assert record['a'] != 'bad', 'asserted'", "AssertionError: asserted"),
    ],
)
def test_whatever_a_step_raises_is_a_failure_of_its_batch(place, source, name):
    """It is counted, shown with its traceback, and the next record is executed by the same thread."""
    script = f"""
class Odd(BaseException):
    pass

class Silent(BaseException):
    def __str__(self):
        raise ValueError("no message")

def fail(record):
    if record["a"] == "bad":
        {source}
    else:
        execute("rpush", "seen", record["a"])

GearsBuilder("StreamReader").foreach(fail).register("s", onFailedPolicy="continue")
"""
    place.client.execute(script, session="script")
    worker = place.start(threads=1)
    place.add("s", "a", "bad")
    place.add("s", "a", "good")
    assert place.seen(1) == ["good"]
    info = place.wait_done("script/StreamReader:s", triggered=2)
    assert (info.failed, info.succeeded) == (1, 1)
    assert name in info.last_error
    assert "in fail" in place.client.show(info.id).last_trace
    assert worker.running


@pytest.mark.parametrize("error", ["SystemExit(1)", "KeyboardInterrupt", "ValueError('no')"])
def test_whatever_on_registered_raises_is_shown(place, error):
    """The worker goes on with the other registrations."""
    script = f"""
def prepare():
    raise {error}

GearsBuilder("StreamReader").count().register("s", onRegistered=prepare)
"""
    place.client.execute(script, session="script")
    place.register(noting(), "other")
    worker = place.start()
    place.add("other", "a", "other")
    assert place.seen(1) == ["other"]
    info = place.wait_info("script/StreamReader:s", lambda info: info.last_error)
    assert info.last_error.startswith(f"onRegistered raised {error.partition('(')[0]}")
    assert "in prepare" in place.client.show(info.id).last_trace
    assert worker.running


def test_a_module_that_ends_the_process_when_it_is_imported_is_shown(place, tmp_path, monkeypatch):
    """`sys.exit()` at a module's top level is that registration's trouble, not the worker's end."""
    module = tmp_path / "ends_itself_here.py"
    module.write_text("def note(record):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    place.client.execute(
        "import ends_itself_here\nGearsBuilder('StreamReader').foreach(ends_itself_here.note).register('s')",
        session="script",
    )
    module.write_text("import sys\nsys.exit('gone')\n")
    monkeypatch.delitem(__import__("sys").modules, "ends_itself_here")
    worker = place.start()
    info = place.wait_info("script/StreamReader:s", lambda info: info.last_error)
    assert "SystemExit: gone" in info.last_error
    assert worker.running


def test_a_step_that_takes_longer_than_the_lease_keeps_it(place):
    """Leases are renewed while user code runs: nobody else executes the batch, and it is committed."""

    def wait(record):
        execute("rpush", "started", record["a"])
        execute("brpoplpush", "gate", "gate", 20)
        execute("rpush", "seen", record["a"])

    registration = place.register(streams().foreach(wait), "s")
    place.add("s", "a", "slow")
    place.start(lease_ttl=0.6)
    place.seen(1, "started")
    place.begin(lease_ttl=0.6)
    # Longer than the lease: a key of that life is made now, and is gone.
    place.link.call("SET", "clock", "x", "PX", 1500)
    while place.link.call("PTTL", "clock") > 0:
        place.link.call("BLPOP", "never", 0.1)
    place.link.call("RPUSH", "gate", "open")
    assert place.seen(1) == ["slow"]
    place.wait_done(registration)
    assert place.link.call("LLEN", "started") == 1


def test_a_stop_waits_for_the_running_batch(place):
    """What runs ends and is committed; what has not begun is left to the next worker."""

    def wait(record):
        execute("rpush", "started", record["a"])
        execute("brpoplpush", "gate", "gate", 20)
        execute("rpush", "seen", record["a"])

    registration = place.register(streams().foreach(wait), "s")
    for number in range(5):
        place.add("s", "a", number)
    worker = place.start()
    place.seen(1, "started")
    worker.worker.stop()
    wait_for(lambda: worker.closing)
    place.link.call("RPUSH", "gate", "open")
    worker.stop()
    assert place.seen(1) == ["0"]
    assert place.info(registration).lag == 4
    assert place.info(registration).succeeded == 1
    place.start()
    assert place.seen(5) == ["0", "1", "2", "3", "4"]
    assert place.link.call("LLEN", "started") == 5


def test_a_batch_that_outlasts_the_stop_deadline_runs_again(place):
    """The worker does not wait for ever; what it had not finished is the next one's."""

    def wait(record):
        execute("rpush", "started", record["a"])
        execute("brpoplpush", "gate", "gate", 20)
        execute("rpush", "seen", record["a"])

    registration = place.register(streams().foreach(wait), "s")
    place.add("s", "a", "1")
    worker = place.start(stop_deadline=0.2)
    place.seen(1, "started")
    worker.stop()
    assert place.info(registration).lag == 1
    place.link.call("RPUSH", "gate", "open")
    place.start()
    assert place.seen(2, "started") == ["1", "1"]
    place.wait_done(registration)
