"""Takes calls from the server module of every primary, and answers them.

    GEARTRAIN.SERVE on each primary ──a thread each──> taker ──any thread──> answers ──GEARTRAIN.ANSWER──> that primary

Unlike `worker.serving`, whose threads do the work themselves, these hand it on: a call may take minutes, and orders to
end it come the same way. New shards and failovers are followed.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

from geartrain.errors import GeartrainError, ServerUnavailable
from geartrain.resp3 import Error, encode
from geartrain.wire import Address, Endpoint, Link, topology_of
from geartrain.worker.serving import WAIT_MS, Call, keep_serving

logger = logging.getLogger("geartrain.rg")

_LOOK = 1.0
"""Seconds between two looks at the shards."""

_SIGN = 4.0
"""Seconds between two signs of life while all hands are busy. After ten, nobody serves the lane, for the module."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A call, and the server that wants its answer.

    Attributes:
        call: as the module hands it over.
        address: of the primary that has its client.
    """

    call: Call
    address: Address


class Taker(Protocol):
    """Who takes calls; any thread may call it."""

    def room(self, seconds: float) -> bool:
        """Whether there is room for one more; waits for it that long."""

    def take(self, taken: Taken) -> bool:
        """Begin with a call, and return at once; False: there is no room, and it goes back into its lane."""


class Answers:
    """Sends answers, each to the primary where its call came from. Thread-safe.

    Args:
        endpoint: the server, or the cluster.
    """

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._clustered = topology_of(endpoint).clustered
        self._lock = threading.Lock()
        self._links: dict[Address, tuple[Link, threading.Lock]] = {}

    def send(self, taken: Taken, blob: bytes) -> bool:
        """Answer a call with a value in the text of RESP3; False where nobody waits for it any more.

        Never raises: what cannot be sent is answered with an error that says so, if that can.
        """
        try:
            return self._send(taken, blob)
        except ServerUnavailable as error:
            logger.info("the answer to %s is lost: %s", taken.call.lane, error)
        except GeartrainError as error:
            logger.warning("the server does not take an answer of %d bytes: %s", len(blob), error)
            with suppress(GeartrainError):
                return self._send(taken, encode(Error(f"ERR the answer, {len(blob)} bytes, was refused: {error}")))
        return False

    def _send(self, taken: Taken, blob: bytes) -> bool:
        link, lock = self._link(taken.address)
        with lock:
            return bool(link.call("GEARTRAIN.ANSWER", taken.call.id, blob))

    def _link(self, address: Address) -> tuple[Link, threading.Lock]:
        with self._lock:
            if address not in self._links:
                endpoint = self._endpoint.at(address) if self._clustered else self._endpoint
                self._links[address] = (Link(endpoint, "geartrain:rg:answers"), threading.Lock())
            return self._links[address]


class Calls:
    """Threads that serve lanes, one for each primary, wherever the primaries are.

    Args:
        endpoint: the server, or the cluster.
        name: shown in the servers' `CLIENT LIST`.
        lanes: that are served.
        taker: who takes the calls.
    """

    def __init__(self, endpoint: Endpoint, name: str, lanes: Sequence[str], taker: Taker) -> None:
        self._endpoint = endpoint
        self._name = name
        self._names = lanes
        self._taker = taker
        self._topology = topology_of(endpoint)
        self._lanes: dict[Address, _Lane] = {}
        self._due = 0.0

    def look(self) -> None:
        """Serve on the primaries that there are now; to be called again and again, by one thread."""
        now = time.monotonic()
        if self._topology.clustered and now >= self._due:
            self._due = now + _LOOK
            self._topology.suspect()
            self._topology.refresh_if_stale()
        primaries = {shard.primary for shard in (*self._topology.shards, *self._topology.spares)}
        for address in self._lanes.keys() - primaries:
            self._lanes.pop(address).request_stop()
        for address in primaries - self._lanes.keys():
            endpoint = self._endpoint.at(address) if self._topology.clustered else self._endpoint
            self._lanes[address] = _Lane(endpoint, address, self._name, self._names, self._taker)
            self._lanes[address].start()

    def stop(self, deadline: float) -> None:
        """Take nothing more; returns when nobody takes, or at a time of `time.monotonic`."""
        for lane in self._lanes.values():
            lane.request_stop()
        for lane in self._lanes.values():
            lane.join(max(0.0, deadline - time.monotonic()))


class _Lane(threading.Thread):
    """Serves on one primary."""

    def __init__(self, endpoint: Endpoint, address: Address, name: str, lanes: Sequence[str], taker: Taker) -> None:
        super().__init__(name=f"geartrain-{name}", daemon=True)
        self._endpoint = endpoint
        self._address = address
        self._client = f"rg:{name}"
        self._lanes = lanes
        self._taker = taker
        self._stopping = threading.Event()

    def request_stop(self) -> None:
        """Take nothing more; returns at once."""
        self._stopping.set()

    def run(self) -> None:
        """Serve, until the stop."""
        keep_serving(self._endpoint, self._client, self._stopping, self._serve)

    def _serve(self, link: Link) -> None:
        while not self._stopping.is_set():
            self._next(link)

    def _next(self, link: Link) -> None:
        room = self._taker.room(_SIGN)
        if self._stopping.is_set():
            return
        # Without room only for a moment: as a sign of life.
        reply = link.call("GEARTRAIN.SERVE", WAIT_MS if room else 1, *self._lanes)
        if reply is None:
            return
        call = Call(*reply)
        if self._stopping.is_set() or not self._taker.take(Taken(call, self._address)):
            link.call("GEARTRAIN.RETURN", call.id)
