"""dramatiq: a task for each event.

    python -m benchmarks.peers.dramatiq_tasks URL enqueue COUNT
    python -m benchmarks.peers.dramatiq_tasks URL work

`enqueue` prints JSON: {"seconds": S}. One process with eight threads, as `dramatiq --processes 1` has.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from benchmarks.peers.counting import done, report

URL = sys.argv[1]

broker = RedisBroker(url=URL)
dramatiq.set_broker(broker)


@dramatiq.actor(actor_name="event", broker=broker)
def event(_order: str) -> None:
    """The task."""
    done()


def main() -> None:
    """Enqueue, or work until killed."""
    what, *rest = sys.argv[2:]
    if what == "enqueue":
        begin = time.perf_counter()
        for number in range(int(rest[0])):
            event.send(f"{number:09d}")
        print(json.dumps({"seconds": time.perf_counter() - begin}))
        return
    logging.disable(logging.INFO)
    report(URL)
    worker = dramatiq.Worker(broker, worker_threads=8)
    worker.start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
