"""The arguments of RG.PYEXECUTE, before anything is asked of a server."""

from __future__ import annotations

import pytest

from geartrain.errors import RgError
from geartrain.rg.commands.pyexecute import parsed
from geartrain.rg.config import Config, settable


def test_arguments_come_in_any_order_and_case():
    """REQUIREMENTS is the last one and takes the rest."""
    found = parsed(["RG.PYEXECUTE", "x", "id", "a", "Unblocking", "DESCRIPTION", "of a", "requirements", "p", "q>=1"])
    assert found.source == "x"
    assert found.flags == {"UNBLOCKING"}
    assert found.values == {"ID": "a", "DESCRIPTION": "of a"}
    assert found.requirements == ("p", "q>=1")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["redis==3.5 numpy"], ["redis==3.5", "numpy"]),
        (["redis == 3.5 numpy >= 1 , < 2"], ["redis==3.5", "numpy>=1,<2"]),
        (["a @ file:///a b.whl"], ["a @ file:///a b.whl"]),
        (["a; python_version > '3'", "b"], ["a; python_version > '3'", "b"]),
        (["", "a"], ["a"]),
    ],
)
def test_requirements_are_told_apart(words, expected):
    """Several in one argument, as the documentation has them, or one in each."""
    assert parsed(["RG.PYEXECUTE", "x", "REQUIREMENTS", *words]).requirements == tuple(expected)


@pytest.mark.parametrize("words", [[], ["x", "UPGRADE", "upgrade"], ["x", "ID"], ["x", b"\xff"], [b"\xff"], ["x", "y"]])
def test_what_cannot_be_understood_is_refused(words):
    """An unknown argument, one that is given twice or lacks its value, or is no text."""
    with pytest.raises(RgError):
        parsed(["RG.PYEXECUTE", *words])


def test_what_was_set_wins_over_what_was_given():
    """Names in any case; what is no number counts as not given."""
    config = Config(
        {"MAXEXECUTIONS": "5", "plugin": "p.so", "ExecutionThreads": "many"}, {"MaxExecutions": "7", "foo": "b"}
    )
    assert (config["maxexecutions"], config["Plugin"], config["ExecutionThreads"], config["foo"]) == (7, "p.so", 3, "b")
    with pytest.raises(RgError, match="Unsupported config parameter: FOO"):
        config["FOO"]


def test_settings_are_kept_under_their_documented_names():
    """And checked, where they are RedisGears'."""
    assert (settable("profileexecutions", "1"), settable("mine", b"\xff")) == ("ProfileExecutions", "mine")
    for name, value in (("MaxExecutions", "0"), ("MaxExecutions", "x"), ("CreateVenv", "1")):
        with pytest.raises(RgError):
            settable(name, value)
