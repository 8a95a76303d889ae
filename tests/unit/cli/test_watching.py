"""What `geartrain run` tells of the registrations: rates and news."""

from __future__ import annotations

from dataclasses import replace

import pytest

from geartrain.builder import Mode, Reader
from geartrain.cli.watching import News, Rates
from geartrain.client import RegistrationInfo
from geartrain.config import Dialect
from geartrain.registry import Delivery, Status

INFO = RegistrationInfo(
    id="totals",
    session="shop",
    reader=Reader.STREAM,
    pattern="orders:*",
    mode=Mode.ASYNC,
    description=None,
    dialect=Dialect.GEARTRAIN,
    status=Status.ACTIVE,
    delivery=Delivery.AT_LEAST_ONCE,
    python="3.11",
    version=1,
    triggered=0,
    succeeded=0,
    failed=0,
    aborted=0,
    retried=0,
    dropped=0,
    unreplicated=0,
    records=0,
    lag=0,
    last_duration_ms=0.0,
    average_duration_ms=0.0,
    last_error=None,
    last_error_at=None,
)


@pytest.fixture
def news():
    """News of nothing yet."""
    return News()


def test_a_rate_is_taken_over_a_few_seconds():
    """Statistics come in steps; a longer look smooths them."""
    rates = Rates()
    assert rates.add([INFO], 0.0) == {"totals": 0.0}
    assert rates.add([replace(INFO, records=100)], 1.0) == {"totals": 100.0}
    assert rates.add([replace(INFO, records=100)], 2.0) == {"totals": 50.0}
    rates.add([replace(INFO, records=100)], 5.0)
    assert rates.add([replace(INFO, records=130)], 8.0) == {"totals": 10.0}


def test_a_rate_is_never_negative():
    """A registration that was removed and made again counts from 0."""
    rates = Rates()
    rates.add([replace(INFO, records=100)], 0.0)
    assert rates.add([INFO], 1.0) == {"totals": 0.0}


def test_nothing_is_news_when_nothing_has_changed(news):
    """Counters alone are none."""
    assert news.of([INFO]) == []
    assert news.of([replace(INFO, triggered=5, succeeded=5)]) == []


def test_a_changed_status_is_news_with_what_to_do(news):
    """Aborted by its policy, resumed by a person."""
    news.of([INFO])
    aborted = replace(INFO, status=Status.ABORTED)
    assert news.of([aborted]) == ["totals: active -> aborted; `geartrain resume totals` starts it again"]
    assert news.of([INFO]) == ["totals: aborted -> active"]


def test_a_registration_that_is_gone_is_news(news):
    """Somebody unregistered it."""
    news.of([INFO])
    assert news.of([]) == ["totals: unregistered"]
