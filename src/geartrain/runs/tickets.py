"""How a job comes to a worker, and its results back: the keys of one `run()`.

    client                                   database                                     worker
    HSET run:<run> (the pickled job) ──────> {registry}
    RPUSH tasks:<python> (a ticket) ───────> {registry} ──BLPOP──────────────────────────> takes the ticket
                                             {registry} <──SET claim:... PX, again and again── works
    BLPOP reply:... <──────────────────────  the shard's slot <──RPUSH, a chunk each time── gives the results

A ticket names run, part and try; a part is one shard's, or a portion of it. Each try of a part has a ticket of its own,
so that nothing of one that was given up is taken for the next one's.

* Nobody takes the ticket within `PATIENCE`: the client takes it back (`LREM`), and does the job itself.
* The claim is gone, and there is no reply: the worker died. The client writes another ticket.
* The claim changes as long as there is progress (`Job.watched`).
* The client is gone: `run:<run>`, which it keeps alive, expires; the worker sees that, and stops at the next record.

Chunks are base64: the parser decodes text, and bytes that are none cost it a call each. A worker waits while more than
`MOST_WAITING` of them wait. The last element of a reply is JSON: what kind it is, and the signature of all chunks.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from geartrain import keys
from geartrain.readers import Layout, Portion
from geartrain.runs.job import Share

PATIENCE = 1.0
"""Seconds after which the client does itself what no worker has taken."""

CLAIM_TTL = 4.0
"""Seconds after its last sign of life that a worker counts as dead. Shorter: sooner tried again; user code that keeps
the interpreter busy for that long (one call into C) is taken for a death."""

SLACK = 1.5
"""Seconds by which the client hears late of a worker's progress, at the most: its signs of life come once a second."""

RUN_TTL = 30.0
"""Seconds that a job outlives its client."""

CHUNK = 1024 * 1024
"""Bytes of results in one element of a reply."""

MOST_WAITING = 16
"""Elements of a reply that wait for the client, at the most."""


class Reply(StrEnum):
    """What a worker answers."""

    RESULTS = "results"
    FAILED = "failed"
    REFUSED = "refused"
    RETURNED = "returned"


@dataclass(frozen=True, slots=True)
class Ticket:
    """One try of one part.

    Attributes:
        run: the run's id.
        part: which part; 0 is the first.
        attempt: which try; 0 is the first.
        share: whose records; its slot is where the reply goes.
    """

    run: str
    part: int
    attempt: int
    share: Share

    @property
    def name(self) -> str:
        """As it stands in names of keys."""
        return f"{self.run}:{self.part}-{self.attempt}"

    @property
    def reply(self) -> bytes:
        """The key of the reply."""
        return keys.run_reply(self.share.slot, self.name)

    def to_json(self) -> str:
        """As it travels."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Ticket:
        """From what `to_json` made."""
        data = json.loads(text)
        share = Share(data["share"]["slot"], _portion(data["share"]["portion"]))
        return cls(data["run"], data["part"], data["attempt"], share)

    @property
    def job_name(self) -> str:
        """What the signature of the job is bound to; no session can have this name, for the space in it."""
        return signed_job(self.run)

    def reply_name(self, kind: Reply) -> str:
        """What the signature of a reply is bound to."""
        return f"reply {self.name} {kind}"


def _portion(data: dict[str, Any] | None) -> Portion | None:
    if data is None:
        return None
    return Portion(Layout(data["layout"]), data["start"], data["end"], data["server"])


def signed_job(run: str) -> str:
    """What the signature of a run's job is bound to."""
    return f"run {run}"


def milliseconds(seconds: float) -> int:
    """For commands that want them."""
    return round(seconds * 1000)
