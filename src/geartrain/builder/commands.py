"""`GearsBuilder('CommandReader')`: functions that clients call."""

from __future__ import annotations

# The parameters' names are the interface: they are those that scripts in the field pass by keyword.
# ruff: noqa: N803
from typing import Any, ClassVar

from geartrain.builder import checks
from geartrain.builder.calls import completed
from geartrain.builder.gears import REGISTER_BY_POSITION, Callback, GearsBuilder
from geartrain.builder.requests import CommandArguments, Mode, Reader
from geartrain.errors import ArgumentError


class CommandBuilder(GearsBuilder):
    """`GearsBuilder('CommandReader')`: one record for each call, the list of the command's words.

    With a trigger these are its name and the arguments behind it; with a hook the command's name and its arguments.
    """

    reader = Reader.COMMAND
    _old_names: ClassVar = {"register": {"prefix": None, "regex": None}}

    @completed(*REGISTER_BY_POSITION)
    def register(
        self,
        *,
        trigger: str | None = None,
        hook: str | None = None,
        keyprefix: str | None = None,
        inorder: bool = False,
        mode: str = "async",
        onRegistered: Callback = None,
        OnRegistered: Callback = None,
        name: str | None = None,
        convertToStr: bool = False,
        collect: bool = True,
    ) -> str:
        """Run the steps whenever a client calls; returns the registration's id.

        Args:
            trigger: `RG.TRIGGER <trigger> ...` calls them.
            hook: the name of a command in whose place they run.
            keyprefix: with `hook`: only where one of the command's keys begins so.
            inorder: with `mode='async_local'`: one call after the other, in the order in which they came.
            mode: 'sync' (in the server), 'async' (a worker), 'async_local' (a worker bound to the shard of the call).
            onRegistered: called once in every process that will run the steps; `OnRegistered` is the same.
            name: the registration's own name, for its id.
            convertToStr: reply with the results' `str`. Default: False; in the dialect redisgears-1.2 True.
            collect: bring the results of all shards together; a call is executed on one.

        Exactly one of `trigger` and `hook` is given.

        Raises:
            ArgumentError: an argument that is not one of these; the message says what is allowed.
        """
        call = "register"
        arguments = _arguments(trigger, hook, keyprefix, inorder=checks.flag(call, "inorder", inorder))
        if arguments.inorder and checks.one_of(call, "mode", mode, Mode) is not Mode.ASYNC_LOCAL:
            raise checks.wrong(call, "inorder", inorder, "left out unless mode='async_local'")
        return self._register(
            arguments.trigger or arguments.hook or "",
            mode,
            name,
            checks.callback(call, onRegistered, OnRegistered),
            arguments,
            convertToStr=convertToStr,
            collect=collect,
        )

    def run(self, *args: Any, **kwargs: Any) -> list[Any]:  # noqa: ARG002  # whatever they are
        """Clients call these steps; there is nothing that could be read now."""
        raise ArgumentError(
            "run(): CommandReader waits for calls and reads nothing that is there; register these steps with"
            " register(trigger=...), or read with another reader"
        )


def _arguments(trigger: str | None, hook: str | None, keyprefix: str | None, *, inorder: bool) -> CommandArguments:
    call = "register"
    if trigger is None and hook is None:
        raise ArgumentError(
            f"{call}(): a CommandReader needs trigger= (for RG.TRIGGER) or hook= (a command's name), and has neither"
        )
    if trigger is not None and hook is not None:
        raise checks.wrong(call, "hook", hook, "left out where trigger is given: a registration has one of them")
    if keyprefix is not None and hook is None:
        raise checks.wrong(call, "keyprefix", keyprefix, "left out unless hook is given")
    return CommandArguments(
        trigger=None if trigger is None else checks.text(call, "trigger", trigger, "the trigger's name"),
        hook=None if hook is None else checks.text(call, "hook", hook, "the command's name").lower(),
        keyprefix=None if keyprefix is None else checks.text(call, "keyprefix", keyprefix, "what the key begins with"),
        inorder=inorder,
    )
