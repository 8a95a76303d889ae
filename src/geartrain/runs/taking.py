"""The worker's side: tickets are taken, jobs read, replies given (`geartrain.runs.tickets`)."""

from __future__ import annotations

import base64
import hmac
import json
import pickle
import time
from collections.abc import Callable

from geartrain import keys
from geartrain.errors import BadSignature, CodeError
from geartrain.readers.entries import fields_of
from geartrain.registry.code import PYTHON, SECRET_VARIABLE, signature
from geartrain.runs.job import Job, Stopped
from geartrain.runs.tickets import CHUNK, CLAIM_TTL, MOST_WAITING, RUN_TTL, Reply, Ticket, milliseconds
from geartrain.text import to_bytes
from geartrain.wire import Access


def take(link: Access, seconds: float, environment: str = "") -> Ticket | None:
    """Wait for a ticket for workers of this Python and that environment; None: there is none."""
    found = link.call("BLPOP", keys.run_tasks(PYTHON, environment), seconds)
    return None if found is None else Ticket.from_json(found[1])


def give_back(link: Access, ticket: Ticket, environment: str = "") -> None:
    """Let another worker of that environment take a ticket."""
    link.call("LPUSH", keys.run_tasks(PYTHON, environment), ticket.to_json())


def claim(link: Access, ticket: Ticket, worker: str, count: int = 0) -> bool:
    """Say that a worker is at it; whether anybody still waits for it. `count` changes where there is progress."""
    link.call("SET", keys.run_claim(ticket.name), f"{worker} {count}", "PX", milliseconds(CLAIM_TTL))
    return bool(link.call("EXISTS", keys.run_job(ticket.run)))


def job_of(link: Access, ticket: Ticket) -> Job | None:
    """The job; None: nobody waits for it any more.

    Raises:
        BadSignature: it is not signed with the secret of this worker, or with one where this worker has none.
        CodeError: it cannot be unpickled here.
    """
    flat = link.call("HGETALL", keys.run_job(ticket.run))
    if not flat:
        return None
    stored = fields_of(flat)
    blob, signed = to_bytes(stored["blob"]), str(stored["signature"])
    expected = signature(ticket.job_name, PYTHON, blob)
    if not hmac.compare_digest(expected, signed):
        raise BadSignature(
            f"{SECRET_VARIABLE} is not the same where run() was called and where this worker runs (or is set for one of"
            " them only)"
        )
    try:
        job: Job = pickle.loads(blob)  # noqa: S301 - what `check` is for
    except Exception as error:
        raise CodeError(f"its code cannot be loaded there: {type(error).__name__}: {error}") from error
    return job


def answer(link: Access, ticket: Ticket, kind: Reply, blob: bytes, stopped: Callable[[], bool]) -> None:
    """Give the client what it waits for, piece by piece as it takes it.

    Raises:
        Stopped: nobody waits any more.
    """
    for start in range(0, len(blob), CHUNK):
        waiting = _push(link, ticket, base64.b64encode(blob[start : start + CHUNK]).decode())
        while waiting > MOST_WAITING:
            if stopped():
                raise Stopped
            time.sleep(0.01)
            waiting = link.call("LLEN", ticket.reply)
    _push(link, ticket, json.dumps({"kind": kind, "signature": signature(ticket.reply_name(kind), PYTHON, blob)}))


def finished(link: Access, ticket: Ticket) -> None:
    """The worker is done with it."""
    link.call("DEL", keys.run_claim(ticket.name))


def _push(link: Access, ticket: Ticket, element: str) -> int:
    waiting, _ = link.transaction(
        [("RPUSH", ticket.reply, element), ("PEXPIRE", ticket.reply, milliseconds(RUN_TTL))]
    ) or (0, 0)
    return int(waiting)
