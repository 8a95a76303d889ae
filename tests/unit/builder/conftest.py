"""A host that keeps what scripts submit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from geartrain.builder import RegisterRequest, RunRequest, hosted
from geartrain.config import Dialect


class Keeper:
    """Keeps requests in lists; `run` answers with the name of what it was asked to read."""

    def __init__(self, dialect: Dialect = Dialect.GEARTRAIN) -> None:
        self.dialect = dialect
        self.registered: list[RegisterRequest] = []
        self.runs: list[RunRequest] = []

    def register(self, request: RegisterRequest) -> str:
        """Keep it; the id is its number."""
        self.registered.append(request)
        return f"id-{len(self.registered)}"

    def run(self, request: RunRequest) -> list[Any]:
        """Keep it; the result is its pattern."""
        self.runs.append(request)
        return [request.pattern]


@pytest.fixture
def keeper() -> Iterator[Keeper]:
    """A host in place, with today's defaults."""
    host = Keeper()
    with hosted(host):
        yield host


@pytest.fixture
def old_keeper() -> Iterator[Keeper]:
    """A host in place, with the defaults of RedisGears 1.2."""
    host = Keeper(Dialect.REDISGEARS_1_2)
    with hosted(host):
        yield host
