"""kill -9 at random moments, everything synced: a write and its entry are both there, or neither."""

from __future__ import annotations

import os
import threading

import pytest

from geartrain.text import to_bytes
from support.hooks import entries, set_hook
from support.waiting import wait_for
from support.writing import Writer

ROUNDS = int(os.environ.get("GEARTRAIN_KILL_ROUNDS", "30"))
LONGEST = 0.15
"""Seconds that the clients of one round write."""


def keys_and_entries(link):
    """The written keys that are there with their values, and the keys of the outbox's entries."""
    names = [to_bytes(name) for name in link.call("KEYS", "w*")]
    values = link.call("MGET", *names) if names else []
    found = [entry.key for entry in entries(link)]
    return dict(zip(names, map(to_bytes, values), strict=True)), found


def write_file_anew(link):
    """Have Redis write its append-only file anew, after a crash.

    One that ends within a transaction (the kill came in the middle of a write) is cut behind the transaction's last
    whole command, and what is appended goes on in it: at the next start but one half of it is executed. Redis 8.2 does
    so with plain MULTI too, without the module; Valkey 9.1 cuts before the transaction.
    """
    if "valkey" in link.call("INFO", "server"):
        return
    link.call("BGREWRITEAOF")
    wait_for(lambda: not {"aof_rewrite_in_progress:1", "aof_rewrite_scheduled:1"} & set(link.call("INFO").split()))


@pytest.mark.timeout(240)
@pytest.mark.parametrize("rewriting", [False, True], ids=["", "rewriting"])
def test_killed_at_any_moment(fresh_server, module_flavour, connect, seed, rewriting):
    """Each acknowledged SET has its entry, no entry is without its write; hooks are there after each start."""
    server = fresh_server(module_flavour, aof="always", module={})
    link = connect(server)
    set_hook(link, pattern="w*")
    for number in range(ROUNDS // 3 if rewriting else ROUNDS):
        writers = [Writer(server.url, f"w{number}-{name}", depth) for name, depth in (("a", 1), ("b", 40))]
        with writers[0], writers[1]:
            writers[0].wait(1)
            if rewriting:
                link.call("BGREWRITEAOF")
            timer = threading.Timer(seed.uniform(0, LONGEST), server.kill)
            timer.start()
            timer.join()
        link.close()
        server.restart()
        written, found = keys_and_entries(link)
        acknowledged = {writer.key(at) for writer in writers for at in range(writer.acknowledged)}
        sent = {writer.key(at) for writer in writers for at in range(writer.sent)}
        assert acknowledged <= set(written), f"round {number}: acknowledged, and lost"
        assert set(written) == set(found), f"round {number}: a write without its entry, or the other way round"
        assert len(found) == len(set(found)), f"round {number}: an entry came twice"
        assert set(written) <= sent
        assert all(name.rpartition(b":")[2] == value for name, value in written.items())
        assert len(acknowledged) > 0
        write_file_anew(link)
        link.call("DEL", *written)
        link.call("XTRIM", link.call("KEYS", "geartrain:*")[0], "MAXLEN", 0)


def test_killed_within_transactions_and_scripts(fresh_server, module_flavour, connect, seed):
    """All of a transaction's keys and entries, or none."""
    server = fresh_server(module_flavour, aof="always", module={})
    link = connect(server)
    set_hook(link, pattern="w*")
    for number in range(max(ROUNDS // 5, 2)):
        writer = connect(server)
        timer = threading.Timer(seed.uniform(0.01, LONGEST), server.kill)
        timer.start()
        done = write_pairs(writer, f"w{number}")
        timer.join()
        link.close()
        server.restart()
        written, found = keys_and_entries(link)
        assert set(written) == set(found)
        assert len(written) in {2 * done, 2 * done + 2}
        write_file_anew(link)
        if written:
            # Not where it was killed before the first one.
            link.call("DEL", *written)
            link.call("XTRIM", link.call("KEYS", "geartrain:*")[0], "MAXLEN", 0)


def write_pairs(link, name):
    """Write two keys at once, by MULTI and by a script in turn, until the server has gone; how many were answered."""
    from geartrain.errors import ServerUnavailable

    for number in range(1_000_000):
        commands = [("SET", f"{name}:{number}:{half}", half) for half in "ab"]
        try:
            if number % 2:
                link.transaction(commands)
            else:
                script = "redis.call('SET', KEYS[1], 'a') return redis.call('SET', KEYS[2], 'b')"
                link.call("EVAL", script, 2, commands[0][1], commands[1][1])
        except ServerUnavailable:
            return number
    raise AssertionError
