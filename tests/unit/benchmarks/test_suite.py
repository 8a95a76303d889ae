"""The benchmarks themselves: that each says what it is, and how contestants take turns."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from benchmarks import parts
from benchmarks.suite import Broken, Contestant, Kind, Sizes, interleaved


def silent(_line):
    """What would be printed meanwhile."""


def test_each_module_of_parts_is_one_of_the_benchmarks():
    """One that is not in the list would never run."""
    modules = {path.stem for path in Path(parts.__file__).parent.glob("*.py")} - {"__init__"}
    assert {Path(benchmark.measure.__code__.co_filename).stem for benchmark in parts.ALL} == modules


@pytest.mark.parametrize("benchmark", parts.ALL, ids=lambda benchmark: benchmark.name)
def test_a_benchmark_says_its_kind_its_contestants_its_method_and_its_traps(benchmark):
    """Without these nobody can read its figures."""
    assert benchmark.kind in Kind
    assert benchmark.contestants
    assert benchmark.method.endswith("\n")
    assert benchmark.traps.startswith("* ")
    assert benchmark.name.isidentifier()


def test_names_of_benchmarks_and_of_their_contestants_are_unique():
    """They are asked for by name, and figures are kept by name."""
    assert max(Counter(benchmark.name for benchmark in parts.ALL).values()) == 1
    for benchmark in parts.ALL:
        assert max(Counter(benchmark.contestants).values()) == 1, benchmark.name


def test_contestants_take_turns():
    """A, B, A, B: what slows the machine down for a while slows both."""
    order = []
    contestants = {name: Contestant(lambda name=name: order.append(name) or 1.0) for name in "AB"}
    assert interleaved("test", contestants, 2, silent).figures == {"A": [1.0, 1.0], "B": [1.0, 1.0]}
    assert order == ["A", "B", "A", "B"]


def test_an_optional_contestant_that_does_not_run_is_left_out_with_its_reason():
    """Also where it ran in an earlier round: ratios need all rounds."""
    turns = iter([2.0])

    def breaks():
        try:
            return next(turns)
        except StopIteration:
            raise Broken("no module named walrus") from None

    rounds = interleaved("test", {"A": Contestant(lambda: 1.0), "B": Contestant(breaks, optional=True)}, 3, silent)
    assert rounds.figures == {"A": [1.0, 1.0, 1.0]}
    assert rounds.notes == ["B did not take part: no module named walrus"]


def test_a_contestant_that_must_run_breaks_the_benchmark():
    """Figures without it would be compared with nothing."""

    def breaks():
        raise Broken("no progress")

    with pytest.raises(Broken, match="no progress"):
        interleaved("test", {"A": Contestant(breaks)}, 1, silent)


def test_benchmarks_that_take_long_have_fewer_rounds():
    """And never more than were asked for."""
    assert Sizes(rounds=5).at_most(3) == 3
    assert Sizes(rounds=2).at_most(3) == 2
