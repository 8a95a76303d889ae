r"""Documents as tests: every `python` and `console` block of a Markdown file is executed, from top to bottom.

A document is one story: its blocks share a directory, an environment and the processes that they leave running. What
follows the language in a block's first line says how it is executed (Markdown's readers do not show it):

    python              a script, given to `geartrain exec`
    python file=NAME    kept as NAME, for what follows
    python program      run by Python itself
    python deferred     registers one pipeline, in which `execute` need not wait (geartrain.pipeline.tailcalls)
    python waits        the same, in which each `execute` waits for its reply
    console             `$ COMMAND` lines (continued by `> ` lines), each followed by what it prints
    console until       the same; repeated until it prints that (workers take a moment)
    console background  one command that goes on until the document ends; waited for until it has printed that
    ... fails           it ends with an exit code other than 0

`<!-- examples: server -->` anywhere in a document gives it an empty server, which GEARTRAIN_URL names. With
`<!-- examples: server, module -->`, or `module` alone, the examples need the server module, and are skipped where it
could not be built. Port 6380 stands for a free one. In what a command prints, `...` is anything, alone on a line
for any lines; times, ids, process numbers and durations are not compared, nor how many spaces there are. `$ export
NAME=VALUE` holds for later commands.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from geartrain.builder import RegisterRequest, RunRequest, hosted
from geartrain.config import Dialect
from geartrain.pipeline import compile_pipeline
from geartrain.runtime import EXECUTES
from geartrain.runtime.names import NAMES
from geartrain.server import EmbeddedServer
from support.processes import GEARTRAIN, CapturedProcess, environment
from support.servers import cluster_port, require_module
from support.waiting import wait_for

PORT = "6380"

_FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_NEEDS = re.compile(r"^<!-- examples: ([\w, ]+) -->$", re.MULTILINE)

_UNSTABLE = (
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(,\d+|[+-]\d\d:\d\d)"), "TIME"),
    (re.compile(r"\b\d{13}-\d+\b"), "ENTRY"),
    (re.compile(r"\b[\w.-]+-\d+-[0-9a-f]{6}\b"), "WORKER"),
    (re.compile(r"\bpid \d+"), "pid N"),
    (re.compile(r"\b127\.0\.0\.1:\d+"), "ADDRESS"),
    (re.compile(r"(_ms\"?:?\s+)[\d.]+"), r"\1N"),
    (re.compile(r"(_at\": )[\d.]+"), r"\1N"),
    (re.compile(r"((?:succeeded|failed|retried|aborted)\s+\d+\s+)[\d.]+"), r"\1N"),
    (re.compile(r"\b\d+ ms\b"), "N ms"),
    (re.compile(r"/tmp/[\w/.-]+"), "PATH"),
)

_MARKS = re.compile(r"^\s+[~^]+\n", re.MULTILINE)
"""Where in its line a call stands: a traceback has them for more calls in newer versions of Python."""


@dataclass(frozen=True, slots=True)
class Block:
    """A block that is executed.

    Attributes:
        line: the number of its first line.
        language: python or console.
        words: what follows the language.
        text: what is in it.
    """

    line: int
    language: str
    words: frozenset[str]
    text: str

    @property
    def file(self) -> str | None:
        """The name under which it is kept, or None."""
        return next((word.removeprefix("file=") for word in self.words if word.startswith("file=")), None)

    @property
    def fails(self) -> bool:
        """Whether it is meant to fail."""
        return "fails" in self.words


def blocks_of(text: str) -> list[Block]:
    """The document's blocks that are executed."""
    return [
        Block(text.count("\n", 0, found.start()) + 1, found[1], frozenset(found[2].split()), found[3])
        for found in _FENCE.finditer(text)
        if found[1] in {"python", "console"}
    ]


def commands_of(block: Block) -> Iterator[tuple[str, str]]:
    """The commands of a console block, each with what it prints."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        length = next((number for number, line in enumerate(lines) if number and not line.startswith(">")), len(lines))
        command = "\n".join([lines[0], *(line[1:].removeprefix(" ") for line in lines[1:length])])
        yield command, "\n".join(lines[length:])


def agrees(expected: str, printed: str) -> bool:
    """Whether a command printed what the document says, as far as that is stable."""
    expected, printed = (_MARKS.sub("", text) for text in (expected, printed))
    lines = [_stable(line) for line in expected.strip().splitlines()]
    pattern = "".join("(?:.*\n)*?" if line == "..." else _pattern(line) + "\n" for line in lines)
    text = "".join(f"{_stable(line)}\n" for line in printed.strip().splitlines())
    return re.fullmatch(pattern, text) is not None


def _stable(line: str) -> str:
    for unstable, instead in _UNSTABLE:
        line = unstable.sub(instead, line)
    return " ".join(line.split())


def _pattern(line: str) -> str:
    return ".*".join(map(re.escape, line.split("...")))


def puts_off(script: str) -> bool:
    """Whether the one pipeline that a script registers has a call of `execute` that does not wait."""
    host = _Requests()
    with hosted(host):
        exec(compile(script, "<document>", "exec"), dict(NAMES))
    (request,) = host.requests
    return bool(compile_pipeline(request.steps, discard=True, targets=EXECUTES).tail_calls)


class _Requests:
    """A host that only keeps what is registered."""

    dialect = Dialect.GEARTRAIN

    def __init__(self) -> None:
        self.requests: list[RegisterRequest] = []

    def register(self, request: RegisterRequest) -> str:
        self.requests.append(request)
        return ""

    def run(self, request: RunRequest) -> list[object]:
        raise AssertionError(f"a document's example runs {request}")


class Story(AbstractContextManager["Story"]):
    """One document that is being executed.

    Args:
        document: the Markdown file.
        directory: an empty directory for its files.
    """

    def __init__(self, document: Path, directory: Path) -> None:
        self._document = document
        self._text = document.read_text()
        self._directory = directory
        self._port = str(cluster_port())
        self._env: dict[str, str] = {}
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        path = f"{GEARTRAIN.parent}:{environment()['PATH']}"
        self._env = {"PATH": path, "COLUMNS": "120", "TZ": "UTC"}
        found = _NEEDS.search(self._text)
        needs = found[1].split(", ") if found else []
        if "module" in needs:
            require_module()
        if "server" in needs:
            server = self._stack.enter_context(EmbeddedServer.start(port=int(self._port)))
            self._env["GEARTRAIN_URL"] = server.url
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def execute(self) -> int:
        """Execute every block; how many there are."""
        blocks = blocks_of(self._text)
        for block in blocks:
            if block.language == "python":
                self._python(block)
            elif "background" in block.words:
                self._background(block)
            else:
                for command, expected in commands_of(block):
                    self._command(block, self._here(command), expected)
        return len(blocks)

    def _here(self, text: str) -> str:
        """The text with this run's port."""
        return text.replace(PORT, self._port)

    def _python(self, block: Block) -> None:
        text = self._here(block.text)
        if block.words & {"deferred", "waits"}:
            deferred = puts_off(text)
            assert deferred == ("deferred" in block.words), f"{self._document.name}:{block.line}: {deferred=}"
            return
        if block.file is not None:
            compile(text, block.file, "exec")
            self._directory.joinpath(block.file).write_text(text)
            return
        command: list[str | Path] = [sys.executable, "-"] if "program" in block.words else [GEARTRAIN, "exec", "-"]
        self._check(block, " ".join(map(str, command)), *self._run(command, text))

    def _background(self, block: Block) -> None:
        ((command, expected),) = commands_of(block)
        process = CapturedProcess("bash", "-c", f"exec {self._here(command)}", env=self._env, cwd=self._directory)
        self._stack.callback(process.kill)
        self._stack.callback(lambda: process.terminate() if process.running else None)
        wanted = {_stable(line) for line in expected.splitlines() if line != "..."}

        def missing() -> set[str]:
            assert process.running, f"{self._document.name}:{block.line}: it ended\n{process}"
            printed = (process.stdout + process.stderr).splitlines()
            return wanted - set(map(_stable, printed))

        try:
            wait_for(lambda: not missing(), 20)
        except AssertionError as error:
            raise AssertionError(f"{self._document.name}:{block.line}: never printed {missing()}\n{process}") from error

    def _command(self, block: Block, command: str, expected: str) -> None:
        export = re.fullmatch(r"export (\w+)=(\S+)", command)
        if export:
            self._env[export[1]] = export[2]
            return
        last: list[tuple[int, str]] = []

        def done() -> bool:
            last[:] = [self._run(["bash", "-c", command], "")]
            return agrees(expected, last[0][1])

        if "until" in block.words:
            try:
                wait_for(done, 20)
            except AssertionError:
                assert last, f"{self._document.name}:{block.line}: $ {command}: did not end"
        else:
            done()
        self._check(block, command, *last[0])
        printed = last[0][1]
        where = f"{self._document.name}:{block.line}: $ {command}"
        assert agrees(expected, printed), f"{where}\n--- printed\n{printed}--- the document says\n{expected}\n---"

    def _check(self, block: Block, command: str, code: int, printed: str) -> None:
        where = f"{self._document.name}:{block.line}: $ {command}"
        assert (code != 0) == block.fails, f"{where}\nended with exit code {code}:\n{printed}"

    def _run(self, command: list[str | Path], stdin: str) -> tuple[int, str]:
        """Exit code, and standard output and error as they came."""
        ended = subprocess.run(
            command,
            input=stdin,
            env=environment(self._env),
            cwd=self._directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=30,
            check=False,
        )
        return ended.returncode, ended.stdout
