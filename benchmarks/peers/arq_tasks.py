"""arq: a task for each event.

    python -m benchmarks.peers.arq_tasks URL enqueue COUNT
    python -m benchmarks.peers.arq_tasks URL work

`enqueue` prints JSON: {"seconds": S}. Results are not kept, and 100 tasks may run at the same time.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker, func

from benchmarks.peers.counting import done, report


async def event(_context: dict[str, object], _order: str) -> None:
    """The task."""
    done()


def main() -> None:
    """Enqueue, or work until killed."""
    url, what, *rest = sys.argv[1:]
    settings = RedisSettings.from_dsn(url)
    if what == "enqueue":
        print(json.dumps({"seconds": asyncio.run(enqueue(settings, int(rest[0])))}))
        return
    logging.disable(logging.INFO)
    report(url)
    asyncio.set_event_loop(asyncio.new_event_loop())
    Worker([func(event, keep_result=0)], redis_settings=settings, max_jobs=100, poll_delay=0.05).run()


async def enqueue(settings: RedisSettings, count: int) -> float:
    """The seconds that it takes."""
    pool = await create_pool(settings)
    begin = time.perf_counter()
    for number in range(count):
        await pool.enqueue_job("event", f"{number:09d}")
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
