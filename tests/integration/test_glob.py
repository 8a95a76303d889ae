"""Patterns mean here what they mean in the server's `SCAN MATCH`."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geartrain.glob import is_exact, matches
from geartrain.text import to_bytes
from geartrain.wire import Endpoint, Link

LETTERS = st.sampled_from([b"a", b"b", b"c", b"*", b"?", b"[", b"]", b"^", b"-", b"\\", b"\n", b"\xff"])
TEXT = st.lists(LETTERS, min_size=1, max_size=8).map(b"".join)


@pytest.fixture
def server_says(valkey):
    """Whether the server's own matching takes a key for a pattern."""
    with Link(Endpoint(valkey.url)) as link:

        def says(pattern, key):
            link.call("FLUSHALL")
            link.call("SET", key, "x")
            found = link.call("SCAN", 0, "MATCH", pattern)[1]
            return [to_bytes(item) for item in found] == [key]

        yield says


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pattern=TEXT, key=TEXT)
def test_any_pattern_matches_what_the_server_matches(server_says, pattern, key):
    """Special characters, unclosed and empty classes, backslashes at the end, any bytes (the empty key apart)."""
    assert matches(pattern, key) == server_says(pattern, key)


@given(TEXT)
def test_an_exact_pattern_matches_itself_and_nothing_else(text):
    """So that its stream needs no search."""
    if is_exact(text):
        assert matches(text, text)
        assert not matches(text, text + b"a")
