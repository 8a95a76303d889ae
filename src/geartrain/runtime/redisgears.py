"""The name `redisgears` that scripts see: the functions that RedisGears had in its module of that name."""

from __future__ import annotations

from geartrain.runtime.commands import atomic as atomicCtx  # noqa: N812 - RedisGears' name
from geartrain.runtime.commands import configGet as config_get  # noqa: N813 - RedisGears' name
from geartrain.runtime.commands import execute as executeCommand  # noqa: N812 - RedisGears' name
from geartrain.runtime.commands import hashtag as getMyHashTag  # noqa: N812 - RedisGears' name
from geartrain.runtime.commands import log

__all__ = ["atomicCtx", "config_get", "executeCommand", "getMyHashTag", "log"]
