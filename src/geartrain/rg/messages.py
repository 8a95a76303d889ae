"""What the service and its executor processes say to each other: pickled, over one inherited socket.

    service ──Task──> executor           run a script
    service ──Abort──> executor          end the execution of that id, if it runs
    service <──Begun── executor          the task's execution has that id now
    service <──Moved── executor          the execution goes on; where Task.max_idle asks, a few times a second
    service <──Ended── executor          there too: nothing of the execution runs any more
    service <──Answer── executor         answer the task's client
    service <──Done── executor           ready for the next task
    service ──end of input──> executor   the service has ended, however it ended: so does the executor

One task at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from geartrain.client import SessionTerms
from geartrain.config import Dialect
from geartrain.registry.executions import Limits

FD_VARIABLE = "GEARTRAIN_EXECUTOR_FD"
"""The environment variable with the number of the executor's end of the socket."""

OWNER_VARIABLE = "GEARTRAIN_EXECUTOR_OWNER"
"""The environment variable with the control lane on which the executor's executions can be aborted."""


ABORTED = "execution aborted"
"""The error of an execution that was aborted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A script to run.

    Attributes:
        source: its text.
        session: the name of its session.
        dialect: its dialect.
        terms: how its session is submitted.
        blocking: its client waits for the results; otherwise for the id of the execution.
        traceback: an error that it raises is answered with its traceback.
        limits: how many executions are kept.
        pip_idle: seconds that pip may make no progress, where an environment is made.
        profile: what it executes is profiled.
        max_idle: seconds that its execution may make no progress; 0: for ever.
    """

    source: str
    session: str
    dialect: Dialect
    terms: SessionTerms
    blocking: bool = True
    traceback: bool = True
    limits: Limits = field(default_factory=Limits)
    pip_idle: float = 30.0
    profile: bool = False
    max_idle: float = 0.0


@dataclass(frozen=True, slots=True)
class Abort:
    """End an execution."""

    execution: str


@dataclass(frozen=True, slots=True)
class Begun:
    """The task's execution has an id."""

    execution: str


@dataclass(frozen=True, slots=True)
class Moved:
    """There was progress.

    Attributes:
        slack: seconds by which the next word of it may come late, as others do a part of the execution.
    """

    slack: float = 0.0


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing of the execution runs any more; its results are kept, and answered, next."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A value in the text of RESP3, for the task's client."""

    blob: bytes


@dataclass(frozen=True, slots=True)
class Done:
    """The task has ended, and with it its execution, if it had one."""
