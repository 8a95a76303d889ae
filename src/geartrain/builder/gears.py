"""`GearsBuilder`: a reader, steps, and then `register()` or `run()`.

`GearsBuilder('StreamReader')` is an instance of `StreamBuilder`, and so on: each reader has the `register` and `run` of
its own signature, in a module of its own.

Signatures are the specification's. In the dialect redisgears-1.2 arguments by position have RedisGears' order instead:
`register(prefix, convertToStr, collect, mode, onRegistered)` and `run(arg, convertToStr, collect, mode)`; by keyword
both dialects take the same.
"""

from __future__ import annotations

# The parameters' names are the specification's.
# ruff: noqa: N803
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, TypeAlias, overload

from geartrain import glob
from geartrain.builder import checks
from geartrain.builder.calls import checked, closest
from geartrain.builder.host import current_dialect, current_host
from geartrain.builder.requests import Arguments, Mode, Reader, RegisterRequest, RunRequest
from geartrain.builder.stepping import Stepping
from geartrain.config import Dialect
from geartrain.errors import ArgumentError

if TYPE_CHECKING:
    from geartrain.builder.commands import CommandBuilder
    from geartrain.builder.generators import PythonBuilder, ShardsBuilder
    from geartrain.builder.keyspace import KeysBuilder, KeysOnlyBuilder
    from geartrain.builder.streams import StreamBuilder

Callback: TypeAlias = Callable[[], Any] | None
Words: TypeAlias = list[str] | tuple[str, ...] | None

REGISTER_BY_POSITION = ("prefix", "convertToStr", "collect", "mode", "onRegistered")
RUN_BY_POSITION = ("arg", "convertToStr", "collect", "mode")
"""Arguments by position in the dialect redisgears-1.2."""


class GearsBuilder(Stepping):
    """A pipeline that is being written: `GearsBuilder('StreamReader').foreach(f).register('orders:*')`.

    Args:
        reader: where records come from: 'KeysReader', 'KeysOnlyReader', 'StreamReader', 'PythonReader',
            'ShardsIDReader' or 'CommandReader'.
        defaultArg: what `register()` and `run()` read where they are not told: a glob of key names, or the generator
            function of a PythonReader.
        desc: a description, which `geartrain show` prints.

    Raises:
        ArgumentError: an argument that is not one of these.
    """

    reader: ClassVar[Reader]
    _by_reader: ClassVar[dict[str, type[GearsBuilder]]] = {}
    _old_names: ClassVar[Mapping[str, Mapping[str, str | None]]] = {
        "run": {"prefix": "arg", "regex": "arg", "pattern": "arg"}
    }
    """Other names of arguments in the dialect redisgears-1.2, by method: each with the one of the signature."""

    def __init_subclass__(cls) -> None:
        """Make `GearsBuilder(reader)` find the reader's class."""
        super().__init_subclass__()
        GearsBuilder._by_reader[cls.reader.value] = cls

    @overload
    def __new__(
        cls, reader: Literal["KeysReader"] = "KeysReader", defaultArg: str = "*", desc: str | None = None
    ) -> KeysBuilder: ...
    @overload
    def __new__(
        cls, reader: Literal["StreamReader"], defaultArg: str = "*", desc: str | None = None
    ) -> StreamBuilder: ...
    @overload
    def __new__(
        cls, reader: Literal["KeysOnlyReader"], defaultArg: str = "*", desc: str | None = None
    ) -> KeysOnlyBuilder: ...
    @overload
    def __new__(
        cls, reader: Literal["PythonReader"], defaultArg: str | Callable[[], Any] = "*", desc: str | None = None
    ) -> PythonBuilder: ...
    @overload
    def __new__(
        cls, reader: Literal["ShardsIDReader"], defaultArg: str = "*", desc: str | None = None
    ) -> ShardsBuilder: ...
    @overload
    def __new__(
        cls, reader: Literal["CommandReader"], defaultArg: str = "*", desc: str | None = None
    ) -> CommandBuilder: ...
    @overload
    def __new__(cls, reader: str, defaultArg: str | Callable[[], Any] = "*", desc: str | None = None) -> Self: ...
    @checked
    def __new__(  # noqa: D102, PYI034  # makes an instance of the reader's own class
        cls,
        reader: str = "KeysReader",
        defaultArg: str | Callable[[], Any] = "*",  # noqa: ARG004  # for __init__, as desc
        desc: str | None = None,  # noqa: ARG004
    ) -> GearsBuilder:
        return super().__new__(_builder_of(reader) if cls is GearsBuilder else cls)

    def __init__(
        self,
        reader: str = "KeysReader",  # noqa: ARG002  # chose the class, in __new__
        defaultArg: str | Callable[[], Any] = "*",
        desc: str | None = None,
    ) -> None:
        super().__init__()
        if desc is not None and not isinstance(desc, str):
            raise checks.wrong("GearsBuilder", "desc", desc, "a str or None")
        if not (callable(defaultArg) and self.reader is Reader.PYTHON):
            checks.pattern("GearsBuilder", "defaultArg", defaultArg)  # type: ignore[arg-type]
        self._default = defaultArg
        self._description = desc

    def register(self, *args: Any, **kwargs: Any) -> str:  # noqa: ARG002  # whatever they are
        """Run the steps whenever something arrives; KeysReader, StreamReader and CommandReader can."""
        raise ArgumentError(
            f"register(): {self.reader} reads what is there and gets no events; register with KeysReader or"
            " StreamReader, or execute these steps with run()"
        )

    def run(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Execute the steps at once over what is there; returns the results.

        In the dialect redisgears-1.2, inside of a step, it returns what can be awaited: (results, errors).
        """
        raise NotImplementedError

    def _positions(self, values: Sequence[Any], usual: Sequence[str]) -> Sequence[str]:  # noqa: ARG002  # others look
        """What these arguments by position are called in the dialect redisgears-1.2, where `usual` is the rule."""
        return usual

    def _defaults(self, verb: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """What arguments of `register` and `run` are in this session where the caller left them out."""
        if given.get("prefix") is not None and "regex" in given:
            raise checks.wrong(
                verb, "prefix", given["prefix"], "left out where regex is given: they are the same argument"
            )
        defaults: dict[str, Any] = {"regex": self._default} if verb == "register" else {}
        if current_dialect() is Dialect.REDISGEARS_1_2:
            defaults["convertToStr"] = True
        return defaults

    def _register(
        self,
        glob_or_name: str,
        mode: str,
        name: str | None,
        callback: Callback,
        arguments: Arguments,
        **options: Any,
    ) -> str:
        return current_host("register").register(
            RegisterRequest(
                reader=self.reader,
                pattern=glob_or_name,
                mode=checks.one_of("register", "mode", mode, Mode),
                name=checks.registration_name("register", "name", name),
                description=self._description,
                arguments=arguments,
                steps=self.steps,
                on_registered=callback,
                **_flags("register", options),
            )
        )

    def _run(self, arg: str | None, mode: str, flags: Mapping[str, Any], **options: Any) -> list[Any]:
        pattern = checks.pattern("run", "arg", arg) if arg is not None else self._default
        return current_host("run").run(
            RunRequest(
                reader=self.reader,
                pattern=str(pattern),
                description=self._description,
                steps=self.steps,
                local=checks.one_of("run", "mode", mode, checks.RunMode) is checks.RunMode.ASYNC_LOCAL,
                **_flags("run", flags),
                **options,
            )
        )


def named_keys(prefix: str | None, regex: str) -> str:
    """The glob for the one of `prefix` and `regex` that was given.

    In the dialect redisgears-1.2 both say a prefix (`person:*`) or a name (`person:1`), and only the `*` at the end is
    special; in the dialect geartrain both are globs.
    """
    argument, given = ("regex", regex) if prefix is None else ("prefix", prefix)
    checked_one = checks.pattern("register", argument, given)
    if current_dialect() is not Dialect.REDISGEARS_1_2:
        return checked_one
    return f"{glob.escape(checked_one[:-1])}*" if checked_one.endswith("*") else glob.escape(checked_one)


def _flags(call: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """`convertToStr` and `collect`, as requests have them."""
    return {
        "convert": checks.flag(call, "convertToStr", options["convertToStr"]),
        "collect": checks.flag(call, "collect", options["collect"]),
    }


def _builder_of(reader: str) -> type[GearsBuilder]:
    known = GearsBuilder._by_reader
    found = known.get(reader) if isinstance(reader, str) else None
    if found is not None:
        return found
    close = closest(reader, list(known)) if isinstance(reader, str) else None
    hint = f" (did you mean {close!r}?)" if close else ""
    names = ", ".join(repr(name) for name in known)
    raise checks.wrong("GearsBuilder", "reader", reader, f"a reader{hint}; the readers are {names}")


GB = GearsBuilder
