"""What the builder and the pipeline ask about a user's function."""

from __future__ import annotations

import inspect
from typing import Any


def is_async(function: object) -> bool:
    """Whether calling it gives a coroutine: `async def`, a partial of one, or an object whose `__call__` is one."""
    call = getattr(type(function), "__call__", None)  # noqa: B004  # asked what it is, not whether it is there
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def itself(record: Any) -> Any:
    """Give the record back: the default extractor of `countby` (a name, not a lambda, so that it pickles small)."""
    return record
