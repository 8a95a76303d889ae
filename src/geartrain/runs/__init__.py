"""`run()` on several shards: one shard's job, and how jobs and results travel to and from workers."""

from __future__ import annotations

from geartrain.runs.delegation import Delegation, Failed, NotDone, Refused, Why
from geartrain.runs.job import Job, Share, Stopped, perform, surroundings, through
from geartrain.runs.nested import StepHost
from geartrain.runs.tickets import Reply, Ticket

__all__ = [
    "Delegation",
    "Failed",
    "Job",
    "NotDone",
    "Refused",
    "Reply",
    "Share",
    "StepHost",
    "Stopped",
    "Ticket",
    "Why",
    "perform",
    "surroundings",
    "through",
]
