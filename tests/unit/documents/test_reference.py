"""The reference has every argument, setting, method and field that the code has, with its default."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path

import pytest

from geartrain import Client, GearsBuilder, errors
from geartrain.builder import CommandBuilder, KeysBuilder, KeysOnlyBuilder, PythonBuilder, StreamBuilder
from geartrain.builder.stepping import Stepping
from geartrain.client import Outcome, Partition, RegistrationDetails, RegistrationInfo, RunResult
from geartrain.config import WorkerSettings
from geartrain.registry import Execution, Submitted
from geartrain.runtime.names import NAMES

REFERENCE = Path(__file__).resolve().parents[3] / "docs" / "reference"


def text_of(name):
    """A page of the reference."""
    return (REFERENCE / name).read_text()


def section(name, heading):
    """What stands between a heading and the next one."""
    found = re.search(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#+ |\Z)", text_of(name), re.MULTILINE | re.DOTALL)
    assert found, f"{name} has no section {heading!r}"
    return found[1]


def documented(name, heading, column):
    """The first cell of each row of a section's first table, with the cell in that column."""
    table = re.search(r"(?:^\|.*\n)+", section(name, heading), re.MULTILINE)
    assert table, f"{name}: no table below {heading!r}"
    rows = [[cell.strip(" `") for cell in line.strip("|").split(" | ")] for line in table[0].splitlines()[2:]]
    return {row[0]: row[column] for row in rows}


def defaults_of(function):
    """The arguments of a function or method, each with its default as it is written."""
    parameters = list(inspect.signature(function).parameters.values())
    return {item.name: repr(item.default) for item in parameters if item.name not in {"self", "cls"}}


@pytest.mark.parametrize(
    ("function", "heading"),
    [
        (GearsBuilder.__init__, "GearsBuilder"),
        (StreamBuilder.register, "Register on streams"),
        (KeysBuilder.register, "Register on key events"),
        (CommandBuilder.register, "Register on commands"),
        (KeysBuilder.run, "GearsBuilder('KeysReader').run"),
        (KeysOnlyBuilder.run, "GearsBuilder('KeysOnlyReader').run"),
        (StreamBuilder.run, "GearsBuilder('StreamReader').run"),
        (PythonBuilder.run, "GearsBuilder('PythonReader').run"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_every_argument_of_the_builder_is_in_the_reference_with_its_default(function, heading):
    """In the order of the signature."""
    with_quotes = {name: value.replace('"', "'") for name, value in defaults_of(function).items()}
    assert list(documented("builder.md", heading, 2).items()) == list(with_quotes.items())


def test_every_step_is_in_the_reference():
    """With its arguments."""
    methods = {name: method for name, method in vars(Stepping).items() if not name.startswith("_") and name != "steps"}
    written = set(re.findall(r"^\| `(\w+)\(", section("builder.md", "Steps"), re.MULTILINE))
    assert written == set(methods)


def test_every_setting_of_a_worker_is_in_the_reference_with_its_default():
    """In the order of the code."""
    values = {item.name: item.default for item in fields(WorkerSettings)}
    wanted = {name: repr(value) if isinstance(value, str) else f"{value:.12g}" for name, value in values.items()}
    assert documented("settings.md", "Worker processes", 1) == wanted


def test_every_name_that_a_script_sees_is_in_the_reference():
    """Functions have a heading of their own, the builder a page."""
    headings = set(re.findall(r"^## (\w+)", text_of("functions.md"), re.MULTILINE))
    assert set(NAMES) - {"GB", "GearsBuilder"} <= headings


def test_every_method_of_the_client_is_in_the_reference():
    """By its name."""
    methods = {name for name in vars(Client) if not name.startswith("_")}
    written = set(re.findall(r"^\| `(\w+)[(`]", text_of("client.md"), re.MULTILINE))
    assert methods <= written


def test_every_error_is_in_the_reference():
    """Also those that only Geartrain's own bugs raise."""
    raised = {name for name, item in vars(errors).items() if isinstance(item, type)}
    assert all(f"`{name}`" in text_of("errors.md") for name in raised)


@pytest.mark.parametrize(
    "kind", [RegistrationInfo, RegistrationDetails, Partition, Execution, Submitted, Outcome, RunResult]
)
def test_every_field_of_the_json_objects_is_in_the_reference(kind):
    """`info` apart, whose fields stand beside the others."""
    text = text_of("cli-json.md")
    missing = [item.name for item in fields(kind) if f"`{item.name}`" not in text and item.name != "info"]
    assert missing == []


def test_every_argument_of_the_module_is_in_the_reference():
    """Geartrain's own and RedisGears', as the module's source has them."""
    source = (REFERENCE.parents[1] / "native" / "options.c").read_text()
    own = re.findall(r'"([\w-]+)"', re.search(r"OWN\[\] = \{(.*?)\}", source)[1])
    foreign = re.findall(r'^    \{"(\w+)", (?:NUMBER|TEXT), [01]\},$', source, re.MULTILINE)
    assert len(own) == 5
    assert len(foreign) > 10
    assert set(documented("module.md", "Arguments", 1)) == set(own)
    assert set(re.findall(r"`(\w+)`", section("module.md", "Arguments of RedisGears"))) >= set(foreign)


def test_every_field_of_calls_is_in_the_reference():
    """Of INFO geartrain."""
    native = REFERENCE.parents[1] / "native"
    source = "".join((native / name).read_text() for name in ("calls.c", "serving.c", "triggers.c", "options.c"))
    fields_told = re.findall(r'RM_InfoAddField\w+\(ctx, "(\w+)"', source)
    assert set(fields_told) == set(re.findall(r"`([a-z_]+)`", section("module.md", "INFO geartrain"))) - {"geartrain"}
