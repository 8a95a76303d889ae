"""Steps to the text of one function: a loop for each stage, without a dispatch over steps per record.

    def pipeline(records, context, f1_0=f1_0, ...):      GearsBuilder(...).map(f).filter(g).count()
     c3 = 0
     for r0 in records:
      r1 = f1_0(r0)                                      line 4: step 1, record r0
      if f2_0(r1):                                       line 5: step 2, record r1
       c3 += 1
     out3 = [c3]
     return out3

For exactly one record, plain steps need no loop:

    def pipeline(record, context, f1_0=f1_0):            GearsBuilder(...).foreach(f), in the server
     f1_0(record)

In the dialect redisgears-1.2 (`old`) a record that fails is dropped, and what a function returns may be awaited:

    def pipeline(records, context, failed, f1_0=f1_0):   GearsBuilder(...).map(f)
     out = []
     push = out.append
     for r0 in records:
      try:
       r1 = f1_0(r0)                                       line 6: step 1, record r0
       if type(r1) in awaited: r1 = context.wait(r1)       line 7: the same
       push(r1)
      except (Exception, GeneratorExit) as error: failed(error, len(out))
     return out

A stage ends at a barrier (see `barriers`). Filters open an `if`, never `continue`, so that the end of a loop's body is
always reached: there a `limit` that has let its last record through leaves the loop.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from geartrain.builder.steps import Kind, Step
from geartrain.pipeline.barriers import Barrier
from geartrain.pipeline.concurrent import concurrently
from geartrain.pipeline.context import NO_RECORD
from geartrain.pipeline.futures import AWAITED
from geartrain.pipeline.operators import combined, flattened, kept, newcomer, pairs, raise_it, reduced, zero_maker
from geartrain.pipeline.progress import Progress
from geartrain.pipeline.source import Place, Source
from geartrain.pipeline.stages import Numbered, Stage, stages

NAME = "pipeline"

HELPERS: Mapping[str, Any] = {
    function.__name__: function
    for function in (combined, concurrently, defaultdict, flattened, kept, newcomer, pairs, reduced)
} | {"NO_RECORD": NO_RECORD, "awaited": AWAITED, "failed": raise_it}
"""The globals of generated code."""


def watched_helpers(progress: Progress) -> Mapping[str, Any]:
    """The globals of generated code that tells its progress: loops go over `past(...)`."""
    return {
        **HELPERS,
        "past": progress.past,
        "combined": partial(combined, past=progress.past),
        "concurrently": partial(concurrently, done=progress.moved),
        "reduced": partial(reduced, past=progress.past),
    }


_EXCEPT = "except (Exception, GeneratorExit) as error:"

_PLAIN = frozenset({Kind.MAP, Kind.FILTER, Kind.FOREACH})
"""Steps that need no loop around them for one record."""


def generate(
    steps: Sequence[Step],
    *,
    discard: bool,
    marked: Collection[int],
    single: bool = False,
    old: bool = False,
    guarded: bool = False,
    placed: int | None = None,
    watched: bool = False,
) -> tuple[str, Source]:
    """The text of a function `pipeline(records, context)`, and its source with places and bindings.

    Args:
        steps: the pipeline.
        discard: keep no results.
        marked: the numbers of the steps that set `context.at` before each call.
        single: it is `pipeline(record, context)` instead, which keeps no results and returns None.
        old: as in RedisGears 1.2.
        guarded: a record that fails is told to `failed`, of `pipeline(records, context, failed)`, and the others go on.
        placed: the number of the first step from which on each record gives just one result, the next one of all;
            `context.at` is told which. None: there is no such step.
        watched: each loop tells its progress (`watched_helpers`).
    """
    writer = _Writer(discard=discard or single, marked=marked, old=old, guarded=guarded, placed=placed, watched=watched)
    given = incoming = "record" if single else "records"
    for stage in stages(steps, old=old):
        incoming = writer.stage(stage, incoming)
    writer.source.line("return" if single else "return []" if discard else f"return {incoming}")
    parameters = (given, "context", "failed") if guarded else (given, "context")
    return writer.source.function(NAME, *parameters), writer.source


@dataclass(slots=True)
class _Loop:
    """A loop whose body is being written: where the body stands, and the conditions that end it."""

    depth: int
    stops: list[str] = field(default_factory=list)


class _Writer:
    def __init__(
        self, *, discard: bool, marked: Collection[int], old: bool, guarded: bool, placed: int | None, watched: bool
    ) -> None:
        self.source = Source()
        self._past = "past" if watched else ""
        self._discard = discard
        self._marked = marked
        self._old = old
        self._guarded = guarded
        self._placed = placed
        self._failing = "failed(error)"
        self._loops: list[_Loop] = []
        self._record = ""
        self._records = 0
        self._gathers = 0

    def stage(self, stage: Stage, incoming: str) -> str:
        """Write one loop; returns the variable of what comes out of it."""
        if incoming == "record":
            if stage.barrier is None and all(numbered.step.kind in _PLAIN for numbered in stage.passing):
                self._alone(stage)
                return "()"
            incoming = "(record,)"
        if stage.barrier is None and not stage.passing and (incoming != "records" or self._discard):
            if incoming == "records":
                self.source.line(f"for _ in {self._past}(records): pass")
            return incoming
        names = self._names(stage)
        for numbered in stage.passing:
            self._prepare(numbered)
        barrier, number = stage.barrier, stage.ending.number if stage.ending else None
        self._templates(barrier.before if barrier else self._ahead(), number, names)
        self._failing = "failed(error, len(out))" if barrier is None and not self._discard else "failed(error)"
        self._enter("()" if any(_is_empty(numbered.step) for numbered in stage.passing) else incoming)
        for numbered in stage.passing:
            self._pass(numbered)
        self._templates(barrier.each if barrier else self._keep(), number, names, record=self._record)
        self._leave()
        if barrier is None:
            return "out"
        self._after(barrier, number, names)
        return barrier.result.format_map(names)

    def _after(self, barrier: Barrier, number: int | None, names: Mapping[str, str]) -> None:
        """Write what comes behind a barrier's loop; guarded, it gives nothing where it fails."""
        if not (self._guarded and barrier.after):
            self._templates(barrier.after, number, names)
            return
        depth = self.source.depth
        self.source.open("try:")
        self._templates(barrier.after, number, names)
        self.source.depth = depth
        self.source.line(f"{_EXCEPT} {barrier.result.format_map(names)} = []; failed(error)")

    def _alone(self, stage: Stage) -> None:
        """Write the steps of a stage without a loop."""
        self._record = "record"
        for numbered in stage.passing:
            self._pass(numbered)
        self.source.line("pass")
        self.source.depth = 1

    def _names(self, stage: Stage) -> dict[str, str]:
        """What stands for the placeholders of a barrier's templates."""
        if stage.ending is None:
            self._gathers += 1
            return {"n": f"x{self._gathers}", "past": self._past}
        number, step = stage.ending
        names = {"n": str(number), "past": self._past, "reverse": repr(step.options.get("reverse"))}
        names |= {f"f{index}": self._function(stage.ending, index) for index in range(len(step.functions))}
        if "zero" in step.options:
            names["zero"] = self.source.bind(f"zero{number}", zero_maker(step.options["zero"]))
        return names

    def _function(self, numbered: Numbered, index: int = 0) -> str:
        return self.source.bind(f"f{numbered.number}_{index}", numbered.step.functions[index])

    def _ahead(self) -> tuple[str, ...]:
        return () if self._discard else ("out = []", "push = out.append")

    def _keep(self) -> tuple[str, ...]:
        return ("pass",) if self._discard else ("push({r})",)

    def _templates(
        self, lines: Sequence[str], number: int | None, names: Mapping[str, str], record: str | None = None
    ) -> None:
        """Write a barrier's lines; those that call the user's functions say before where they are."""
        place = None if number is None else Place(number, record)
        if number in self._marked and any("{f" in line for line in lines):
            # No place among the results: these come later.
            self.source.line(f"context.at = {number}, {record or 'NO_RECORD'}")
        for line in lines:
            self.source.line(line.format_map({**names, "r": record}), place)

    def _prepare(self, numbered: Numbered) -> None:
        """What a passing step keeps over the records."""
        if numbered.step.kind is Kind.LIMIT:
            self.source.line(f"c{numbered.number} = 0")
        elif numbered.step.kind is Kind.DISTINCT:
            self.source.line(f"new{numbered.number} = newcomer()")

    def _enter(self, iterable: str, place: Place | None = None) -> None:
        self._records += 1
        self._record = f"r{self._records}"
        through = f"past({iterable})" if self._past else iterable
        self.source.open(f"for {self._record} in {through}:", place)
        self._loops.append(_Loop(self.source.depth))
        if self._guarded:
            self.source.open("try:")

    def _leave(self) -> None:
        """Close all loops, from the inside; a limit ends the loop it stands in and those around it."""
        stops: list[str] = []
        while self._loops:
            loop = self._loops.pop()
            self.source.depth = loop.depth
            if self._guarded:
                self.source.line(f"{_EXCEPT} {self._failing}")
            stops += loop.stops
            if stops:
                self.source.line(f"if {' or '.join(stops)}: break")
        self.source.depth = 1

    def _pass(self, numbered: Numbered) -> None:
        """Write one step within a loop; `_record` is what it is given, and then what it passes on."""
        number, step = numbered
        place = Place(number, self._record)
        if number in self._marked:
            placed = self._placed is not None and number >= self._placed
            self.source.line(f"context.at = {number}, {self._record}{', len(out)' if placed else ''}")
        match step.kind:
            case Kind.MAP:
                self._records += 1
                self._call(numbered, place, f"r{self._records}")
                self._record = f"r{self._records}"
            case Kind.FILTER if self._old:
                self._call(numbered, place, f"t{number}")
                self.source.open(f"if t{number}:", place)
            case Kind.FILTER:
                self.source.open(f"if {self._function(numbered)}({self._record}):", place)
            case Kind.FOREACH if self._old:
                self._call(numbered, place, f"t{number}")
            case Kind.FOREACH | Kind.REPARTITION:
                self.source.line(f"{self._function(numbered)}({self._record})", place)
            case Kind.FLATMAP:
                self._call(numbered, place, f"t{number}")
                self._enter(f"t{number} if isinstance(t{number}, list) else (t{number},)", place)
            case Kind.DISTINCT:
                self.source.open(f"if new{number}({self._record}):", place)
            case Kind.LIMIT:
                self._limit(numbered)
            case _:  # collect: on one server the records are together
                pass

    def _call(self, numbered: Numbered, place: Place, result: str) -> None:
        """Write the call of a step's function."""
        self.source.line(f"{result} = {self._function(numbered)}({self._record})", place)
        if self._old:
            self.source.line(f"if type({result}) in awaited: {result} = context.wait({result})", place)

    def _limit(self, numbered: Numbered) -> None:
        counter, start = f"c{numbered.number}", numbered.step.options["start"]
        self.source.line(f"{counter} += 1")
        self._loops[-1].stops.append(f"{counter} == {start + numbered.step.options['length']}")
        if start:
            self.source.open(f"if {counter} > {start}:")


def _is_empty(step: Step) -> bool:
    """Whether it is a limit that lets nothing through: then nothing needs to be read."""
    return step.kind is Kind.LIMIT and step.options["length"] == 0
