"""The client's side: a job is given to workers, and their replies are waited for (`geartrain.runs.tickets`)."""

from __future__ import annotations

import base64
import hmac
import json
import pickle
import secrets
import time
from collections.abc import Callable, Iterable
from enum import Enum
from types import ModuleType

from geartrain import keys
from geartrain.errors import BadSignature, CodeError
from geartrain.pipeline import Collected, watched
from geartrain.registry.code import PYTHON, SECRET_VARIABLE, dumps, signature
from geartrain.runs.failures import unpacked
from geartrain.runs.job import Job, Share, Stopped
from geartrain.runs.tickets import PATIENCE, RUN_TTL, SLACK, Reply, Ticket, milliseconds, signed_job
from geartrain.wire import Access, Argument

_LOOK = 0.25
"""Seconds that the client waits for a reply before it looks after the claim."""

_GRACE = 1.0
"""Seconds between the taking of a ticket and its claim, or between a claim's end and the reply, at the most."""


class Why(Enum):
    """Why a part was not done."""

    UNTAKEN = "no worker took it"
    RETURNED = "the worker ends, and gave it back"
    DIED = "the worker died"


class NotDone(Exception):
    """No worker has done it; `why` says more."""

    def __init__(self, why: Why) -> None:
        self.why = why
        super().__init__(why.value)


class Refused(Exception):
    """Workers cannot run this code; the message says why."""


class Failed(Exception):
    """The job raised, in the worker; `error` is what it raised."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        super().__init__(str(error))


class Delegation:
    """A job that workers may do, of one run. Thread-safe, as long as each thread gives a link of its own.

    Args:
        link: a connection.
        job: what each shard is to do.
        by_value: modules that workers may lack.
        environment: whose workers may do it.

    Raises:
        CodeError: the job cannot be pickled.
    """

    def __init__(self, link: Access, job: Job, by_value: Iterable[ModuleType], environment: str = "") -> None:
        progress = watched()
        if progress is not None:
            progress.late(SLACK)
        self._tasks = keys.run_tasks(PYTHON, environment)
        self.run = secrets.token_hex(8)
        try:
            blob = dumps(job, by_value)
        except Exception as error:
            raise CodeError(f"run(): its functions cannot be pickled: {error}") from error
        fields: dict[str, Argument] = {
            "blob": blob,
            "python": PYTHON,
            "signature": signature(signed_job(self.run), PYTHON, blob),
        }
        key = keys.run_job(self.run)
        link.transaction(
            [
                ("HSET", key, *(item for pair in fields.items() for item in pair)),
                ("PEXPIRE", key, milliseconds(RUN_TTL)),
            ]
        )

    def ask(self, link: Access, part: int, attempt: int, share: Share, stopped: Callable[[], bool]) -> Collected:
        """Let a worker do one part; its results, and the errors of single records.

        Raises:
            NotDone: no worker has done it.
            Refused: workers cannot.
            Failed: it raised there.
            Stopped: `stopped` said so.
            BadSignature: there is a secret, and the reply is not signed with it.
        """
        ticket = Ticket(self.run, part, attempt, share)
        link.pipeline(
            [
                ("RPUSH", self._tasks, ticket.to_json()),
                ("PEXPIRE", self._tasks, milliseconds(RUN_TTL)),
            ]
        )
        kind, blob = _Waiting(link, ticket, stopped, self._tasks).reply()
        match kind:
            case Reply.RESULTS:
                collected: Collected = pickle.loads(blob)  # noqa: S301 - its signature has been checked
                return collected
            case Reply.FAILED:
                raise Failed(unpacked(blob))
            case Reply.REFUSED:
                raise Refused(blob.decode("utf-8", "replace"))
            case Reply.RETURNED:
                raise NotDone(Why.RETURNED)

    def end(self, link: Access) -> None:
        """Nothing more is wanted: workers that are still at it stop."""
        link.call("DEL", keys.run_job(self.run))


class _Waiting:
    """The client's wait for one reply."""

    def __init__(self, link: Access, ticket: Ticket, stopped: Callable[[], bool], tasks: bytes) -> None:
        self._link = link
        self._tasks = tasks
        self._ticket = ticket
        self._stopped = stopped
        self._begun = self._kept = time.monotonic()
        self._alone: float | None = None  # since when nobody has the ticket, and it is not to be had either
        self._claim: str | None = None  # what the worker said last
        self._progress = watched()
        if self._progress is not None:
            self._progress.moved()

    def reply(self) -> tuple[Reply, bytes]:
        """Kind and content."""
        chunks: list[bytes] = []
        while True:
            if self._stopped():
                self._withdraw()
                raise Stopped
            self._keep()
            found = self._link.call("BLPOP", self._ticket.reply, _LOOK)
            if found is None:
                self._look()
                continue
            self._moved()
            if found[1].startswith("{"):
                return _checked(self._ticket, json.loads(found[1]), b"".join(chunks))
            chunks.append(base64.b64decode(found[1]))

    def _keep(self) -> None:
        """Say that somebody waits."""
        now = time.monotonic()
        if now > self._kept + RUN_TTL / 5:
            self._kept = now
            self._link.call("PEXPIRE", keys.run_job(self._ticket.run), milliseconds(RUN_TTL))

    def _look(self) -> None:
        """Nothing has come for a while: is it being done?"""
        now = time.monotonic()
        if now < self._begun + PATIENCE:
            return
        claim = self._link.call("GET", keys.run_claim(self._ticket.name))
        if claim is not None:
            self._alone = None
            if claim != self._claim:
                self._claim = claim
                self._moved()
        elif self._withdraw():
            raise NotDone(Why.UNTAKEN)
        elif self._alone is None:
            self._alone = now
        elif now > self._alone + _GRACE:
            self._link.call("DEL", self._ticket.reply)
            raise NotDone(Why.DIED)

    def _moved(self) -> None:
        if self._progress is not None:
            self._progress.moved()

    def _withdraw(self) -> bool:
        """Take the ticket back; whether nobody had taken it."""
        return bool(self._link.call("LREM", self._tasks, 0, self._ticket.to_json()))


def _checked(ticket: Ticket, said: dict[str, str], blob: bytes) -> tuple[Reply, bytes]:
    kind = Reply(said["kind"])
    if kind in {Reply.REFUSED, Reply.RETURNED}:
        # Perhaps because the secrets differ; nothing of it is unpickled.
        return kind, blob
    expected = signature(ticket.reply_name(kind), PYTHON, blob)
    if expected and not hmac.compare_digest(expected, said["signature"]):
        raise BadSignature(f"run(): {SECRET_VARIABLE} is set here, and a worker's reply is not signed with that secret")
    return kind, blob
