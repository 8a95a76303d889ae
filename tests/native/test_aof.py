"""The append-only file and snapshots: an entry is in them with its write, and hooks are there after a restart."""

from __future__ import annotations

import pytest

from support.hooks import HookState, captured, entries, hooks, information, outbox, raw_entries, set_hook
from support.waiting import wait_for


@pytest.fixture
def durable(fresh_server, module_flavour):
    """A server whose every write is synced."""
    return fresh_server(module_flavour, aof="always", module={})


def commands_in(server):
    """What the append-only files that are written to hold, as lists of words."""
    data = b"".join(path.read_bytes() for path in sorted((server.directory / "appendonlydir").glob("*.incr.aof")))
    text = b"\r\n".join(line for line in data.split(b"\r\n") if not line.startswith(b"#"))
    return [command for command in parse_all(text) if command[0].upper() != "SELECT"]


def parse_all(data):
    """The commands of an append-only file."""
    found, lines, at = [], data.split(b"\r\n"), 0
    while at < len(lines) and lines[at]:
        count = int(lines[at][1:])
        found.append([lines[at + 2 * number + 2].decode() for number in range(count)])
        at += 1 + 2 * count
    return found


def restart(server, how, *links):
    """Stop or kill it, and start it again; the connections are made again when they are used."""
    getattr(server, how)()
    for link in links:
        link.close()
    server.restart()


def rewritten(link, what):
    """Wait until a rewrite or a save is done."""
    wait_for(lambda: information(link, "persistence")[what] == "0", 20)


def test_the_file_holds_write_and_entry_as_one_transaction(durable, connect):
    """MULTI, the write, XADD with the id that the entry has, EXEC; one for each unit, whatever is in it."""
    link = connect(durable)
    set_hook(link, pattern="k*")
    link.call("SET", "k", "v")
    link.call("SET", "other", "v")
    link.transaction([("SET", "k", "w"), ("DEL", "k")])
    link.call("EVAL", "redis.call('SET', 'k', 'x'); redis.call('SET', 'other', 'x')", 0)
    ids = [identity for identity, _ in raw_entries(link)]
    adds = [
        ["XADD", outbox(link), identity, "event", event, "key", "k", "type", kind]
        for identity, event, kind in zip(
            ids, ["set", "set", "del", "set"], ["string", "string", "none", "string"], strict=True
        )
    ]
    found = commands_in(durable)
    assert found[1:] == [
        *(["MULTI"], ["SET", "k", "v"], adds[0], ["EXEC"]),
        ["SET", "other", "v"],
        *(["MULTI"], ["SET", "k", "w"], ["DEL", "k"], adds[1], adds[2], ["EXEC"]),
        *(["MULTI"], ["SET", "k", "x"], ["SET", "other", "x"], adds[3], ["EXEC"]),
    ]
    assert found[0][:3] == ["GEARTRAIN.HOOK", "SET", "h"]


def test_an_atomic_block_is_one_transaction_in_the_file(durable, connect):
    """Its writes, then their entries."""
    link = connect(durable)
    set_hook(link)
    for command in (("GEARTRAIN.ATOMIC", 5000), ("SET", "a", 1), ("INCR", "a"), ("GEARTRAIN.ATOMIC", "END")):
        link.call(*command)
    assert [command[0] for command in commands_in(durable)[1:]] == ["MULTI", "SET", "INCR", "XADD", "XADD", "EXEC"]


def test_an_expired_key_is_in_the_file_with_its_entry(durable, connect):
    """The server's own deletion and the entry are one transaction."""
    link = connect(durable)
    set_hook(link, events="expired")
    link.call("SET", "k", 1, "PX", 1)
    wait_for(lambda: entries(link))
    found = commands_in(durable)
    at = next(number for number, command in enumerate(found) if command[0] in {"DEL", "UNLINK"})
    assert [command[0] for command in found[at - 1 : at + 3]] == ["MULTI", found[at][0], "XADD", "EXEC"]


@pytest.mark.parametrize("how", ["stop", "kill"])
@pytest.mark.parametrize("preamble", ["yes", "no"])
@pytest.mark.parametrize("rewrite", [True, False])
def test_a_restart_from_the_file(fresh_server, module_flavour, connect, how, preamble, rewrite):
    """Hooks, outboxes, and events from the first write on; nothing is captured twice while the file is read."""
    server = fresh_server(module_flavour, aof="always", module={}, options={"aof-use-rdb-preamble": preamble})
    link, other = connect(server), connect(server, 2)
    set_hook(link, "h", version=7, pattern="k*", events="set del", types="string none")
    set_hook(link, "gone")
    link.call("GEARTRAIN.HOOK", "DEL", "gone")
    set_hook(other, "h", partitions=2, snapshot=1, limit=100)
    link.pipeline([("SET", f"k{number}", number) for number in range(100)])
    other.call("HSET", "x", "f", "v")
    if rewrite:
        link.call("BGREWRITEAOF")
        rewritten(link, "aof_rewrite_in_progress")
        link.call("SET", "k-after", 1)
    before = raw_entries(link)
    restart(server, how, link, other)
    if rewrite and preamble == "no":
        # Such a file has keys only: hooks come back when a worker, or anybody, sets them.
        assert hooks(link) == {}
        return
    assert {name: (hook.version, hook.error) for name, hook in hooks(link).items()} == {"h": ("7", "")}
    assert raw_entries(link) == before
    link.pipeline([("SET", "k-new", 1), ("LPUSH", "k-list", 1), ("SET", "new", 1)])
    assert captured(link)[len(before) :] == [("set", b"k-new")]
    other.call("HSET", "x", "f", "v")
    found = [entry for at in range(2) for entry in entries(other, partition=at)]
    assert len(found) == 2
    assert all(entry.value for entry in found)


def test_a_restart_from_a_snapshot(fresh_server, module_flavour, connect):
    """SAVE: hooks of all databases, and their outboxes; none that was deleted."""
    server = fresh_server(module_flavour, aof="no", module={}, options={"appendonly": "no", "appendfsync": "no"})
    link, other = connect(server), connect(server, 15)
    set_hook(link, "h", pattern=b"k\x00*")
    set_hook(other, "other", snapshot=1)
    link.call("SET", b"k\x00\xff", 1)
    link.call("SAVE")
    link.call("SET", b"k\x00lost", 1)
    restart(server, "kill", link, other)
    assert hooks(link) == {"h": HookState("h", "1", "", 0, 0)}
    assert list(hooks(other)) == ["other"]
    link.call("SET", b"k\x00new", 1)
    assert [entry.key for entry in entries(link)] == [b"k\x00\xff", b"k\x00new"]
    link.call("GEARTRAIN.HOOK", "DEL", "h")
    other.call("FLUSHALL")
    link.call("SAVE")
    restart(server, "stop", link, other)
    assert hooks(link) == hooks(other) == {}


def test_a_file_that_is_switched_on_at_run_time_has_every_entry(fresh_server, module_flavour, connect):
    """Nothing of ours is replicated while nobody reads it; whoever comes gets all from that moment on."""
    server = fresh_server(
        module_flavour, aof="always", module={}, options={"appendonly": "no", "appendfsync": "always", "save": '""'}
    )
    link = connect(server)
    set_hook(link)
    link.pipeline([("SET", f"before{number}", 1) for number in range(100)])
    link.call("CONFIG", "SET", "appendonly", "yes")
    link.pipeline([("SET", f"during{number}", 1) for number in range(100)])
    rewritten(link, "aof_rewrite_in_progress")
    wait_for(lambda: information(link, "persistence")["aof_enabled"] == "1")
    link.call("SET", "after", 1)
    before = raw_entries(link)
    assert len(before) == 201
    server.kill()
    link.close()
    again = fresh_server(module_flavour, aof="always", module={}, directory=server.directory)
    assert raw_entries(connect(again)) == before


def test_debug_reload_keeps_hooks_and_outboxes(fresh_server, module_flavour, connect):
    """The data are written and read again in the living server."""
    server = fresh_server(module_flavour, module={}, options={"enable-debug-command": "local"})
    link = connect(server)
    set_hook(link)
    link.call("SET", "k", 1)
    for words in (("RELOAD",), ("LOADAOF",)):
        if words == ("LOADAOF",):
            link.call("CONFIG", "SET", "appendonly", "yes")
            rewritten(link, "aof_rewrite_in_progress")
        before = raw_entries(link)
        link.call("DEBUG", *words)
        assert list(hooks(link)) == ["h"]
        assert raw_entries(link) == before
        link.call("SET", "k", 1)
        assert len(raw_entries(link)) == len(before) + 1
