"""The helper that waits: what it returns, and what it says when it gives up."""

from __future__ import annotations

import re

import pytest

from support.waiting import wait_for


def test_the_first_true_value_is_returned():
    """The condition is asked again while it returns something false."""
    values = iter([0, "", None, "there"])
    assert wait_for(lambda: next(values)) == "there"


def test_the_last_value_is_in_the_message():
    """A wait that was in vain says what it waited for, how long, and what it saw last."""
    with pytest.raises(AssertionError, match=re.escape("the group: not within 0.05 s; the last value was []")):
        wait_for(list, timeout=0.05, message="the group")


def test_an_error_of_the_condition_is_not_hidden():
    """A condition that raises ends the wait with its own error."""
    with pytest.raises(ZeroDivisionError):
        wait_for(lambda: 1 // 0)
