"""Commands that are packed here are those that the parser's library packs."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from geartrain.readers.fetching import packed_mget
from geartrain.wire import pack

NAMES = st.lists(st.text(max_size=5) | st.binary(max_size=5) | st.sampled_from(["x" * 300, "é" * 200, "\r\n", ""]))


@given(NAMES)
def test_mget_is_packed_as_any_command(names):
    """Names of any length, text or bytes, ASCII or not."""
    assert packed_mget(names) == pack(("MGET", *names))
