"""The name `redisgears` that scripts see: the functions that RedisGears had in its module of that name."""

from __future__ import annotations

from geartrain.runtime.commands import atomic as atomicCtx
from geartrain.runtime.commands import configGet as config_get
from geartrain.runtime.commands import execute as executeCommand
from geartrain.runtime.commands import hashtag as getMyHashTag
from geartrain.runtime.commands import log

__all__ = ["atomicCtx", "config_get", "executeCommand", "getMyHashTag", "log"]
