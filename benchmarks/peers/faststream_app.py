"""FastStream's Redis stream subscriber with a handler that does nothing.

    python -m benchmarks.peers.faststream_app URL STREAM GROUP [BATCH]

Without BATCH the handler gets one message at a time. Nothing is logged for a message (`logger=None`), the entries are
read by a consumer group and acknowledged after the handler, as by default.
"""

from __future__ import annotations

import asyncio
import sys

from faststream import FastStream
from faststream.redis import RedisBroker, StreamSub


def app() -> FastStream:
    """The application that the arguments ask for."""
    url, stream, group, *batch = sys.argv[1:]
    broker = RedisBroker(url, logger=None)
    if batch:
        source = StreamSub(stream, group=group, consumer="consumer", batch=True, max_records=int(batch[0]))

        @broker.subscriber(stream=source)
        async def records(messages: list[dict[str, str]]) -> None: ...

    else:

        @broker.subscriber(stream=StreamSub(stream, group=group, consumer="consumer", max_records=READ))
        async def record(message: dict[str, str]) -> None: ...

    return FastStream(broker, logger=None)


READ = 100
"""Entries that one read brings where the handler gets them one by one: faster than FastStream's default."""


if __name__ == "__main__":
    asyncio.run(app().run())
