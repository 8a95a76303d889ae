"""Orders to a worker: `GEARTRAIN.CALL control:worker:<id> ...`, on the primary of the registry's slot."""

from __future__ import annotations

from typing import Any

import pytest

from geartrain import CommandError, Dialect, GearsBuilder
from geartrain.registry.executions import Executions, State
from support.waiting import wait_for
from support.working import until_released

GEARS = Dialect.REDISGEARS_1_2


def wait_for_release(_record: Any) -> None:
    """A step that goes on until a key is there."""
    until_released()


def order(place, lane, *words):
    """Give an order, as soon as the lane is served; the reply."""

    def given():
        try:
            return str(place.link.call("GEARTRAIN.CALL", lane, *words))
        except CommandError as error:
            return None if "nobody serves" in error.reply else error.reply

    return wait_for(given)


def running(place):
    """The execution that runs."""
    found = [item for item in Executions(place.link).all() if item.status is State.RUNNING]
    return found[0] if found else None


def test_an_execution_is_aborted_by_an_order(captured):
    """To its owner, whose lane is kept with it."""
    place = captured
    name = place.register(GearsBuilder("StreamReader").foreach(wait_for_release), "s", dialect=GEARS)
    place.start()
    place.add("s")
    item = wait_for(lambda: running(place))
    assert order(place, item.owner, "ABORT", item.id) == "OK"
    wait_for(lambda: Executions(place.link).get(item.id).status is State.ABORTED)
    place.wait_info(name, lambda info: info.aborted == 1)
    assert order(place, item.owner, "ABORT", item.id) == f"ERR execution {item.id} does not run here"


def test_a_worker_says_that_it_lives(captured):
    """And what it does not understand."""
    place = captured
    place.register(GearsBuilder("StreamReader").foreach(lambda _: None), "s", dialect=GEARS)
    lane = f"control:worker:{place.start().id}"
    assert order(place, lane, "ping") == "PONG"
    assert order(place, lane, "dance") == "ERR the order is none of ABORT <execution>, REPORT and PING"


def test_nobody_serves_the_lane_of_a_worker_that_has_stopped(captured):
    """An error at once."""
    place = captured
    place.register(GearsBuilder("StreamReader").foreach(lambda _: None), "s", dialect=GEARS)
    worker = place.start()
    lane = f"control:worker:{worker.id}"
    order(place, lane, "PING")
    worker.stop()

    with pytest.raises(CommandError, match="nobody serves the lane"):
        place.link.call("GEARTRAIN.CALL", lane, "PING")
