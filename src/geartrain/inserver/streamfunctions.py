"""A StreamReader registration in the server: its streams, found by their events and, those of the past, by SCAN."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator

import _geartrain
from geartrain import glob, keys
from geartrain.errors import GeartrainError
from geartrain.inserver.context import CONTEXT
from geartrain.inserver.database import Database
from geartrain.inserver.moduletally import ANYTHING
from geartrain.inserver.stream import PAUSE_MS, SLICE, Stream
from geartrain.registry import Registration, Status
from geartrain.registry.statistics import Delta
from geartrain.text import shown, to_bytes
from geartrain.worker.deployment import Deployment
from geartrain.worker.tally import Tally

logger = logging.getLogger("geartrain.inserver")

_PAGE = 500
"""Keys that the server looks at for one SCAN."""


class StreamFunction:
    """See the module's docstring.

    Args:
        handle: the hook's function.
        deployment: the registration's code.
        history: executions that its history keeps.
        worker: what the history names as having executed.
    """

    def __init__(self, handle: _geartrain.Handle, deployment: Deployment, history: int, worker: str) -> None:
        self.id = deployment.registration.id
        self.handle = handle
        self.database = Database(handle)
        self.deployment = deployment
        self._history = history
        self._worker = worker
        self._streams: dict[bytes, Stream] = {}
        self._executed: set[Stream] = set()
        self._looking: Iterator[None] | None = None
        self._timer: int | None = None
        self._closed = False
        self._stopped = False

    def start(self) -> None:
        """Take events from now on, and execute what was added before."""
        _geartrain.install(self.handle, self._event, None, None, CONTEXT, None, ANYTHING)
        self._looking = self._look()
        self._timer = _geartrain.timer(1, self._look_on)

    def close(self) -> None:
        """Execute nothing more."""
        self._closed = True
        if self._timer is not None:
            _geartrain.cancel(self._timer)
            self._timer = None
        for stream in self._streams.values():
            stream.close()

    def role_changed(self) -> None:
        """This is a primary again: another one may have gone on with the streams meanwhile."""
        if self._closed:
            return
        self.close()
        self._streams.clear()
        self._closed = False
        self.start()

    def deltas(self) -> list[Delta]:
        """What there is to add to its statistics."""
        executed, self._executed = self._executed, set()
        drained = (stream.tally.drain(shown(stream.name), self._worker) for stream in executed)
        return [delta for delta in drained if delta is not None]

    def written(self) -> None:
        """What it has left for the statistics is in them."""
        if self._stopped:
            # Not before: whoever sees it has the hook removed, and what the function has left with it.
            _geartrain.aborted(self.handle)

    def executed(self, stream: Stream) -> None:
        """The stream has something for the statistics."""
        self._executed.add(stream)

    def abort(self) -> None:
        """The policy stops the registration: here at once, and for everybody in the registry.

        A shard that has not the registry cannot write there: its hook says so, and workers and clients, who look at the
        hooks of all shards, write it (`registry.hooks`).
        """
        self.close()
        if _geartrain.CLUSTER:
            self._stopped = True
            logger.error("%s: aborted on this shard; a worker tells the others", self.id)
            return
        call = self.database.call
        text = call("HGET", keys.REGISTRATIONS, self.id)
        status = call("HGET", keys.STATUS, self.id) or Status.ACTIVE
        # Not where new code has come since, or it was paused.
        if text is None or status != Status.ACTIVE:
            return
        if Registration.from_json(text).code_version == self.deployment.registration.code_version:
            call("HSET", keys.STATUS, self.id, Status.ABORTED.value)
            call("INCR", keys.VERSION)
            logger.error("%s: aborted; `geartrain resume %s` starts it again", self.id, self.id)

    def _event(self, name: bytes) -> None:
        if not self._closed:
            self._stream(name).event()

    def _stream(self, name: bytes) -> Stream:
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = Stream(self, name, Tally(self._history))
        return stream

    # -- streams that were there before --------------------------------------------------------------------------------

    def _look_on(self) -> None:
        self._timer = None
        if self._looking is None:
            return
        until = time.monotonic() + SLICE
        try:
            for _ in self._looking:
                if time.monotonic() >= until:
                    self._timer = _geartrain.timer(PAUSE_MS, self._look_on)
                    return
        except GeartrainError as error:
            logger.warning("%s: streams that were there before are not looked for: %s", self.id, error)
        self._looking = None

    def _look(self) -> Iterator[None]:
        """Look for streams and catch up with each; a pause may be made after every step."""
        for page in self._pages():
            yield
            for name in page:
                if self._closed:
                    return
                self._stream(name).catch_up(time.monotonic() + SLICE)
                yield

    def _pages(self) -> Iterator[list[bytes]]:
        pattern = self.deployment.registration.pattern
        if glob.is_exact(to_bytes(pattern)):
            yield [to_bytes(pattern)]
            return
        cursor = "0"
        while True:
            cursor, names = self.database.call("SCAN", cursor, "MATCH", pattern, "COUNT", _PAGE, "TYPE", "stream")
            yield [name for name in map(to_bytes, names) if not name.startswith(keys.PREFIX)]
            if cursor == "0":
                return
