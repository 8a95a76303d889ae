"""taskiq with a list of taskiq-redis: a task for each event.

    python -m benchmarks.peers.taskiq_tasks URL enqueue COUNT
    python -m benchmarks.peers.taskiq_tasks URL work

`enqueue` prints JSON: {"seconds": S}. There is no result backend, and 100 tasks may run at the same time.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time

from taskiq.api import run_receiver_task
from taskiq_redis import ListQueueBroker

from benchmarks.peers.counting import done, report

URL = sys.argv[1]

broker = ListQueueBroker(URL)


@broker.task(task_name="event")
async def event(_order: str) -> None:
    """The task."""
    done()


def main() -> None:
    """Enqueue, or work until killed."""
    what, *rest = sys.argv[2:]
    if what == "enqueue":
        print(json.dumps({"seconds": asyncio.run(enqueue(int(rest[0])))}))
        return
    logging.disable(logging.INFO)
    report(URL)
    asyncio.run(run_receiver_task(broker, max_async_tasks=100, max_prefetch=100, run_startup=True))


async def enqueue(count: int) -> float:
    """The seconds that it takes."""
    await broker.startup()
    begin = time.perf_counter()
    for number in range(count):
        await event.kiq(f"{number:09d}")
    seconds = time.perf_counter() - begin
    await broker.shutdown()
    return seconds


if __name__ == "__main__":
    main()
