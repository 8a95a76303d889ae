"""The module `redisgears` that scripts see: the functions that RedisGears had in its module of that name.

`geartrain.runtime.names` makes it importable under that name.
"""

from __future__ import annotations

from geartrain.runtime.commands import atomic as atomicCtx  # noqa: N812 - RedisGears' name
from geartrain.runtime.commands import configGet as config_get  # noqa: N813 - RedisGears' name
from geartrain.runtime.commands import execute as executeCommand  # noqa: N812 - RedisGears' name
from geartrain.runtime.commands import hashtag as getMyHashTag  # noqa: N812 - RedisGears' name
from geartrain.runtime.commands import log
from geartrain.runtime.futures import gearsFuture as gearsFutureCtx
from geartrain.runtime.futures import isAsyncAllow
from geartrain.runtime.timing import registerTimeEvent

__all__ = [
    "atomicCtx",
    "config_get",
    "executeCommand",
    "gearsFutureCtx",
    "getMyHashTag",
    "isAsyncAllow",
    "log",
    "registerTimeEvent",
]
