"""The tables of the migration guide have all that the code has, and nothing else."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from geartrain import GearsBuilder
from geartrain.builder.stepping import Stepping
from geartrain.rg.config import OPTIONS
from geartrain.runtime.names import NAMES

ROOT = Path(__file__).resolve().parents[3]
GUIDE = ROOT / "docs" / "howto" / "migrate-from-redisgears.md"
WORDS = {"same", "different", "new", "not there"}


def rows(heading):
    """The rows of the table below a heading: the names in the first cell, what the second one says, and the third."""
    found = re.search(rf"^### {re.escape(heading)}\n\n((?:^\|.*\n)+)", GUIDE.read_text(), re.MULTILINE)
    assert found, f"no table below {heading!r}"
    for line in found[1].splitlines()[2:]:
        names, here, why = [cell.strip() for cell in line.strip("|").split("|")]
        yield re.findall(r"`([^`]+)`", names), here, why


def there(heading):
    """The names that the guide says are there; what follows a command's name is no name."""
    return {name.split()[0] for names, here, _ in rows(heading) if here != "not there" for name in names}


def missing(heading):
    """The names that the guide says are not there."""
    return {name.split()[0] for names, here, _ in rows(heading) if here == "not there" for name in names}


def source(name):
    """A file of the server module."""
    return ROOT.joinpath("native", name).read_text()


def commands():
    """The commands that the module takes."""
    return {found.upper() for path in ROOT.joinpath("native").glob("*.c") for found in RG.findall(path.read_text())}


RG = re.compile(r'"(rg\.[a-z]{2,})"', re.IGNORECASE)


def options():
    """The options of RedisGears that the module takes, and those that commands know."""
    given = re.findall(r'^    \{"(\w+)", (?:TEXT|NUMBER)', source("options.c"), re.MULTILINE)
    assert given
    return {*given, *(option.name for option in OPTIONS)}


def steps():
    """The steps of a builder."""
    return {name for name, _ in inspect.getmembers(Stepping, inspect.isfunction) if not name.startswith("_")}


def arguments(verb):
    """The arguments that a method of the builders takes, of whatever reader, with their other names."""
    builders = GearsBuilder._by_reader.values()
    methods = [getattr(builder, verb) for builder in builders]
    names = {item.name for method in methods for item in inspect.signature(method).parameters.values()}
    names |= {name for builder in builders for name in builder._old_names.get(verb, ())}
    return names - {"self", "args", "kwargs"}


TABLES = {
    "Commands": commands,
    "Configuration options": options,
    "Readers": lambda: set(map(str, GearsBuilder._by_reader)),
    "Steps": steps,
    "Arguments of register": lambda: arguments("register"),
    "Arguments of run": lambda: arguments("run"),
    "Names in scripts": lambda: set(NAMES),
}


@pytest.mark.parametrize("heading", TABLES)
def test_a_table_has_what_the_code_has(heading):
    """Each name once; what is told to be missing is missing."""
    known = TABLES[heading]()
    assert there(heading) == known
    assert not missing(heading) & known
    told = [name for names, _, _ in rows(heading) for name in names]
    assert sorted(told) == sorted(set(told))


@pytest.mark.parametrize("heading", TABLES)
def test_each_row_says_how_it_is(heading):
    """What is different, new, or not there, says how, or why."""
    for names, here, why in rows(heading):
        assert here in WORDS, names
        assert why or here == "same", names
