"""The specification's arguments of `StreamReader.register`, one by one, from the entry to its effect."""

from __future__ import annotations

import pytest

from geartrain import GearsBuilder, NeedsModule, execute
from geartrain.config import WorkerSettings
from support.waiting import wait_for


def streams():
    """A StreamReader."""
    return GearsBuilder("StreamReader")


def noting():
    """Write down each record's stream and its field `a`."""
    return streams().foreach(lambda record: execute("rpush", "seen", record["a"]))


def sizes():
    """Write down how many records each execution has."""
    return streams().count().foreach(lambda size: execute("rpush", "seen", size))


def test_the_example_of_the_specification_works(everywhere):
    """Each entry of the stream `s1` is set under its id, as the record that the specification shows."""
    place = everywhere
    place.register(streams().foreach(lambda x: execute("set", x["streamId"], str(x))), "s1")
    place.start()
    entry_id = place.add("s1", "field1", "value1", "field2", "value2")
    expected = str({"streamId": entry_id, "field1": "value1", "field2": "value2"})
    wait_for(lambda: place.link.call("GET", entry_id) == expected)


def test_a_name_without_special_characters_is_one_stream(everywhere):
    """`s1` is read, `s11` and `s` are not; the stream may come after the registration."""
    place = everywhere
    registration = place.register(noting(), "s1")
    place.start()
    for stream in ("s", "s11", "s1"):
        place.add(stream, "a", stream)
    assert place.seen(1) == ["s1"]
    place.wait_done(registration)
    assert [item.stream for item in place.client.show(registration).partitions] == ["s1"]


def test_a_prefix_with_a_star_is_all_streams_that_begin_so(everywhere):
    """Streams that were there before the worker and streams that come later are found; keys of other types are not."""
    place = everywhere
    place.link.call("SET", "person:string", "x")
    place.add("person:1", "a", "before")
    place.add("animal:1", "a", "no person")
    registration = place.register(noting(), regex="person:*")
    place.start()
    place.seen(1)
    place.add("person:2", "a", "after")
    assert place.seen(2) == ["before", "after"]
    place.wait_done(registration)
    assert place.info(registration).last_error is None


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("h?llo", ["hello", "hallo"], ["hllo", "heello"]),
        ("h[ae]llo", ["hello", "hallo"], ["hillo"]),
        ("h[^e]llo", ["hallo", "hbllo"], ["hello"]),
        ("h[a-b]llo", ["hallo", "hbllo"], ["hcllo"]),
        (r"h\[a\]*", ["h[a]", "h[a]llo"], ["ha", "hallo"]),
        ("*", ["hello", "anything"], []),
    ],
)
def test_patterns_are_globs_with_classes(place, pattern, matching, others):
    """A pattern means what it means in `SCAN MATCH`."""
    for stream in [*others, *matching]:
        place.add(stream, "a", stream)
    registration = place.register(noting(), pattern)
    place.start()
    assert sorted(place.seen(len(matching))) == sorted(matching)
    place.wait_done(registration, triggered=len(matching))
    assert len(place.seen(len(matching))) == len(matching)


def test_prefix_is_another_name_of_regex(place):
    """`prefix='s*'` registers on the same streams."""
    registration = place.register(noting(), prefix="s*")
    assert registration.endswith("StreamReader:s*")
    place.add("s1")
    place.start()
    assert place.seen(1) == ["1"]


@pytest.mark.parametrize("mode", ["async", "async_local"])
def test_the_asynchronous_modes_run_in_a_worker(everywhere, mode):
    """`async` and `async_local` are both executed."""
    place = everywhere
    registration = place.register(noting(), "s", mode=mode)
    place.start()
    place.add("s", "a", mode)
    assert place.seen(1) == [mode]
    assert place.info(registration).mode == mode


def test_mode_sync_says_that_it_needs_the_module(place):
    """Without the server module nothing is registered, and the message says what to load."""
    with pytest.raises(NeedsModule, match="loadmodule"):
        place.register(noting(), "s", mode="sync")
    assert place.client.registrations() == []


def test_batch_is_the_number_of_records_of_an_execution(everywhere):
    """Seven entries with `batch=3` are two executions of three; the seventh waits, and is not committed."""
    place = everywhere
    registration = place.register(sizes(), "s", batch=3)
    for _ in range(7):
        place.add("s")
    place.start()
    assert place.seen(2) == ["3", "3"]
    info = place.wait_info(registration, lambda info: info.lag == 1 and info.triggered == 2)
    assert (info.succeeded, info.records) == (2, 6)


def test_the_default_batch_is_one_record(everywhere):
    """Without `batch` each record is an execution of its own."""
    place = everywhere
    registration = place.register(sizes(), "s")
    for _ in range(3):
        place.add("s")
    place.start()
    assert place.seen(3) == ["1", "1", "1"]
    assert place.wait_done(registration, triggered=3).triggered == 3


def test_with_duration_0_a_partial_batch_waits_for_its_size(place):
    """Two of three records are executed only when the third has come, all three together."""
    with place.client.session("test"):
        sizes().register("slow", batch=3)
        streams().foreach(lambda _: execute("rpush", "other", "x")).register("quick")
    place.start()
    place.add("slow")
    place.add("slow")
    # Read after them, in the same connection: when this one is done, the others have been looked at.
    for count in range(1, 4):
        place.add("quick")
        place.seen(count, "other")
    assert place.link.call("EXISTS", "seen") == 0
    place.add("slow")
    assert place.seen(1) == ["3"]


def test_a_partial_batch_is_executed_after_its_duration(everywhere):
    """Two of three records are executed when the duration (in milliseconds) is over, and not before."""
    place = everywhere
    registration = place.register(sizes(), "s", batch=3, duration=300)
    place.start()
    started = place.link.call("TIME")
    place.add("s")
    place.add("s")
    assert place.seen(1) == ["2"]
    ended = place.link.call("TIME")
    passed = (int(ended[0]) - int(started[0])) + (int(ended[1]) - int(started[1])) / 1e6
    assert 0.29 < passed < 3
    place.wait_done(registration)


def test_a_full_batch_does_not_wait_for_the_duration(place):
    """With a duration of a minute, three records of three are executed at once."""
    place.register(sizes(), "s", batch=3, duration=60_000)
    place.start()
    for _ in range(3):
        place.add("s")
    assert place.seen(1) == ["3"]


def test_a_batch_larger_than_what_a_partition_prefetches_fills_up(place):
    """`batch` counts, whatever the settings hold ready in memory."""
    place.register(sizes(), "s", batch=250)
    place.start(prefetch=10, read_budget=20)
    place.link.pipeline([("XADD", "s", "*", "a", n) for n in range(500)])
    assert place.seen(2) == ["250", "250"]


def test_a_batch_of_large_records_fills_up(place):
    """A batch whose records need more memory than is read ahead still comes together."""
    place.register(sizes(), "s", batch=30)
    place.start()
    place.link.pipeline([("XADD", "s", "*", "a", b"x" * 1_000_000) for _ in range(30)])
    assert place.seen(1) == ["30"]


@pytest.mark.parametrize("argument", ["onRegistered", "OnRegistered"])
def test_on_registered_is_called_once_and_its_globals_are_the_steps(everywhere, argument):
    """What the callback puts in a global is there for the steps of every registration of the session."""
    place = everywhere
    source = f"""
def prepare():
    global number
    number = execute("incr", "prepared")

def note(record):
    execute("rpush", "seen", number)

GearsBuilder("StreamReader").foreach(note).register("s*", {argument}=prepare)
GearsBuilder("StreamReader").foreach(lambda record: note(record)).register("t*")
"""
    place.client.execute(source, session="script")
    place.start()
    for stream in ("s1", "s2", "t1"):
        place.add(stream)
    assert place.seen(3) == ["1", "1", "1"]
    assert place.link.call("GET", "prepared") == "1"


def test_on_registered_is_called_in_every_worker(place):
    """Two workers call it once each, before they execute anything."""
    place.register(noting(), "s", onRegistered=lambda: execute("incr", "prepared"))
    place.start()
    place.start()
    wait_for(lambda: place.link.call("GET", "prepared") == "2")


def test_on_registered_that_fails_is_shown_and_tried_again(place, monkeypatch):
    """Nothing is executed before the callback has succeeded; its error is the registration's last error."""
    monkeypatch.setattr("geartrain.worker.deployments._RETRY", 0.2)

    def prepare():
        if execute("incr", "tries") < 3:
            raise LookupError("not yet")
        execute("rpush", "seen", "prepared")

    registration = place.register(noting(), "s", onRegistered=prepare)
    place.add("s", "a", "record")
    place.start()
    assert place.seen(2) == ["prepared", "record"]
    assert place.link.call("GET", "tries") == "3"
    assert place.info(registration).last_error == "onRegistered raised LookupError: not yet"
    assert "in prepare" in place.client.show(registration).last_trace


def test_the_retry_policy_runs_the_batch_again_after_the_interval(everywhere):
    """The default policy: the batch fails, waits for `onFailedRetryInterval` seconds, and runs again until it does."""
    place = everywhere

    def fail_twice(record):
        tries = execute("incr", "tries")
        execute("rpush", "times", ".".join(execute("time")))
        if tries <= 2:
            raise ValueError(f"try {tries}")
        execute("rpush", "seen", record["a"])

    registration = place.register(streams().foreach(fail_twice), "s", onFailedRetryInterval=0.3)
    place.start()
    place.add("s", "a", "first")
    place.add("s", "a", "second")
    assert place.seen(2) == ["first", "second"]
    info = place.wait_done(registration, triggered=2)
    assert (info.triggered, info.succeeded, info.failed, info.aborted, info.retried) == (2, 2, 0, 0, 2)
    assert "ValueError: try 2" in info.last_error
    times = [float(f"{text.partition('.')[0]}.{int(text.partition('.')[2]):06}") for text in place.seen(3, "times")]
    assert times[1] - times[0] > 0.29
    assert times[2] - times[1] > 0.29


def test_the_default_policy_is_retry_with_one_second(place):
    """`register('s')` without more keeps a batch that fails and says so."""
    registration = place.register(streams().foreach(lambda _: 1 / 0), "s")
    arguments = place.client.show(registration).arguments
    assert (arguments["onFailedPolicy"], arguments["onFailedRetryInterval"], arguments["maxRetries"]) == (
        "retry",
        1,
        None,
    )


def test_the_abort_policy_stops_the_registration(everywhere):
    """The first failure is the last execution: the status is `aborted`, and nothing after the batch is executed."""
    place = everywhere

    def fail_on_2(record):
        execute("rpush", "seen", record["a"])
        if record["a"] == "2":
            raise ValueError("two")

    registration = place.register(streams().foreach(fail_on_2), "s", onFailedPolicy="abort")
    for number in range(1, 5):
        place.add("s", "a", number)
    place.start()
    info = place.wait_info(registration, lambda info: info.status == "aborted" and info.failed and info.lag == 3)
    assert (info.triggered, info.succeeded, info.failed, info.aborted, info.retried) == (2, 1, 1, 1, 0)
    assert "ValueError: two" in info.last_error
    assert place.seen(2) == ["1", "2"]


def test_the_continue_policy_goes_on_with_the_next_batch(everywhere):
    """A failure is counted, and the entries of its batch are done."""
    place = everywhere

    def fail_on_even(record):
        if int(record["a"]) % 2 == 0:
            raise ValueError(f"even: {record['a']}")
        execute("rpush", "seen", record["a"])

    registration = place.register(streams().foreach(fail_on_even), "s", onFailedPolicy="continue")
    for number in range(1, 6):
        place.add("s", "a", number)
    place.start()
    assert place.seen(3) == ["1", "3", "5"]
    info = place.wait_done(registration, triggered=5)
    assert (info.triggered, info.succeeded, info.failed, info.aborted, info.retried) == (5, 3, 2, 0, 0)
    assert "ValueError: even: 4" in info.last_error


def test_a_stream_that_fails_does_not_hold_up_the_others(place):
    """Under `retry`, one poisoned stream waits; the registration's other streams go on."""
    registration = place.register(
        streams().foreach(lambda record: execute("rpush", "seen", 1 // int(record["a"]))),
        "s*",
        onFailedRetryInterval=60,
    )
    place.add("s1", "a", 0)
    place.start()
    place.wait_info(registration, lambda info: info.retried == 1)
    for number in range(2, 6):
        place.add(f"s{number}", "a", 1)
    assert place.seen(4) == ["1"] * 4
    lags = {item.stream: item.lag for item in place.client.show(registration).partitions}
    assert lags["s1"] == 1


def test_the_interval_of_a_registration_may_be_zero(place):
    """`onFailedRetryInterval=0` tries again at once."""
    registration = place.register(
        streams().foreach(lambda _: 1 / 0 if execute("incr", "tries") < 20 else None), "s", onFailedRetryInterval=0
    )
    place.add("s")
    place.start()
    assert place.wait_done(registration).retried == 19


def test_settings_have_the_defaults_that_the_documents_promise():
    """A dead worker's partitions go to another after 10 seconds; a change is noticed within one."""
    settings = WorkerSettings()
    assert settings.lease_ttl == 10
    assert settings.poll_interval <= 1
    assert settings.commit_interval == 0.05
