"""What one partition's executions add to its registration's statistics, until the worker takes it to the registry."""

from __future__ import annotations

from collections import deque

from geartrain.registry.statistics import Delta, Execution


class Tally:
    """Counters of one partition. Its partition's lock guards it.

    Args:
        history: executions that are kept.
    """

    __slots__ = ("_error", "_history", "counts", "duration", "last_duration", "records", "succeeded")

    def __init__(self, history: int) -> None:
        self.succeeded = 0
        self.records = 0
        self.duration = 0.0
        self.last_duration = 0.0
        self.counts: dict[str, int] = {}
        self._history: deque[tuple[float, float, int, str, str, str | None]] = deque(maxlen=history)
        self._error: tuple[str, str, float] | None = None

    def success(self, at: float, duration: float, records: int, last_id: str) -> None:
        """An execution ended well; the path that every batch takes."""
        self.succeeded += 1
        self.records += records
        self.duration += duration
        self.last_duration = duration
        self._history.append((at, duration, records, last_id, "succeeded", None))

    def failure(
        self, at: float, duration: float, records: int, last_id: str, outcome: str, error: tuple[str, str]
    ) -> None:
        """An execution failed.

        Args:
            at: Unix time in seconds.
            duration: seconds.
            records: of its batch.
            last_id: of its batch.
            outcome: `failed`, `retried` or `aborted`.
            error: message and the user's traceback.
        """
        self.duration += duration
        self.last_duration = duration
        self.count(outcome)
        if outcome == "aborted":
            self.count("failed")
        self._history.append((at, duration, records, last_id, outcome, error[0]))
        self._error = (*error, at)

    def count(self, name: str, amount: int = 1) -> None:
        """Add to a counter."""
        self.counts[name] = self.counts.get(name, 0) + amount

    def drain(self, stream: str, worker: str) -> Delta | None:
        """What there is to take to the registry since the last call; None where there is nothing."""
        if not self.succeeded and not self.counts:
            return None
        counters = dict(self.counts)
        # A retried batch is triggered once, when it ends: by success or by failure.
        counters["triggered"] = self.succeeded + self.counts.get("failed", 0)
        counters["succeeded"] = self.succeeded
        counters["records"] = self.records
        counters["duration_us"] = round(self.duration * 1e6)
        latest: dict[str, str | int | float] = {"last_duration_us": round(self.last_duration * 1e6)}
        if self._error is not None:
            latest["last_error"], latest["last_trace"], latest["last_error_at"] = self._error
        executions = [
            Execution(
                at=at,
                duration_us=round(duration * 1e6),
                records=records,
                stream=stream,
                last_id=last_id,
                outcome=outcome,
                worker=worker,
                error=error,
            )
            for at, duration, records, last_id, outcome, error in self._history
        ]
        self._history.clear()
        self.succeeded = self.records = 0
        self.duration = 0.0
        self.counts.clear()
        self._error = None
        return Delta(counters, latest, executions)
