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
    records=0,
    lag=0,
    last_duration_ms=0.0,
    average_duration_ms=0.0,
    last_error=None,
    last_error_at=None,
)


@pytest.fixture
def traces():
    """The tracebacks that the registry would give, by registration id."""
    return {"totals": "Traceback ...\nValueError: no luck\n"}


@pytest.fixture
def news(traces):
    """News with those tracebacks."""
    return News(traces.get)


def failed(at, count=1, message="raised ValueError: no luck"):
    """The registration after its last failure at that time."""
    return replace(INFO, failed=count, last_error=message, last_error_at=at)


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
    assert news.of([INFO], 0.0) == []
    assert news.of([replace(INFO, triggered=5, succeeded=5)], 1.0) == []


def test_a_changed_status_is_news_with_what_to_do(news):
    """Aborted by its policy, resumed by a person."""
    news.of([INFO], 0.0)
    aborted = replace(INFO, status=Status.ABORTED)
    assert news.of([aborted], 1.0) == ["totals: active -> aborted; `geartrain resume totals` starts it again"]
    assert news.of([INFO], 2.0) == ["totals: aborted -> active"]


def test_a_registration_that_is_gone_is_news(news):
    """Somebody unregistered it."""
    news.of([INFO], 0.0)
    assert news.of([], 1.0) == ["totals: unregistered"]


def test_a_failure_is_told_with_the_users_traceback_first(news):
    """Also one that happened before the first look."""
    told = news.of([failed(at=1.0)], 0.0)
    assert told == [
        "Traceback ...\nValueError: no luck",
        "totals: raised ValueError: no luck (failed 1, retried 0)",
    ]


def test_the_same_traceback_is_not_told_again_and_again(news, traces):
    """Once in ten seconds the message alone; another traceback at once."""
    news.of([failed(at=1.0)], 0.0)
    assert news.of([failed(at=2.0, count=2)], 1.0) == []
    assert news.of([failed(at=12.0, count=9)], 11.0) == ["totals: raised ValueError: no luck (failed 9, retried 0)"]
    traces["totals"] = "Traceback ...\nKeyError: 'x'\n"
    assert news.of([failed(at=12.5, count=10)], 11.5)[0] == "Traceback ...\nKeyError: 'x'"


def test_trouble_without_a_traceback_is_one_line(news, traces):
    """A server setting that is missing, say."""
    del traces["totals"]
    trouble = replace(INFO, last_error="the server sends no key events", last_error_at=1.0)
    assert news.of([trouble], 0.0) == ["totals: the server sends no key events"]
