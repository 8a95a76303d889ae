"""What one partition's executions add to its registration's statistics, until the worker takes it to the registry."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress

from geartrain.registry.statistics import Delta, Execution

Line = tuple[float, float, int, str]
"""When an execution began (`time.perf_counter`), seconds that it took, records of its batch, id of its last entry."""

_Line = tuple[float, float, int, str, str, str | None]


class Tally:
    """Counters of one partition.

    The thread that executes the partition adds; the main thread drains. Neither takes a lock: counters only grow, and
    what was drained before is remembered beside them.

    Args:
        history: executions that are kept.
    """

    __slots__ = (
        "_cut",
        "_drained",
        "_error",
        "_history",
        "_lag",
        "_last_lag",
        "_wall",
        "counts",
        "duration",
        "last_duration",
        "records",
        "succeeded",
    )

    def __init__(self, history: int) -> None:
        self.succeeded = 0
        self.records = 0
        self.duration = 0.0
        self.last_duration = 0.0
        self.counts: dict[str, int] = {}
        self._cut = 0
        self._lag = 0.0
        self._last_lag = 0.0
        self._history: deque[_Line] = deque(maxlen=history)
        self._error: tuple[str, str, float] | None = None
        self._drained: dict[str, int] = {}
        self._wall = time.time() - time.perf_counter()

    def success(self, begin: float, duration: float, records: int, last_id: str) -> None:
        """An execution ended well; the path that every batch takes."""
        self.succeeded += 1
        self.records += records
        self.duration += duration
        self.last_duration = duration
        self._history.append((begin, duration, records, last_id, "succeeded", None))

    def successes(self, count: int, duration: float, last: float, lines: Iterable[tuple[float, float, str]]) -> None:
        """Many executions of one record each ended well.

        Args:
            count: how many.
            duration: seconds that they took together.
            last: seconds that the last one took.
            lines: the last of them: when it began (`time.perf_counter`), seconds that it took, what it was about.
        """
        self.succeeded += count
        self.records += count
        self.duration += duration
        self.last_duration = last
        self._history.extend((begin, took, 1, about, "succeeded", None) for begin, took, about in lines)

    def streak(self, times: Sequence[float], records: int, lines: Callable[[int], tuple[int, str]]) -> None:
        """Executions, one after the other, ended well.

        Args:
            times: when the first one began (`time.perf_counter`), and when each ended.
            records: of all together.
            lines: gives the number of records of one of them, 0 is the first, and the id of its last entry.
        """
        count = len(times) - 1
        self.succeeded += count
        self.records += records
        self.duration += times[-1] - times[0]
        self.last_duration = times[-1] - times[-2]
        for index in range(max(0, count - (self._history.maxlen or 0)), count):
            begin = times[index]
            self._history.append((begin, times[index + 1] - begin, *lines(index), "succeeded", None))

    def lag(self, entry_id: str, ended: float) -> None:
        """A batch whose first entry has this id has ended: how long that took from the id's time.

        Args:
            entry_id: the entry's.
            ended: when, by `time.perf_counter`.
        """
        lag = (self._wall + ended) * 1000 - int(entry_id.partition("-")[0])
        self._last_lag = lag if lag > 0 else 0.0
        self._lag += self._last_lag

    def failure(self, line: Line, outcome: str, error: tuple[str, str]) -> None:
        """An execution failed.

        Args:
            line: the execution.
            outcome: `failed`, `retried` or `aborted`.
            error: message and the user's traceback.
        """
        self.duration += line[1]
        self.last_duration = line[1]
        self.count(outcome)
        if outcome == "aborted":
            self.count("failed")
        self._note(line, outcome, error)

    def aborted(self, line: Line, error: tuple[str, str]) -> None:
        """Somebody has aborted an execution; arguments as of `failure`."""
        self.duration += line[1]
        self.last_duration = line[1]
        self.count("aborted")
        self._cut += 1
        self._note(line, "aborted", error)

    def _note(self, line: Line, outcome: str, error: tuple[str, str]) -> None:
        self._history.append((*line, outcome, error[0]))
        self._error = (*error, self._wall + line[0])

    def count(self, name: str, amount: int = 1) -> None:
        """Add to a counter."""
        self.counts[name] = self.counts.get(name, 0) + amount

    def drain(self, stream: str, worker: str) -> Delta | None:
        """What there is to take to the registry since the last call; None where there is nothing."""
        totals = dict(self.counts)
        totals["succeeded"] = self.succeeded
        totals["records"] = self.records
        totals["duration_us"] = round(self.duration * 1e6)
        totals["lag_ms"] = round(self._lag)
        # A retried batch is triggered once, when it ends: by success, by failure, or because somebody aborted it.
        totals["triggered"] = totals["succeeded"] + totals.get("failed", 0) + self._cut
        counters = {name: total - self._drained.get(name, 0) for name, total in totals.items()}
        if not any(counters.values()):
            return None
        self._drained = totals
        latest: dict[str, str | int | float] = {"last_duration_us": round(self.last_duration * 1e6)}
        if self._lag:
            latest["last_lag_ms"] = round(self._last_lag)
        error = self._error
        if error is not None:
            latest["last_error"], latest["last_trace"], latest["last_error_at"] = error
            if self._error is error:
                self._error = None
        return Delta(counters, latest, self._executions(stream, worker))

    def _executions(self, stream: str, worker: str) -> list[Execution]:
        lines: list[_Line] = []
        with suppress(IndexError):
            while True:
                lines.append(self._history.popleft())
        return [
            Execution(
                at=self._wall + begin,
                duration_us=round(duration * 1e6),
                records=records,
                stream=stream,
                last_id=last_id,
                outcome=outcome,
                worker=worker,
                error=error,
            )
            for begin, duration, records, last_id, outcome, error in lines
        ]
