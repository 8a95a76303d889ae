"""Writes docs/reference/cli.md from the command line's own definitions: `python docs/generate_cli.py`."""

# ruff: noqa: INP001 - a script, not a package
from __future__ import annotations

import inspect
from pathlib import Path

import click

from geartrain.cli.app import app
from geartrain.config import DEFAULT_URL, URL_VARIABLE
from geartrain.environments import DIRECTORY_VARIABLE, WHEELS_VARIABLE
from geartrain.server.module import MODULE_VARIABLE

PAGE = Path(__file__).with_name("reference") / "cli.md"

_HEAD = f"""\
# Command line

<!-- Written by docs/generate_cli.py: change the help texts in src/geartrain/cli, not this page. -->

`geartrain COMMAND --help` shows the same. Results go to standard output, everything else to standard error.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | failed |
| 2 | wrong use: an option or argument that is not allowed |
| 3 | the server is not reachable |
| 130 | interrupted (Ctrl-C) |

| environment variable | meaning |
|---|---|
| `{URL_VARIABLE}` | the server, where `--url` is not given; without both, `{DEFAULT_URL}` |
| `GEARTRAIN_SECRET` | signs what is registered; workers that have it run only what is signed with it |
| `{MODULE_VARIABLE}` | the server module's file, instead of the installed one |
| `{DIRECTORY_VARIABLE}` | where workers make environments for requirements, instead of the user's cache |
| `{WHEELS_VARIABLE}` | a folder of wheels that workers install requirements from, instead of an index |
| `GEARTRAIN_DEBUG` | when set, errors come with their tracebacks |

A URL is `redis://[user:password@]host[:port][/db]`, `rediss://...` for TLS, `unix:///path/to/socket[?db=N]` or
`redis+sentinel://host:port,host:port/service[/db]`. `--json` prints what [cli-json.md](cli-json.md) describes.
"""


def page() -> str:
    """The whole page."""
    context = click.Context(app, info_name="geartrain")
    commands = [(name, app.get_command(context, name)) for name in app.list_commands(context)]
    index = [f"| [`{name}`](#geartrain-{name}) | {_first_sentence(command)} |" for name, command in commands if command]
    parts = [_HEAD, "\n| command | |\n|---|---|\n" + "\n".join(index) + "\n"]
    parts += [_section(name, command, context) for name, command in commands if command]
    return "\n".join(parts)


def undocumented() -> list[str]:
    """Commands without a text, and options without help, as `run --port`."""
    context = click.Context(app, info_name="geartrain")
    missing = []
    for name in app.list_commands(context):
        command = app.get_command(context, name)
        if command is None or not command.help:
            missing.append(name)
            continue
        missing += [f"{name} {item.opts[0]}" for item in command.params if _is_option(item) and not _help(item)]
    return missing


def _first_sentence(command: click.Command) -> str:
    return inspect.cleandoc(command.help or "").split("\n\n")[0].replace("\n", " ").partition(". ")[0].rstrip(".") + "."


def _section(name: str, command: click.Command, parent: click.Context) -> str:
    context = click.Context(command, info_name=name, parent=parent)
    usage = " ".join(command.collect_usage_pieces(context))
    lines = [f"## geartrain {name}", "", f"    geartrain {name} {usage}".rstrip(), ""]
    lines += [inspect.cleandoc(command.help or ""), ""]
    options = [item for item in command.params if _is_option(item)]
    if options:
        lines += ["| option | default | |", "|---|---|---|", *map(_row, options), ""]
    return "\n".join(lines)


def _row(option: click.Parameter) -> str:
    metavar = f" {_metavar(option)}" if not getattr(option, "is_flag", False) else ""
    names = ", ".join(f"`{name}{metavar}`" for name in option.opts)
    text, default = _help(option), _default(option)
    if "[default: " in text:
        text, _, given = text.partition("[default: ")
        default = given.rstrip("]")
    return f"| {names} | {default} | {text.strip()} |"


def _metavar(option: click.Parameter) -> str:
    if option.metavar:
        return option.metavar
    if isinstance(option.type, click.Choice):
        return "{" + ",".join(map(str, option.type.choices)) + "}"
    return option.type.name.upper()


def _default(option: click.Parameter) -> str:
    shown = getattr(option, "show_default", False)
    return f"{option.default}" if shown and option.default is not None else ""


def _is_option(item: click.Parameter) -> bool:
    return isinstance(item, click.Option)


def _help(item: click.Parameter) -> str:
    return inspect.cleandoc(getattr(item, "help", None) or "").replace("\n", " ").replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page())
