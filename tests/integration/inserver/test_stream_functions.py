"""StreamReader functions in the server: batches, offsets, policies, entries of the past."""

from __future__ import annotations

from geartrain import GearsBuilder, execute, streamKey
from geartrain.config import Dialect
from geartrain.registry import Status, Store
from geartrain.wire import Endpoint, Link
from support.inserver import load_line, register, statistics
from support.waiting import wait_for


def keep(record):
    """Write down what a function was given."""
    execute("rpush", "seen", repr(record))


def keeps(pattern="s", **arguments):
    """A script that registers `keep`."""
    return lambda: GearsBuilder("StreamReader").foreach(keep).register(pattern, mode="sync", **arguments)


def seen(link):
    """What was written down."""
    return [eval(line) for line in link.call("LRANGE", "seen", 0, -1)]


def ids_seen(link):
    """The ids of the entries that were executed, in order."""
    return [record["streamId"] for record in seen(link)]


def group(link, stream="s"):
    """The registration's group, as the server shows it."""
    (flat,) = link.call("XINFO", "GROUPS", stream)
    return dict(zip(flat[::2], flat[1::2], strict=True))


def test_an_entry_is_executed_and_committed_before_the_reply(client):
    """The next command of the connection finds both; the lag is 0."""
    register(client, keeps())
    replies = client.pipeline([("XADD", "s", "1-1", "f", "v"), ("LRANGE", "seen", 0, -1), ("XINFO", "GROUPS", "s")])
    assert eval(replies[1][0]) == {"streamId": "1-1", "f": "v"}
    assert group(client)["last-delivered-id"] == "1-1"
    assert group(client)["lag"] == 0
    wait_for(lambda: statistics(client, "tests/StreamReader:s").records == 1)


def test_the_stream_of_an_execution_is_known(client):
    """streamKey() in a function, for each stream of a pattern."""
    register(
        client,
        lambda: (
            GearsBuilder("StreamReader")
            .foreach(lambda _: execute("rpush", "keys", streamKey()))
            .register("s:*", mode="sync")
        ),
    )
    client.call("XADD", "s:1", "*", "f", "v")
    client.call("XADD", "s:2", "*", "f", "v")
    assert client.call("LRANGE", "keys", 0, -1) == ["s:1", "s:2"]


def test_the_dialect_of_redisgears_1_2(client):
    """{'key', 'id', 'value'}."""
    register(client, keeps(), dialect=Dialect.REDISGEARS_1_2)
    client.call("XADD", "s", "1-1", "f", "v")
    assert seen(client) == [{"key": "s", "id": "1-1", "value": {"f": "v"}}]


def test_a_batch_is_executed_when_it_is_whole(client):
    """batch=3: with the third entry, all three; the rest waits."""
    register(client, lambda: GearsBuilder("StreamReader").count().foreach(keep).register("s", mode="sync", batch=3))
    for number in range(1, 6):
        client.call("XADD", "s", f"{number}-0", "f", "v")
    assert seen(client) == [3]
    assert group(client)["last-delivered-id"] == "3-0"
    client.call("XADD", "s", "6-0", "f", "v")
    assert seen(client) == [3, 3]


def test_after_the_duration_a_part_of_a_batch_is_executed(client):
    """batch=100, duration=50 ms."""
    register(client, keeps(batch=100, duration=50))
    client.call("XADD", "s", "1-0", "f", "v")
    assert ids_seen(client) == []
    wait_for(lambda: ids_seen(client) == ["1-0"])


def test_many_entries_of_one_transaction_keep_their_order(client):
    """All of them before the reply to EXEC, each once."""
    register(client, keeps())
    client.transaction([("XADD", "s", f"{number}-0", "f", "v") for number in range(1, 301)])
    assert ids_seen(client) == [f"{number}-0" for number in range(1, 301)]
    assert group(client)["lag"] == 0


def test_entries_from_before_the_registration_are_executed(client):
    """In order, over several slices, before those that come meanwhile."""
    client.pipeline([("XADD", "s", f"{number}-0", "f", "v") for number in range(1, 2001)])
    register(client, keeps("s*"))
    client.call("XADD", "s", "3000-0", "f", "v")
    wait_for(lambda: client.call("LLEN", "seen") == 2001)
    assert ids_seen(client) == [*(f"{number}-0" for number in range(1, 2001)), "3000-0"]
    wait_for(lambda: group(client)["lag"] == 0)


def test_from_id_is_where_a_stream_is_read_from_the_first_time(client):
    """An id, and `$`."""
    client.pipeline([("XADD", "s", f"{number}-0", "f", "v") for number in range(1, 4)])
    register(client, keeps(fromId="2-0"))
    wait_for(lambda: ids_seen(client) == ["2-0", "3-0"])
    client.call("DEL", "seen", "s")
    client.call("XADD", "t", "1-0", "f", "v")
    register(client, keeps("t", fromId="$"), session="second")
    client.call("XADD", "t", "9999999999999-0", "f", "v")
    assert ids_seen(client) == ["9999999999999-0"]


def test_after_a_restart_it_goes_on_where_it_was(fresh_server, flavour):
    """Hook, offset and entries survive; nothing is executed twice."""
    server = fresh_server(flavour, aof="always", options=load_line())
    with Link(Endpoint(server.url)) as client:
        register(client, keeps(batch=2))
        for number in range(1, 6):
            client.call("XADD", "s", f"{number}-0", "f", "v")
    server.kill()
    server.restart()
    with Link(Endpoint(server.url)) as client:
        client.call("XADD", "s", "6-0", "f", "v")
        wait_for(lambda: len(ids_seen(client)) == 6)
        assert ids_seen(client) == [f"{number}-0" for number in range(1, 7)]


def test_continue_counts_the_failure_and_goes_on(client):
    """The offset moves; the client's reply is none of its business."""

    def fails(record):
        if record["f"] == "bad":
            raise ValueError("no good")
        keep(record)

    register(
        client,
        lambda: GearsBuilder("StreamReader").foreach(fails).register("s", mode="sync", onFailedPolicy="continue"),
    )
    assert client.call("XADD", "s", "1-0", "f", "bad") == "1-0"
    client.call("XADD", "s", "2-0", "f", "v")
    assert ids_seen(client) == ["2-0"]
    found = wait_for(lambda: (found := statistics(client, "tests/StreamReader:s")).failed and found)
    assert (found.failed, found.succeeded) == (1, 1)
    assert "ValueError: no good" in found.last_error
    assert "fails" in found.last_trace


def test_retry_runs_the_batch_again_until_it_works(client):
    """Later entries wait behind it."""

    def waits(record):
        if execute("get", "open") is None:
            raise ValueError("not yet")
        keep(record)

    register(
        client,
        lambda: (
            GearsBuilder("StreamReader")
            .foreach(waits)
            .register("s", mode="sync", onFailedPolicy="retry", onFailedRetryInterval=0.02)
        ),
    )
    client.call("XADD", "s", "1-0", "f", "v")
    client.call("XADD", "s", "2-0", "f", "v")
    wait_for(lambda: statistics(client, "tests/StreamReader:s").retried >= 2)
    assert ids_seen(client) == []
    client.call("SET", "open", "1")
    wait_for(lambda: ids_seen(client) == ["1-0", "2-0"])
    client.call("XADD", "s", "3-0", "f", "v")
    assert ids_seen(client) == ["1-0", "2-0", "3-0"]


def test_abort_stops_the_registration_for_everybody(client):
    """Its status is `aborted`, nothing is committed, and later entries are not executed."""

    def fails(record):
        raise ValueError("no good")

    register(
        client, lambda: GearsBuilder("StreamReader").foreach(fails).register("s", mode="sync", onFailedPolicy="abort")
    )
    version = Store(client).version()
    client.call("XADD", "s", "1-0", "f", "v")
    client.call("XADD", "s", "2-0", "f", "v")
    assert Store(client).snapshot().status == {"tests/StreamReader:s": Status.ABORTED}
    assert Store(client).version() == version + 1
    assert group(client)["last-delivered-id"] == "0-0"
    found = wait_for(lambda: (found := statistics(client, "tests/StreamReader:s")).aborted and found)
    assert (found.aborted, found.failed) == (1, 1)


def test_retries_that_are_used_up_abort(client):
    """maxRetries=2."""

    def fails(record):
        raise ValueError("no good")

    register(
        client,
        lambda: (
            GearsBuilder("StreamReader")
            .foreach(fails)
            .register("s", mode="sync", onFailedPolicy="retry", onFailedRetryInterval=0.01, maxRetries=2)
        ),
    )
    client.call("XADD", "s", "1-0", "f", "v")
    wait_for(lambda: Store(client).snapshot().status == {"tests/StreamReader:s": Status.ABORTED})
    wait_for(lambda: statistics(client, "tests/StreamReader:s").retried == 2)


def test_trim_stream_deletes_what_every_group_is_done_with(client):
    """Another consumer group holds it back."""
    register(client, keeps(trimStream=True))
    client.call("XADD", "s", "1-0", "f", "v")
    assert client.call("XLEN", "s") == 0
    client.call("XGROUP", "CREATE", "s", "other", "1-0")
    client.call("XADD", "s", "2-0", "f", "v")
    client.call("XADD", "s", "3-0", "f", "v")
    assert client.call("XLEN", "s") == 2
    assert ids_seen(client) == ["1-0", "2-0", "3-0"]


def test_a_stream_that_is_deleted_and_made_again_is_read_from_its_beginning(client):
    """Its ids may be lower than before."""
    register(client, keeps())
    client.call("XADD", "s", "5-0", "f", "v")
    client.call("DEL", "s")
    client.call("XADD", "s", "1-0", "f", "v")
    client.call("XADD", "s", "2-0", "f", "v")
    assert ids_seen(client) == ["5-0", "1-0", "2-0"]


def test_a_function_that_deletes_its_stream_or_group_does_no_harm(client):
    """The next entry is executed as ever."""

    def deletes(record):
        keep(record)
        if record["f"] == "stream":
            execute("del", streamKey())
        if record["f"] == "group":
            execute("xgroup", "destroy", streamKey(), "geartrain:tests/StreamReader:s")

    register(client, lambda: GearsBuilder("StreamReader").foreach(deletes).register("s", mode="sync"))
    client.call("XADD", "s", "1-0", "f", "stream")
    client.call("XADD", "s", "2-0", "f", "group")
    client.call("XADD", "s", "3-0", "f", "v")
    assert ids_seen(client) == ["1-0", "2-0", "3-0"]


def test_a_key_that_is_no_stream_any_more_does_no_harm(client):
    """Another type under the same name, and then a stream again."""
    register(client, keeps())
    client.call("XADD", "s", "1-0", "f", "v")
    client.call("SET", "s", "a string")
    client.call("DEL", "s")
    client.call("XADD", "s", "1-0", "f", "v")
    assert ids_seen(client) == ["1-0", "1-0"]


def test_entries_that_a_function_adds_to_its_own_stream_wait_for_the_next_event(client):
    """A registration is not triggered by its own writes; nothing is lost and order is kept."""

    def adds(record):
        keep(record)
        if record["f"] == "first":
            execute("xadd", streamKey(), "*", "f", "own")

    register(client, lambda: GearsBuilder("StreamReader").foreach(adds).register("s", mode="sync"))
    client.call("XADD", "s", "*", "f", "first")
    client.call("XADD", "s", "*", "f", "second")
    assert [record["f"] for record in seen(client)] == ["first", "own", "second"]


def test_several_registrations_read_the_same_stream(client):
    """Each with its own offset."""
    register(client, lambda: (keeps(name="a")(), keeps(name="b")()))
    client.call("XADD", "s", "1-0", "f", "v")
    assert ids_seen(client) == ["1-0", "1-0"]
