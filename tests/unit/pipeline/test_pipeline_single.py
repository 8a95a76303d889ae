"""A pipeline for one record: it does and reports what the one for several does."""

from __future__ import annotations

# ruff: noqa: ARG005  # a step's function takes what the step gives it
from typing import Any

import pytest

from geartrain.builder import GB
from geartrain.errors import StepError
from geartrain.pipeline import compile_pipeline


def fails_for_a(record: Any) -> Any:
    """Raise where it is given "a"."""
    if record == "a":
        raise ValueError("no good")
    return record


BUILDERS = [
    GB(),
    GB().foreach(fails_for_a),
    GB().filter(len).map(str.lower).foreach(fails_for_a),
    GB().filter(lambda x: x != "A").foreach(fails_for_a),
    GB().flatmap(list).map(str.lower).map(fails_for_a),
    GB().map(str.lower).distinct().limit(1).foreach(fails_for_a),
    GB().map(str.lower).count().map(lambda count: fails_for_a("a")),
    GB().map(str.lower).batchgroupby(fails_for_a, lambda key, records: len(records)),
    GB().limit(0).foreach(fails_for_a),
    GB().filter(len).collect().repartition(str).map(str.lower).map(fails_for_a),
]


def outcome(builder: GB, record: str, *, single: bool) -> tuple[str, str | None] | None:
    """Step and record of the error, or None."""
    pipeline = compile_pipeline(builder.steps, discard=True, single=single)
    try:
        result = pipeline.function(record if single else [record], None)
    except Exception as error:  # noqa: BLE001  # what it was, is compared
        raised = pipeline.raised(error)
        assert isinstance(raised, StepError)
        return str(raised), raised.record
    assert result == (None if single else [])
    return None


@pytest.mark.parametrize("builder", BUILDERS)
@pytest.mark.parametrize("record", ["A", "a", "b", "ba", ""])
def test_one_record_passes_the_steps_as_one_of_several_does(builder: GB, record: str) -> None:
    """Errors name the same step and record."""
    assert outcome(builder, record, single=True) == outcome(builder, record, single=False)


def test_steps_that_pass_records_on_need_no_loop_for_one() -> None:
    """The loop is what the pipeline for one record saves."""
    text = compile_pipeline(GB().filter(len).map(str).foreach(print).steps, single=True).text
    assert "for " not in text
    assert "for " in compile_pipeline(GB().flatmap(list).steps, single=True).text


def test_more_conditions_than_python_can_nest_are_met_for_one_record() -> None:
    """The loop of several records is cut there too."""
    seen: list[str] = []
    builder = GB()
    for _ in range(150):
        builder = builder.filter(len)
    compile_pipeline(builder.foreach(seen.append).steps, single=True).function("a", None)
    assert seen == ["a"]
