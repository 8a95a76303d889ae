"""Chance against calls: whatever workers answer, and whoever vanishes when, every caller that is there gets a reply.

Each test runs for GEARTRAIN_FUZZ_SECONDS (2); the seed is printed.
"""

from __future__ import annotations

import os
import time

import hiredis

from support.calls import Raw, figures, wait_blocked
from support.hooks import set_hook
from support.waiting import wait_for

SECONDS = float(os.environ.get("GEARTRAIN_FUZZ_SECONDS", "2"))

PIECES = [
    b"*",
    b"%",
    b"~",
    b"$",
    b":",
    b"+",
    b"-",
    b"_",
    b"#t",
    b",",
    b"(",
    b"=",
    b"\r\n",
    b"\r",
    b"\n",
    b"0",
    b"1",
    b"2",
    b"-1",
]
WORDS = [
    b"*2\r\n",
    b"%1\r\n",
    b"~1\r\n",
    b":1\r\n",
    b"$1\r\nx\r\n",
    b"_\r\n",
    b"#f\r\n",
    b",1.5\r\n",
    b"-ERR x\r\n",
    b"+x\r\n",
    b"=5\r\ntxt:x\r\n",
]
LOOSE = [b",", b"-1", b"0", b"(", b":", b"+"]
"""What a value has that may be written in several ways."""
LANES = ["a", "b", "trigger"]


def rounds():
    """Numbers, for as long as a test is to run."""
    until, number = time.monotonic() + SECONDS, 0
    while time.monotonic() < until:
        yield number
        number += 1


def some_blob(seed):
    """Bytes that are a value in RESP3, or nearly, or not at all."""
    kind = seed.randrange(3)
    if kind == 0:
        return b"".join(seed.choices(WORDS, k=seed.randrange(1, 9)))
    if kind == 1:
        return b"".join(seed.choices(PIECES, k=seed.randrange(1, 9)))
    return seed.randbytes(seed.randrange(12))


def test_any_blob_is_a_reply_or_an_error_to_both(db, raw, seed):
    """Whichever it is: RESP3 comes as it was given, and the connections of both stay in step."""
    worker, callers = raw(), [raw(2), raw(3)]
    taken = 0
    for _ in rounds():
        protocol = seed.choice([2, 3])
        caller = callers[protocol - 2]
        worker.send("GEARTRAIN.SERVE", 60_000, "a")
        wait_blocked(db, worker)
        caller.send("GEARTRAIN.CALL", "a", "x")
        blob = some_blob(seed)
        said = worker.call("GEARTRAIN.ANSWER", worker.receive()[0], blob)
        got = caller.receive_bytes()
        if isinstance(said, hiredis.HiredisError):
            assert got.startswith(b"-ERR the worker's answer is no value in RESP3")
            continue
        taken += 1
        assert said == 1
        if protocol == 3 and not any(mark in blob for mark in LOOSE):
            assert got == blob
    assert taken


class Play:
    """Workers and callers that come, go and do what chance says."""

    def __init__(self, raw, db, seed):
        self.raw = raw
        self.db = db
        self.seed = seed
        self.workers: list[Raw] = []
        self.callers: list[Raw] = []
        self.taken: list[int] = []
        self.killed: set[int] = set()

    def step(self):
        """One thing that happens."""
        choices = [self.new_worker, self.new_caller, self.serve, self.call, self.call, self.answer, self.answer]
        choices += [self.give_back, self.drop_worker, self.drop_caller, self.unblock, self.kill, self.change_hook]
        self.seed.choice(choices)()
        self.look()

    def look(self):
        """Read what has come, and keep the calls that were handed out."""
        for connection in [*self.workers, *self.callers]:
            try:
                while connection.has_reply():
                    reply = connection.receive()
                    connection.busy = False
                    if isinstance(reply, list) and len(reply) == 7:
                        self.taken.append(reply[0])
            except (EOFError, ConnectionError):
                self.forget(connection)

    def forget(self, connection):
        """It is no longer there."""
        connection.close()
        for known in (self.workers, self.callers):
            if connection in known:
                known.remove(connection)

    def connection(self):
        """A new one."""
        made = self.raw(self.seed.choice([2, 3]))
        made.busy = False
        return made

    def new_worker(self):
        """Somebody comes who serves."""
        if len(self.workers) < 6:
            self.workers.append(self.connection())

    def new_caller(self):
        """Somebody comes who calls."""
        if len(self.callers) < 12:
            self.callers.append(self.connection())

    def idle(self, connections):
        """One that does not wait for anything."""
        free = [item for item in connections if not item.busy]
        return self.seed.choice(free) if free else None

    def serve(self):
        """For a while, or until the end."""
        worker = self.idle(self.workers)
        if worker:
            worker.busy = True
            lanes = self.seed.sample(LANES, self.seed.randrange(1, 4))
            worker.send("GEARTRAIN.SERVE", self.seed.choice([0, 1, 5, 1000]), *lanes)

    def call(self):
        """A trigger in order or not, or a call."""
        caller = self.idle(self.callers)
        if caller:
            caller.busy = True
            word = self.seed.choice(
                [("RG.TRIGGER", "ordered"), ("RG.TRIGGER", "free"), ("GEARTRAIN.CALL", "a"), ("GEARTRAIN.CALL", "b")]
            )
            caller.send(*word, self.seed.randbytes(self.seed.randrange(20)))

    def answer(self):
        """In any order, with anything; from whatever connection."""
        if self.taken:
            number = self.taken.pop(self.seed.randrange(len(self.taken)))
            blob = some_blob(self.seed) if self.seed.random() < 0.3 else b"+x\r\n"
            commands = [("GEARTRAIN.ANSWER", number, blob)]
            if self.callers and self.seed.random() < 0.3:
                commands.insert(self.seed.randrange(2), self.killing(self.callers))
            self.db.pipeline(commands)

    def give_back(self):
        """To its lane."""
        if self.taken:
            self.db.pipeline([("GEARTRAIN.RETURN", self.taken.pop(self.seed.randrange(len(self.taken))))])

    def drop_worker(self):
        """In the middle of anything."""
        if self.workers and self.seed.random() < 0.5:
            self.forget(self.seed.choice(self.workers))

    def drop_caller(self):
        """The same."""
        if self.callers and self.seed.random() < 0.5:
            self.forget(self.seed.choice(self.callers))

    def unblock(self):
        """Somebody, in either way."""
        everybody = [*self.workers, *self.callers]
        if everybody:
            how = self.seed.choice(["TIMEOUT", "ERROR"])
            self.db.pipeline([("CLIENT", "UNBLOCK", self.seed.choice(everybody).id, how)])

    def kill(self):
        """From the server's side."""
        everybody = [*self.workers, *self.callers]
        if everybody and self.seed.random() < 0.3:
            self.db.pipeline([self.killing(everybody)])

    def killing(self, connections):
        """The command that ends one of them."""
        victim = self.seed.choice(connections).id
        self.killed.add(victim)
        return ("CLIENT", "KILL", "ID", victim)

    def change_hook(self):
        """The trigger goes, or comes with another order."""
        if self.seed.random() < 0.2:
            set_hook(
                self.db,
                "ordered",
                version=self.version(),
                reader="command",
                trigger="ordered",
                inorder=self.seed.randrange(2),
            )
        elif self.seed.random() < 0.05:
            self.db.call("GEARTRAIN.HOOK", "DEL", "ordered")

    def version(self):
        """One that is not older than the last."""
        return int(time.time() * 1e6)


def test_whoever_comes_and_goes_nobody_waits_for_ever(db, raw, seed):
    """At the end one worker answers all that is left: then nothing waits, and nothing runs."""
    set_hook(db, "ordered", reader="command", trigger="ordered", inorder=1)
    set_hook(db, "free", reader="command", trigger="free")
    play = Play(raw, db, seed)
    for _ in rounds():
        play.step()
    # Workers that hold calls go: their callers get an error. Then somebody serves who does nothing else.
    for worker in list(play.workers):
        play.forget(worker)
    last = raw()
    while True:
        reply = last.call("GEARTRAIN.SERVE", 100, *LANES)
        if reply is None:
            break
        assert db.call("GEARTRAIN.ANSWER", reply[0], b"+x\r\n") in {0, 1}
    for caller in play.callers:
        if caller.id in play.killed:
            continue
        if caller.busy:
            caller.receive()
        assert caller.call("PING") == b"PONG"
    wait_for(lambda: (figures(db)["waiting"], figures(db)["running"], figures(db)["servers"]) == (0, 0, 1))
