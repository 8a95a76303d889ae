"""What `--json` and people see of a value."""

from __future__ import annotations

import json

import pytest

from geartrain.cli.plain import line, plain
from geartrain.config import WorkerSettings


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        (True, True),
        (None, None),
        (1.5, 1.5),
        (float("inf"), "inf"),
        (float("-inf"), "-inf"),
        (float("nan"), "nan"),
        (b"\xff\xfe", {"$base64": "//4="}),
        ({"a": (1, 2)}, {"a": [1, 2]}),
        ({b"\xff": 1, 2: "x"}, {"\\xff": 1, "2": "x"}),
        ({"b", "a"}, ["a", "b"]),
        (1 + 2j, "(1+2j)"),
    ],
)
def test_a_value_has_its_documented_form(value, expected):
    """Each row of the table in the reference."""
    assert plain(value) == expected
    json.dumps(plain(value), allow_nan=False)


def test_a_dataclass_is_an_object():
    """Its fields, by name."""
    assert plain(WorkerSettings())["threads"] == 4


@pytest.mark.parametrize(
    ("value", "expected"),
    [("text", "text"), ("two\nlines", "'two\\nlines'"), (b"\xff", "b'\\xff'"), ({"a": 1}, "{'a': 1}"), (7, "7")],
)
def test_a_line_for_people_is_one_line(value, expected):
    """Text as it is; whatever would break the line, as Python writes it."""
    assert line(value) == expected
