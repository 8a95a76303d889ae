"""What `geartrain run` shows of the registrations: how fast they go, and what is new since the last look. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping

from geartrain.client import RegistrationInfo

_WINDOW = 3.0
"""Seconds over which a rate is taken; statistics come in steps of half a second."""

_REPEAT = 10.0
"""Seconds after which a failure with the same traceback is told again."""


class Rates:
    """Records per second of each registration, over the last few seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, Mapping[str, int]]] = deque()

    def add(self, infos: Iterable[RegistrationInfo], now: float) -> dict[str, float]:
        """The rates, by registration id, with these counters at `now` (seconds, monotonic)."""
        current = {info.id: info.records for info in infos}
        self._samples.append((now, current))
        while len(self._samples) > 2 and now - self._samples[1][0] >= _WINDOW:
            self._samples.popleft()
        then, before = self._samples[0]
        if now <= then:
            return dict.fromkeys(current, 0.0)
        # Less than before: it was unregistered and registered again.
        return {name: max(0.0, (count - before.get(name, count)) / (now - then)) for name, count in current.items()}


class News:
    """Tells what people want to know when it happens: a status that changed, a failure with its traceback.

    Args:
        trace_of: gives the traceback of a registration's last failure, or None.
    """

    def __init__(self, trace_of: Callable[[str], str | None]) -> None:
        self._trace_of = trace_of
        self._before: dict[str, RegistrationInfo] | None = None
        self._told: dict[str, tuple[str | None, float]] = {}

    def of(self, infos: Iterable[RegistrationInfo], now: float) -> list[str]:
        """Texts of one line or more; at the first call, what was before counts as known, failures apart.

        Args:
            infos: of this moment.
            now: seconds, monotonic.
        """
        current = {info.id: info for info in infos}
        before, self._before = self._before, current
        news: list[str] = []
        for name, info in current.items():
            old = before.get(name) if before is not None else None
            if info.last_error_at is not None and (old is None or old.last_error_at != info.last_error_at):
                news += self._failure(info, now)
            if old is not None and old.status != info.status:
                news.append(f"{name}: {old.status} -> {info.status}{_advice(info)}")
        gone = [name for name in before or {} if name not in current]
        return news + [f"{name}: unregistered" for name in gone]

    def _failure(self, info: RegistrationInfo, now: float) -> list[str]:
        trace = self._trace_of(info.id)
        told, at = self._told.get(info.id, (None, -_REPEAT))
        if trace is not None and trace == told and now - at < _REPEAT:
            return []
        self._told[info.id] = (trace, now)
        counts = f" (failed {info.failed}, retried {info.retried})" if info.failed or info.retried else ""
        message = f"{info.id}: {info.last_error}{counts}"
        return [message] if trace is None or trace == told else [trace.rstrip("\n"), message]


def _advice(info: RegistrationInfo) -> str:
    return f"; `geartrain resume {info.id}` starts it again" if info.status == "aborted" else ""
