"""What is installed: requirements against packages, and the files that a requirement brought."""

from __future__ import annotations

from importlib.metadata import version

from geartrain.environments import missing, normalised
from geartrain.environments.installed import wheels_of
from geartrain.environments.place import Wheel

WHEELS = (
    Wheel("colour", "1.0", "colour-1.0-py3-none-any.whl", ("shade>=1", 'tint ; extra == "more"')),
    Wheel("shade", "2.0", "shade-2.0-py3-none-any.whl", ('gone ; python_version < "3"',)),
    Wheel("tint", "3.0", "tint-3.0-py3-none-any.whl", ("colour",)),
    Wheel("zoo", "1.0", "zoo-1.0-py3-none-any.whl"),
)


def test_what_is_installed_is_not_missing():
    """By name, version, marker and extra, and a wheel by its name."""
    redis = version("redis")
    here = ["redis>=5", f"redis-{redis}-py3-none-any.whl", "nothing-at-all ; python_version < '3'", "redis[hiredis]"]
    assert missing(normalised(here)) == []


def test_what_is_not_there_or_in_another_version_is_missing():
    """Each as it was asked for; of a URL nobody can tell."""
    lacking = normalised(["redis<1", "nothing-at-all", "redis @ file:///redis.zip", "/other-9.9-py3-none-any.whl"])
    assert missing(lacking) == list(lacking)


def test_the_files_of_a_requirement_are_its_own_and_those_of_what_it_requires():
    """Not those of other requirements; an extra's only where it was asked for."""
    names = [wheel.file for wheel in WHEELS]
    assert wheels_of("colour==1.0", WHEELS) == (names[0], names[1])
    assert wheels_of("colour[more]", WHEELS) == (names[0], names[1], names[2])
    assert wheels_of("/w/zoo-1.0-py3-none-any.whl", WHEELS) == (names[3],)
