"""Pipelines whose progress somebody watches: each loop counts what it takes, and the results are the same."""

from __future__ import annotations

import asyncio
import operator
import threading
from contextvars import copy_context

import pytest

from geartrain import Dialect
from geartrain.builder import GearsBuilder
from geartrain.pipeline import Progress, watched, watching

OLD = Dialect.REDISGEARS_1_2


async def slept(record):
    """A step that waits for a moment."""
    await asyncio.sleep(0)
    return record


def builder():
    """A pipeline without steps."""
    return GearsBuilder("PythonReader")


PIPELINES = {
    "none": (builder(), 10),
    "map": (builder().map(lambda x: -x), 10),
    "a barrier": (builder().sort().map(lambda x: -x), 20),
    "only a barrier": (builder().sort(), 10),
    "flatmap": (builder().filter(lambda x: x == 3).flatmap(lambda x: [x] * 50).foreach(lambda _: None), 60),
    "groups": (builder().batchgroupby(lambda x: x % 5, lambda _, records: len(records)), 15),
    "folded groups": (builder().aggregateby(lambda x: x % 5, 0, operator.add, operator.add), 15),
    "coroutines": (builder().map(slept), 20),
    "limit": (builder().limit(3), 3),
    "count": (builder().count().map(lambda x: x), 11),
}


@pytest.mark.parametrize(("steps", "count"), PIPELINES.values(), ids=PIPELINES)
def test_each_loop_counts_its_records(run, steps, count):
    """And gives what it gives unwatched."""
    progress = Progress()
    assert run(steps, range(10), progress=progress) == run(steps, range(10))
    assert progress.count == count


def test_groups_of_the_old_dialect_count_too(run):
    """Which are reduced by lines of their own."""
    progress = Progress()
    steps = builder().batchgroupby(lambda x: x % 5, lambda _, records: len(records))
    assert run(steps, range(10), progress=progress, dialect=OLD) == run(steps, range(10), dialect=OLD)
    assert progress.count == 15


def test_what_is_thrown_away_counts(run):
    """Where nobody wants results."""
    progress = Progress()
    assert run(builder(), range(10), progress=progress, discard=True) == []
    assert progress.count == 10


def test_errors_name_step_and_record_all_the_same(run):
    """Behind a barrier too."""
    from geartrain.errors import StepError

    with pytest.raises(StepError, match=r"step 2, map.*\n?.*0") as raised:
        run(builder().sort().map(lambda x: 1 / x), range(3), progress=Progress())
    assert raised.value.record == "0"


def test_who_is_watched_is_a_matter_of_the_context():
    """Threads with a copy of its variables are, others are not."""
    progress = Progress()
    found = []
    with watching(progress):
        copied = copy_context()
        threads = [
            threading.Thread(target=copied.run, args=(lambda: found.append(watched()),)),
            threading.Thread(target=lambda: found.append(watched())),
        ]
        for thread in threads:
            thread.start()
            thread.join()
        with watching(None):
            assert watched() is None
        assert watched() is progress
    assert watched() is None
    assert found == [progress, None]
