"""What workers do when the registry changes: registered, upgraded, paused, resumed, aborted, unregistered."""

from __future__ import annotations

import sys
import time

import pytest

from geartrain import GearsBuilder, execute, keys
from geartrain.registry import Store
from support.waiting import wait_for


def noting(tag=""):
    """Write down the tag and each record's field `a`."""
    return GearsBuilder("StreamReader").foreach(lambda record: execute("rpush", "seen", f"{tag}{record['a']}"))


def failing(tries=sys.maxsize):
    """Raise that many times, then write down each record's field `a`."""

    def fail(record):
        if execute("incr", "tries") <= tries:
            raise ValueError("not yet")
        execute("rpush", "seen", record["a"])

    return GearsBuilder("StreamReader").foreach(fail)


def test_changes_are_noticed_within_about_a_second(place):
    """With the default settings: registered, upgraded, paused, resumed, unregistered."""
    place.start(poll_interval=0.5)

    def timed(act, happened):
        begin = time.monotonic()
        act()
        wait_for(happened)
        return time.monotonic() - begin

    def seen(text):
        return lambda: text in place.link.call("LRANGE", "seen", 0, -1)

    def owner():
        return place.link.call("GET", keys.lease("test/StreamReader:s", b"s"))

    place.add("s", "a", "1")
    times = [timed(lambda: place.register(noting(), "s"), seen("1"))]

    times += [
        timed(lambda: place.client.pause("test/StreamReader:s"), lambda: not owner()),
        timed(lambda: place.client.resume("test/StreamReader:s"), owner),
        timed(lambda: place.client.unregister("test/StreamReader:s"), lambda: not place.groups("s")),
    ]
    assert max(times) < 2, times


def test_new_code_is_run_within_about_a_second(place):
    """Entries that come later are executed by it."""
    place.register(noting("old "), "s")
    place.start(poll_interval=0.5)
    place.add("s", "a", 0)
    place.seen(1)
    begin = time.monotonic()
    place.register(noting("new "), "s")

    def is_new():
        place.add("s", "a", "x")
        return "new x" in place.link.call("LRANGE", "seen", 0, -1)

    wait_for(is_new)
    assert time.monotonic() - begin < 2


@pytest.mark.parametrize("running", [True, False])
def test_an_upgrade_keeps_offset_and_statistics(everywhere, running):
    """The new code goes on where the old one was, whether a worker runs meanwhile or not."""
    place = everywhere
    registration = place.register(noting("old "), "s")
    for number in range(3):
        place.add("s", "a", number)
    worker = place.start()
    place.wait_done(registration, triggered=3)
    if not running:
        worker.stop()
    assert place.register(noting("new "), "s") == registration
    if running:
        wanted = Store(place.link).snapshot().registrations[registration].code_version
        wait_for(lambda: worker.code_versions(registration) == {wanted})
    else:
        place.start()
    for number in range(3, 5):
        place.add("s", "a", number)
    assert place.seen(5) == ["old 0", "old 1", "old 2", "new 3", "new 4"]
    info = place.wait_done(registration, triggered=5)
    assert (info.succeeded, info.records, info.version) == (5, 5, 2)


def test_an_upgrade_under_load_loses_and_repeats_nothing(place):
    """Entries come all the time while the code changes ten times: each is executed once, in order."""
    registration = place.register(noting(), "s", batch=3, duration=10)
    place.start()
    for turn in range(10):
        place.link.pipeline([("XADD", "s", "*", "a", turn * 100 + n) for n in range(100)])
        place.register(noting(), "s", batch=turn + 1, duration=10)
    place.wait_info(registration, lambda info: info.lag == 0 and info.records == 1000)
    assert place.seen(1000) == [str(n) for n in range(1000)]


def test_an_upgrade_gives_a_batch_that_waits_for_its_next_try_to_the_new_code(place):
    """A fix does not wait for the interval of what it fixes."""
    registration = place.register(failing(), "s", onFailedRetryInterval=600)
    place.add("s", "a", "stuck")
    place.start()
    place.wait_info(registration, lambda info: info.retried == 1)
    place.register(noting("fixed "), "s")
    assert place.seen(1) == ["fixed stuck"]
    assert place.wait_done(registration).retried == 1


def test_an_upgrade_may_change_every_argument(place):
    """Batch, duration and policy of the new registration count from the next batch on."""
    place.register(noting(), "s", batch=100, name="mine")
    place.start()
    for number in range(5):
        place.add("s", "a", number)
    place.register(GearsBuilder("StreamReader").count().foreach(lambda n: execute("rpush", "n", n)), "s",
                   batch=2, duration=30, name="mine")  # fmt: skip
    assert place.seen(3, "n") == ["2", "2", "1"]
    info = place.wait_done("mine", triggered=3)
    assert (info.records, info.version) == (5, 2)


def test_a_paused_registration_executes_nothing_and_goes_on_when_it_is_resumed(everywhere):
    """It gives its leases up, keeps its offset, and other registrations are not concerned."""
    place = everywhere
    registration = place.register(noting(), "s")
    place.register(noting("other "), "s", session="other")
    place.add("s", "a", 0)
    place.start()
    place.seen(2)
    place.wait_done(registration)
    place.client.pause(registration)
    wait_for(lambda: place.link.call("GET", keys.lease(registration, b"s")) is None)
    place.add("s", "a", 1)
    place.add("s", "a", 2)
    assert place.seen(4)[2:] == ["other 1", "other 2"]
    info = place.wait_info(registration, lambda info: info.lag == 2)
    assert info.status == "paused"
    place.client.resume(registration)
    assert place.seen(6)[4:] == ["1", "2"]
    assert place.wait_done(registration, triggered=3).status == "active"


def test_an_upgrade_leaves_a_paused_registration_paused(place):
    """Until somebody resumes it."""
    registration = place.register(noting("old "), "s")
    place.client.pause(registration)
    place.start()
    place.register(noting("new "), "s")
    assert place.info(registration).status == "paused"
    place.add("s", "a", 1)
    place.client.resume(registration)
    assert place.seen(1) == ["new 1"]


def test_an_aborted_registration_goes_on_with_the_same_batch_when_it_is_resumed(everywhere):
    """The entry that failed is not skipped."""
    place = everywhere
    registration = place.register(failing(tries=1), "s", onFailedPolicy="abort")
    place.add("s", "a", 1)
    place.add("s", "a", 2)
    place.start()
    place.wait_info(registration, lambda info: info.status == "aborted" and info.aborted == 1)
    place.client.resume(registration)
    assert place.seen(2) == ["1", "2"]
    info = place.wait_done(registration, triggered=3)
    assert (info.status, info.succeeded, info.failed, info.aborted) == ("active", 2, 1, 1)


def test_new_code_starts_an_aborted_registration_again(place):
    """A fix needs no resume."""
    registration = place.register(failing(), "s", onFailedPolicy="abort")
    place.add("s", "a", 1)
    place.start()
    place.wait_info(registration, lambda info: info.status == "aborted")
    place.register(noting("fixed "), "s", onFailedPolicy="abort")
    assert place.seen(1) == ["fixed 1"]
    assert place.wait_done(registration, triggered=2).status == "active"


def test_an_abort_on_one_stream_stops_all_streams_of_the_registration(place):
    """In every worker."""

    def fail_on_bad(record):
        if record["a"] == "bad":
            raise ValueError("bad")
        execute("rpush", "seen", record["a"])

    builder = GearsBuilder("StreamReader").foreach(fail_on_bad)
    registration = place.register(builder, "s:*", onFailedPolicy="abort")
    for number in range(6):
        place.add(f"s:{number}", "a", "good")
    place.start()
    place.start()
    place.seen(6)
    place.add("s:0", "a", "bad")
    place.wait_info(registration, lambda info: info.status == "aborted")
    wait_for(lambda: not any(item.owner for item in place.client.show(registration).partitions))
    place.add("s:5", "a", "late")
    assert place.info(registration).lag == 2


def test_registrations_that_are_aborted_at_the_same_time_all_stop(place):
    """While the worker tells the registry of one, another one's batch fails: that one is not executed again either."""
    names = [f"s{number}" for number in range(60)]
    lines = [
        f"GB('StreamReader').map(lambda r: 1 / 0).register('{n}', name='{n}', onFailedPolicy='abort')" for n in names
    ]
    place.client.execute("\n".join(lines), session="test")
    for name in names:
        place.add(name, "a", 1)
    place.start()
    infos = [place.wait_info(name, lambda info: info.status == "aborted" and info.aborted) for name in names]
    assert {(info.triggered, info.failed, info.aborted) for info in infos} == {(1, 1, 1)}


@pytest.mark.parametrize("how", ["unregister", "upgrade"])
def test_a_removed_registration_leaves_nothing(everywhere, how):
    """No group, lease, statistics or history; also where it was at work until the end."""
    place = everywhere
    with place.client.session("test"):
        noting().register("s:*")
        noting("other ").register("other")
    place.add("other", "a", 1)
    for number in range(5):
        place.add(f"s:{number}", "a", 1)
    worker = place.start()
    place.seen(6)
    if how == "unregister":
        place.client.unregister("test/StreamReader:s:*")
    else:
        place.register(noting("other "), "other")
    for number in range(5):
        place.add(f"s:{number}", "a", 2)
    other = "test/StreamReader:other"
    own = {f"geartrain:{{registry}}:{kind}:{other}" for kind in ("stats", "history", "streams")}
    own |= {"geartrain:{registry}:code:test", f"geartrain:{{other}}:lease:{other}:other"}
    wait_for(lambda: place.own_keys() == own)
    worker.stop()
    assert place.own_keys() == own - {f"geartrain:{{other}}:lease:{other}:other"}
    assert all(place.groups(f"s:{number}") == {} for number in range(5))


def test_a_registration_that_is_removed_under_load_leaves_nothing(place):
    """Workers that are in the middle of it, and have not looked at the registry yet, put nothing back."""
    for turn in range(5):
        registration = place.register(noting(), "s:*", session=f"turn{turn}")
        if not turn:
            workers = [place.start(), place.start()]
        place.link.pipeline([("XADD", f"s:{n % 20}", "*", "a", n) for n in range(200)])
        place.wait_info(registration, lambda info: info.triggered)
        place.client.unregister(registration)
    for worker in workers:
        worker.stop()
    assert place.own_keys() == set()
    assert all(place.groups(f"s:{number}") == {} for number in range(20))


def test_a_group_that_was_made_again_after_the_removal_is_removed_by_the_worker_that_made_it(place):
    """A commit may come between what the removal looks at and what it deletes: nobody else knows of that group then."""
    registration = place.register(noting(), "s")
    place.start()
    place.add("s", "a", 1)
    place.seen(1)
    place.wait_done(registration)
    place.link.call("DEL", keys.streams(registration))
    place.client.unregister(registration)
    wait_for(lambda: place.groups("s") == {} and place.own_keys() == set(), message="nothing is left")


def test_other_code_that_takes_the_place_of_a_removed_registration_is_run(place):
    """Even where a worker sees both changes at once."""
    registration = place.register(noting("old "), "s")
    place.start()
    place.add("s", "a", 1)
    place.seen(1)
    place.client.unregister(registration)
    assert place.register(noting("new "), "s") == registration
    assert place.seen(2)[1] == "new 1"
    place.wait_done(registration)


@pytest.mark.parametrize("how", ["unregister", "FLUSHALL"])
def test_nothing_runs_by_the_code_of_a_registration_that_was_there_before(place, how):
    """Also where a worker has seen nothing of the removal, and the new code takes long to load: that is no upgrade."""

    def prepare():
        execute("incr", "prepared")
        execute("brpoplpush", "gate", "gate", 20)

    registration = place.register(noting("old "), "s")
    place.start(poll_interval=1.0)
    place.add("s", "a", "1")
    place.seen(1)
    if how == "unregister":
        place.client.unregister(registration)
    else:
        place.link.call("FLUSHALL")
    place.register(noting("new "), "s", onRegistered=prepare)
    wait_for(lambda: place.link.call("EXISTS", "prepared"))
    # Now the worker has looked. (Before, it may execute with the code that it knows, uncommitted.)
    place.link.call("DEL", "seen")
    place.add("s", "a", "2")
    # When another one is executed, this one could have been too.
    place.register(GearsBuilder("StreamReader").foreach(lambda _: execute("set", "other", 1)), "s", session="other")
    wait_for(lambda: place.link.call("EXISTS", "other"))
    assert place.link.call("EXISTS", "seen") == 0
    place.link.call("RPUSH", "gate", "open")
    place.wait_done(registration)
    assert set(place.seen(1)) <= {"new 1", "new 2"}


def test_a_database_that_is_emptied_and_filled_again_is_followed(place):
    """The worker drops what it had, and runs what is registered now."""
    place.register(noting("old "), "s")
    worker = place.start()
    place.add("s", "a", 1)
    place.seen(1)
    place.link.call("FLUSHALL")
    place.register(noting("new "), "s")
    place.add("s", "a", 2)
    # Until the worker looks at the registry, it may execute the new stream with the code it knows, uncommitted.
    wait_for(lambda: place.link.call("LRANGE", "seen", -1, -1) == ["new 2"])
    place.wait_done("test/StreamReader:s")
    assert worker.running


def test_the_history_is_bounded_and_tells_each_execution(place):
    """The last executions, newest first: when, how long, how many records, where, how it ended."""

    def fail_on_odd(record):
        if int(record["a"]) % 2:
            raise ValueError("odd")

    registration = place.register(GearsBuilder("StreamReader").foreach(fail_on_odd), "s", onFailedPolicy="continue")
    ids = [place.add("s", "a", number) for number in range(12)]
    before = time.time()
    worker = place.start(history=5)
    info = place.wait_done(registration, triggered=12)
    history = place.client.show(registration).history
    assert [item.last_id for item in history] == ids[:6:-1]
    assert [item.outcome for item in history] == ["failed", "succeeded", "failed", "succeeded", "failed"]
    assert [item.error is None for item in history] == [False, True, False, True, False]
    assert {(item.stream, item.records, item.worker) for item in history} == {("s", 1, worker.id)}
    assert all(before - 1 < item.at < time.time() + 1 for item in history)
    assert all(item.duration_us >= 0 for item in history)
    assert (info.succeeded, info.failed, info.records) == (6, 6, 6)
    assert info.average_duration_ms > 0


def test_a_module_that_is_missing_here_is_shown_and_new_code_cures_it(place, tmp_path, monkeypatch):
    """The error names the module; registering again without it is enough."""
    module = tmp_path / "missing_here.py"
    module.write_text("def note(record):\n    pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    source = "import missing_here\nGearsBuilder('StreamReader').foreach(missing_here.note).register('s')"
    place.client.execute(source, session="test")
    module.unlink()
    monkeypatch.delitem(sys.modules, "missing_here")
    place.start()
    info = place.wait_info("test/StreamReader:s", lambda info: info.last_error)
    assert "No module named 'missing_here'" in info.last_error
    place.register(noting("cured "), "s")
    place.add("s", "a", 1)
    assert place.seen(1) == ["cured 1"]


def test_code_of_another_python_is_shown_and_not_run(place):
    """The error names both versions and what to do; the other registrations run."""
    registration = place.register(noting(), "s", session="old")
    place.register(noting("other "), "other")
    place.link.call("HSET", keys.code("old"), "python", "3.8")
    record = place.link.call("HGET", keys.REGISTRATIONS, registration)
    current = f"{sys.version_info.major}.{sys.version_info.minor}"
    place.link.call("HSET", keys.REGISTRATIONS, registration, record.replace(f'"{current}"', '"3.8"'))
    place.add("s", "a", 1)
    place.add("other", "a", 1)
    place.start()
    assert place.seen(1) == ["other 1"]
    info = place.wait_info(registration, lambda info: info.last_error)
    assert "Python 3.8" in info.last_error
    assert f"Python {current}" in info.last_error
    assert place.link.call("LRANGE", "seen", 0, -1) == ["other 1"]


def test_unsigned_code_is_not_run_where_there_is_a_secret(place, monkeypatch):
    """The error says so; signed again, it runs."""
    registration = place.register(noting(), "s")
    place.add("s", "a", 1)
    monkeypatch.setenv("GEARTRAIN_SECRET", "secret")
    place.start()
    info = place.wait_info(registration, lambda info: info.last_error)
    assert "not signed" in info.last_error
    assert place.link.call("EXISTS", "seen") == 0
    place.register(noting("signed "), "s")
    assert place.seen(1) == ["signed 1"]
