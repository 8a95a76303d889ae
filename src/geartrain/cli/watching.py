"""What `geartrain run` shows of the registrations: how fast they go, and what is new since the last look. No I/O."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

from geartrain.client import RegistrationInfo

_WINDOW = 3.0
"""Seconds over which a rate is taken; statistics come in steps of half a second."""


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
    """Tells what people want to know when it happens: a status that changed. Failures are in the workers' log."""

    def __init__(self) -> None:
        self._before: dict[str, RegistrationInfo] | None = None

    def of(self, infos: Iterable[RegistrationInfo]) -> list[str]:
        """Lines about what is new in `infos`; at the first call everything counts as known."""
        current = {info.id: info for info in infos}
        before, self._before = self._before, current
        news: list[str] = []
        for name, info in current.items():
            old = before.get(name) if before is not None else None
            if old is not None and old.status != info.status:
                news.append(f"{name}: {old.status} -> {info.status}{_advice(info)}")
        gone = [name for name in before or {} if name not in current]
        return news + [f"{name}: unregistered" for name in gone]


def _advice(info: RegistrationInfo) -> str:
    return f"; `geartrain resume {info.id}` starts it again" if info.status == "aborted" else ""
