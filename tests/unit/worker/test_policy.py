"""What happens after a failure, and how long it waits: plain decisions."""

from __future__ import annotations

import pytest

from geartrain.builder.requests import FailurePolicy
from geartrain.worker.policy import Policy, Verdict, backoff, caution


def test_retry_goes_on_for_ever_without_a_limit():
    """However often it failed."""
    policy = Policy(FailurePolicy.RETRY, 1, None)
    assert {policy.decide(failures) for failures in (1, 2, 10_000)} == {Verdict.RETRY}


@pytest.mark.parametrize("limit", [0, 1, 5])
def test_max_retries_are_tries_after_the_first(limit):
    """So many failures are retried; one more aborts. 0: the first failure aborts."""
    policy = Policy(FailurePolicy.RETRY, 1, limit)
    verdicts = [policy.decide(failures) for failures in range(1, limit + 2)]
    assert verdicts == [Verdict.RETRY] * limit + [Verdict.ABORT]


@pytest.mark.parametrize(
    ("kind", "verdict"), [(FailurePolicy.ABORT, Verdict.ABORT), (FailurePolicy.CONTINUE, Verdict.CONTINUE)]
)
def test_the_other_policies_decide_at_the_first_failure(kind, verdict):
    """There is no second one of that batch."""
    assert Policy(kind, 1, None).decide(1) is verdict


def test_backoff_doubles_up_to_five_seconds():
    """And does not overflow, however long the server is away."""
    assert [backoff(failures) for failures in (1, 2, 3)] == [0.1, 0.2, 0.4]
    assert backoff(10) == backoff(1_000_000) == 5.0


def test_caution_begins_with_the_third_owner():
    """Two may have been killed for other reasons; 0: nobody has begun, or nothing is there."""
    assert [caution(tries) for tries in (0, 1, 2)] == [0.0, 0.0, 0.0]
    assert [caution(tries) for tries in (3, 4, 5)] == [0.5, 1.0, 2.0]


def test_caution_ends_at_half_a_minute():
    """A cause that has gone is found out within that time, whatever happened before."""
    assert caution(9) == caution(1_000_000) == 30.0
    waits = [caution(tries) for tries in range(50)]
    assert waits == sorted(waits)
