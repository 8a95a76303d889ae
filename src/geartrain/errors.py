"""Every error that Geartrain raises on purpose.

    GeartrainError
    ├── ArgumentError            a call with a wrong argument (also a ValueError)
    ├── ScriptError              the user's script raised while it was being run
    ├── StepError                a step raised: which step, which record, the user's traceback
    ├── CommandError             the server answered a command with an error
    ├── ForeignShard             mode='async_local', atomic(): a key of another shard (also a ValueError)
    ├── FlatError                flat_error(): its message is the error, without a traceback
    │   └── PauseRegistration    the same, and the registration whose function raised it is paused
    ├── RgError                  an RG.* command was called wrongly, or cannot be done
    ├── NeedsModule              something that only the server module can do
    ├── RequirementsError        what a session needs cannot be installed, or is not where it has to be
    ├── ServerUnavailable        no connection, or the server cannot serve now (also a ConnectionError)
    ├── RegistryError
    │   ├── UnknownRegistration  no registration (or session) of that name
    │   ├── PythonMismatch       pickled by another minor version of Python
    │   ├── BadSignature         GEARTRAIN_SECRET is set and the code is unsigned or signed with another secret
    │   └── CodeError            the code cannot be pickled, or not be loaded (a module is missing)
    └── InternalError            a bug in Geartrain: please report it

    Aborted                      an execution is stopped from outside (a BaseException: `except Exception` lets it pass)

A message says what happened, with the value, and what to do.
"""

from __future__ import annotations


class GeartrainError(Exception):
    """The root: `except GeartrainError` catches everything that Geartrain raises on purpose."""


class ArgumentError(GeartrainError, ValueError):
    """A wrong argument. The message names the argument, the value and what is allowed."""


class ScriptError(GeartrainError):
    """The user's script raised while it was being run; `__cause__` is what it raised.

    Attributes:
        trace: the user's traceback, without Geartrain's own frames, as text; '' where there is none.
    """

    def __init__(self, message: str, trace: str = "") -> None:
        self.trace = trace
        super().__init__(message)


class StepError(GeartrainError):
    """A step of a pipeline raised; `__cause__` is what it raised.

    Attributes:
        step: the step as a user reads it, for example `step 2, foreach(<lambda> at shop.py:14)`.
        record: the record it was given, as a shortened `repr`; None where the step had no single record.
        trace: the user's traceback, without Geartrain's own frames, as text.
    """

    def __init__(self, step: str, record: str | None, cause: BaseException, trace: str) -> None:
        self.step = step
        self.record = record
        self.trace = trace
        where = f" on record {record}" if record is not None else ""
        super().__init__(f"{step} raised {type(cause).__name__}: {message_of(cause)}{where}")
        self.__cause__ = cause


def message_of(error: BaseException) -> str:
    """Give the error's own message, at most 1000 characters; an error that cannot say it is still reported."""
    try:
        return f"{error}"[:1000]
    except Exception:  # noqa: BLE001 - user code: a __str__ may raise anything
        return "(its message cannot be shown: its __str__ raised)"


class CommandError(GeartrainError):
    """The server answered a command with an error.

    Attributes:
        command: the command's name, as it was sent.
        reply: the server's error line, for example `WRONGTYPE Operation against a key ...`.
    """

    def __init__(self, command: str, reply: str) -> None:
        self.command = command
        self.reply = reply
        super().__init__(f"{command}: {reply}")

    @property
    def code(self) -> str:
        """The first word of the reply (`ERR`, `WRONGTYPE`, `NOGROUP`, ...), the part that servers keep stable."""
        return self.reply.partition(" ")[0]

    @property
    def is_unknown(self) -> bool:
        """Whether the server has no such command: the one answer that has no code of its own."""
        return self.reply.startswith("ERR unknown command")


class RgError(GeartrainError):
    """An RG.* command cannot be done; its client gets the message."""


class ForeignShard(GeartrainError, ValueError):
    """A command on a key of another shard than the one that mode='async_local', or a block of atomic(), is bound to.

    Attributes:
        slot: of the key.
        tag: a hash tag of the event's shard.
    """

    def __init__(self, slot: int, owner: str, here: str, tag: str, *, held: bool = False) -> None:
        self.slot = slot
        self.tag = tag
        if held:
            why = f"this block of atomic() holds the shard of its event alone, {here}"
            other = "execute the command outside of the block"
        else:
            why = f"this execution is bound to the shard of its event, {here} (mode='async_local')"
            other = "register with mode='async'"
        super().__init__(
            f"the command's key is in slot {slot}, on the shard {owner}; {why}: put `{{{tag}}}`, which hashtag() gives,"
            f" into the key's name, or {other}"
        )


class FlatError(GeartrainError):
    """Raised by `flat_error(message)`: among an execution's errors stands the message, without a traceback."""


class PauseRegistration(FlatError):
    """A `FlatError` whose message begins with `PAUSE`: it pauses the stream registration whose function raised it.

    What the batch did has happened; it is executed again when the registration is resumed.
    """


class NeedsModule(GeartrainError):
    """Something that only the server module can do; the message says how to load it."""


class RequirementsError(GeartrainError):
    """What a session needs cannot be installed here, or is not installed where it has to be.

    Attributes:
        output: what pip said, its last 20,000 characters; '' where pip did not run.
    """

    def __init__(self, message: str, output: str = "") -> None:
        self.output = output
        super().__init__(message)


class ServerUnavailable(GeartrainError, ConnectionError):
    """The server cannot be reached, or says that it cannot serve now (LOADING, READONLY, CLUSTERDOWN, ...).

    Passing trouble: a worker tries again, whatever the failure policy of the registration.
    """


class RegistryError(GeartrainError):
    """The registry cannot do what was asked."""


class UnknownRegistration(RegistryError):
    """No registration (or session) of that name; `geartrain ls` shows those that there are."""


class PythonMismatch(RegistryError):
    """The code was pickled by another minor version of Python; register it again with this one."""


class BadSignature(RegistryError):
    """GEARTRAIN_SECRET is set, and the code is unsigned or signed with another secret: it is not unpickled."""


class CodeError(RegistryError):
    """The code cannot be pickled, or cannot be loaded here (a module that it imports is missing, say)."""


class InternalError(GeartrainError):
    """A bug in Geartrain, not in your script. Please report it with the traceback."""


class Aborted(BaseException):
    """Raised in a running function by `RG.ABORTEXECUTION`, or after ExecutionMaxIdleTime; do not catch it."""
