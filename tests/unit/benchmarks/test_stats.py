"""Figures of benchmarks: ratios, noise, verdicts."""

from __future__ import annotations

import pytest

from benchmarks.stats import Gate, Verdict, fastest, lesser, percentile, ratios


def test_ratios_are_taken_round_by_round():
    """A round in which the machine was slow slows both sides, and leaves the ratio alone."""
    assert ratios([100, 50, 200], [50, 25, 100]) == (2, 2, 2)


def test_ratios_need_the_same_rounds_on_both_sides():
    """A round that one of them missed would shift all others."""
    with pytest.raises(ValueError, match="shorter"):
        ratios([1, 2], [1])


def test_the_median_decides_a_gate():
    """Not its best round, and not its worst."""
    assert Gate("speed", 0.5, (0.1, 0.5, 0.4, 0.6, 0.7)).verdict is Verdict.PASS


def test_a_miss_is_within_the_noise_where_the_best_round_reached_the_bound():
    """The range of the rounds is the noise."""
    assert Gate("speed", 0.5, (0.1, 0.4, 0.6)).verdict is Verdict.NOISE


def test_a_gate_is_missed_where_its_best_round_misses_too():
    """This is what fails `make bench-gates`."""
    assert Gate("speed", 0.5, (0.1, 0.4, 0.49)).verdict is Verdict.MISSED


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [((1.0, 1.2, 9.0), Verdict.PASS), ((1.3, 1.6, 9.0), Verdict.NOISE), ((1.6, 1.7, 9.0), Verdict.MISSED)],
)
def test_an_upper_bound_is_reached_from_below(measured, verdict):
    """For costs and delays the least is the best."""
    assert Gate("delay", 1.5, measured, at_least=False).verdict is verdict


def test_a_bound_holds_until_something_else_is_the_limit():
    """In each round for itself."""
    assert lesser(1.6, (1.1, 1.9, 1.6)) == (1.1, 1.6, 1.6)


def test_the_fastest_peer_has_the_greatest_median():
    """A single fast round makes nobody the fastest."""
    assert fastest([1, 1, 100], [2, 2, 2]) == [2, 2, 2]


def test_a_percentile_is_one_of_the_values():
    """Nothing is interpolated."""
    values = [float(value) for value in range(100, 0, -1)]
    assert [percentile(values, part) for part in (0, 0.5, 0.99, 1)] == [1, 51, 100, 100]
