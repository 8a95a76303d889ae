"""`GearsBuilder('PythonReader')` and `GearsBuilder('ShardsIDReader')`: records that are in no key."""

from __future__ import annotations

# The parameters' names are the specification's.
# ruff: noqa: N803
from collections.abc import Callable
from typing import Any, ClassVar

from geartrain.builder import checks
from geartrain.builder.calls import completed
from geartrain.builder.gears import RUN_BY_POSITION, GearsBuilder
from geartrain.builder.requests import Reader


class PythonBuilder(GearsBuilder):
    """`GearsBuilder('PythonReader')`: the records are what a generator function yields."""

    reader = Reader.PYTHON
    _old_names: ClassVar = {"run": {"arg": "generator_function", "generator": "generator_function"}}

    @completed(*RUN_BY_POSITION)
    def run(
        self,
        generator_function: Callable[[], Any] | None = None,
        *,
        mode: str = "async",
        convertToStr: bool = False,
        collect: bool = True,
    ) -> list[Any]:
        """Execute the steps over what `generator_function()` yields (default: the builder's `defaultArg`).

        On a cluster it is called once for each shard; with `mode='async_local'` for one only, the one where the caller
        is. `convertToStr` makes the results their `str` (default: False; in the dialect redisgears-1.2 True); without
        `collect` only that shard's results are returned.
        """
        source = self._default if generator_function is None else generator_function
        if not callable(source):
            raise checks.wrong("run", "generator_function", source, "a function that yields (itself, not its result)")
        return self._run("*", mode, {"convertToStr": convertToStr, "collect": collect}, source=source)


class ShardsBuilder(GearsBuilder):
    """`GearsBuilder('ShardsIDReader')`: one record for each shard, its id."""

    reader = Reader.SHARDS
    _old_names: ClassVar = {"run": {"arg": None}}

    @completed(*RUN_BY_POSITION)
    def run(
        self,
        *,
        mode: str = "async",
        convertToStr: bool = False,
        collect: bool = True,
    ) -> list[Any]:
        """Execute the steps over the ids of the shards, each on its own shard.

        An id has 40 characters: a cluster's is the primary's node id; that of a server that is no cluster is its
        `run_id`, another one after each start. In the dialect redisgears-1.2 a server that is no cluster is '1'.
        """
        return self._run(None, mode, {"convertToStr": convertToStr, "collect": collect})
