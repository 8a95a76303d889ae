"""The ACL rules that the documents give hold every command that a worker needs, and `doctor` tries each of them."""

from __future__ import annotations

import re
from pathlib import Path

from geartrain.cli.health import permissions

ROOT = Path(__file__).resolve().parents[3]


def in_scripts():
    """The commands that our Lua scripts call."""
    found = (path.read_text() for path in (ROOT / "src").rglob("*.lua"))
    return {name.lower() for text in found for name in re.findall(r"redis\.p?call\('(\w+)'", text)}


def documented():
    """The commands of the rule in the how-to, subcommands as the commands that they belong to."""
    text = (ROOT / "docs" / "howto" / "managed-servers.md").read_text()
    return {name.partition("|")[0] for name in re.findall(r"\+([\w|]+)", text)}


def tried():
    """The commands that `doctor` tries, in the same way."""
    of_keys = [*permissions._registry(b"k"), *permissions._stream("*", b"s")]
    trials = [*permissions._general(), *permissions._cluster(), *of_keys]
    return {trial.rule.partition("|")[0] for trial in trials}


def of_the_module(text):
    """The names of the server module's commands in a text."""
    return {name.lower() for name in re.findall(r"geartrain\.[a-z]+", text, re.IGNORECASE)}


def test_doctor_tries_the_modules_commands_that_workers_call():
    """All but two: `doctor` asks GEARTRAIN.HOOK itself, and GEARTRAIN.ATOMIC is for functions that use `atomic()`."""
    called = re.compile(r"\"(GEARTRAIN\.[A-Z]+)\"")
    sources = (ROOT / "src" / "geartrain").rglob("*.py")
    found = {name.lower() for path in sources if "cli" not in path.parts for name in called.findall(path.read_text())}
    trials = {trial.rule for trial in permissions._module()}
    assert found - {"geartrain.hook", "geartrain.atomic"} == trials


def test_the_documented_rule_for_servers_with_the_module_holds_its_commands():
    """Those that `doctor` tries, and GEARTRAIN.HOOK."""
    text = (ROOT / "docs" / "howto" / "install-the-module.md").read_text()
    (rule,) = (line for line in text.splitlines() if line.startswith("user geartrain "))
    assert of_the_module(rule) == {trial.rule for trial in permissions._module()} | {"geartrain.hook"}


def test_the_documented_rule_holds_what_scripts_call():
    """Or a worker of that user would fail in the middle of a script."""
    assert in_scripts() - documented() == set()


def test_doctor_tries_what_scripts_call():
    """Or it would call a user fit who is not."""
    assert in_scripts() - tried() == set()


def test_the_documented_rule_holds_what_doctor_tries():
    """Or it would find fault with a user made by the book."""
    assert tried() - documented() == set()
