"""`registerTimeEvent`: a function that is called again and again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from geartrain.builder import TimeArguments, checks
from geartrain.builder.host import current_host
from geartrain.builder.requests import Mode, Reader, RegisterRequest
from geartrain.builder.steps import Kind, Step
from geartrain.errors import ArgumentError

_SHORTEST = 0.01


def registerTimeEvent(interval_seconds: float, callback: Callable[[], Any]) -> str:  # noqa: N802 - RedisGears' name
    """Have a function called once in so many seconds, by one worker of all that there are; returns its id.

    It is a registration of the session like others: it stays until it is unregistered, and can be paused. A call that
    fails is counted, and the next one comes in its time. One that lasts longer than the interval may be overtaken by
    the next one, in another worker.

    Args:
        interval_seconds: 0.01 or more; the first call comes when that time has passed.
        callback: a function without arguments.

    Raises:
        ArgumentError: an argument that is not one of these.
    """
    call = "registerTimeEvent"
    seconds = checks.seconds(call, "interval_seconds", interval_seconds)
    if seconds < _SHORTEST:
        raise ArgumentError(f"{call}(interval_seconds={interval_seconds!r}): the interval must be 0.01 s or more")
    return current_host(call).register(
        RegisterRequest(
            reader=Reader.TIME,
            pattern=f"{seconds:g}",
            mode=Mode.ASYNC,
            name=None,
            description=None,
            arguments=TimeArguments(interval=seconds),
            steps=(Step(Kind.FOREACH, (checks.function(call, "callback", callback),)),),
            on_registered=None,
        )
    )
