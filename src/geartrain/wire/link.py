"""A connection that is made when it is needed and made again after it was lost.

A command that was under way when the connection was lost is not sent again: only its caller knows whether that is safe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from geartrain.errors import ServerUnavailable
from geartrain.wire.channel import Argument, Channel, Command, ErrorReply, pack, pack_all, raise_for
from geartrain.wire.endpoint import COMMAND_TIMEOUT, Endpoint
from geartrain.wire.replication import Short, wait_for_replicas
from geartrain.wire.scripts import Script, ScriptCall, evalsha, evaluate
from geartrain.wire.shard import Shard

T = TypeVar("T")

PIPELINE = 1000
"""Commands that are sent before their replies are read; bounds what the server must hold of our replies."""


class Link:
    """One connection's worth of access to a server, for one thread.

    Args:
        endpoint: where the server is.
        name: shown in the server's `CLIENT LIST`.
        timeout: seconds without a byte from the server after which the connection counts as lost.
        reads: it is for reading streams (`Channel.read_entries`).
    """

    def __init__(
        self, endpoint: Endpoint, name: str | None = None, timeout: float = COMMAND_TIMEOUT, *, reads: bool = False
    ) -> None:
        self.endpoint = endpoint
        self._reads = reads
        self._name = name
        self._timeout = timeout
        self._channel: Channel | None = None
        self._sent_on: Channel | None = None
        self._loaded: set[str] = set()

    @property
    def shards(self) -> tuple[Shard, ...]:
        """The one shard that a server is."""
        return (Shard(self.endpoint.address),)

    def on(self, shard: Shard) -> Link:
        """The connection to a shard: this one."""
        del shard
        return self

    def shard_of(self, key: Argument) -> Shard:
        """The shard that serves a key: the one that there is."""
        del key
        return self.shards[0]

    def at_home(self) -> Link:
        """The connection for commands without a key: this one."""
        return self

    @property
    def channel(self) -> Channel:
        """The connected channel; connects where there is none."""
        if self._channel is None:
            self._loaded.clear()
            self._channel = self.endpoint.connect(self._name)
            if self._reads:
                self._channel.read_entries(self._timeout)
            else:
                self._channel.wait_in_kernel(self._timeout)
        return self._channel

    @property
    def connected(self) -> bool:
        """Whether there is a connection, as far as is known; asks no server."""
        return self._channel is not None

    def is_on(self, channel: Channel) -> bool:
        """Whether it is still that connection; asks no server."""
        return self._channel is channel

    def call(self, *command: Argument) -> Any:
        """One command; its reply.

        Raises:
            CommandError: the server answered with an error.
            ServerUnavailable: no connection (the next call makes a new one), or the server cannot serve now.
        """
        return self.call_packed(pack(command), command[0])

    def call_packed(self, packed: bytes, name: Argument, args: Sequence[Argument] = ()) -> Any:
        """One command that is packed already; as `call`.

        Args:
            packed: the command.
            name: of the command.
            args: what follows it; a cluster has to know.
        """
        del args
        reply = self.exchange(packed, 1)[0]
        if isinstance(reply, ErrorReply):
            raise_for(reply, (name,))
        return reply

    def pipeline(self, commands: Sequence[Command]) -> list[Any]:
        """Several commands, sent together; their replies in order, error replies as `ErrorReply` values.

        Raises:
            ServerUnavailable: the connection was lost; any number of the commands may have been executed.
        """
        replies: list[Any] = []
        for start in range(0, len(commands), PIPELINE):
            part = commands[start : start + PIPELINE]
            replies += self.exchange(pack_all(part), len(part))
        return replies

    def transaction(self, commands: Sequence[Command]) -> list[Any] | None:
        """Several commands in MULTI/EXEC; None where a watched key has changed.

        Raises:
            CommandError: one of them was refused; none was executed.
        """
        replies = self.pipeline([("MULTI",), *commands, ("EXEC",)])
        for command, reply in zip(commands, replies[1:-1], strict=True):
            if isinstance(reply, ErrorReply):
                raise_for(reply, command)
        outcome = replies[-1]
        if isinstance(outcome, ErrorReply):
            raise_for(outcome, ("EXEC",))
        return None if outcome is None else list(outcome)

    def script(self, script: Script, keys: Sequence[Argument], args: Sequence[Argument] = ()) -> Any:
        """Run a Lua script; its reply."""
        reply = self.scripts([(script, keys, args)])[0]
        if isinstance(reply, ErrorReply):
            raise_for(reply, ("EVALSHA", script.sha))
        return reply

    def scripts(self, calls: Iterable[ScriptCall]) -> list[Any]:
        """Run several Lua scripts, sent together; their replies, error replies as values."""
        calls = list(calls)
        self.load(script for script, _, _ in calls)
        replies = self.pipeline([evalsha(call) for call in calls])
        if any(map(is_noscript, replies)):
            return self._scripts_again(calls, replies)
        return replies

    def load(self, scripts: Iterable[Script]) -> None:
        """Give the server those scripts that this connection has not given it yet."""
        channel = self.channel
        missing = {script.sha: script for script in scripts if script.sha not in self._loaded}
        for script in missing.values():
            self.call("SCRIPT", "LOAD", script.source)
        if channel is self._channel:
            self._loaded.update(missing)

    def _scripts_again(self, calls: list[ScriptCall], replies: list[Any]) -> list[Any]:
        """Somebody flushed the server's scripts: those calls that found none did nothing, and are made by text."""
        self._loaded.clear()
        for index, call in enumerate(calls):
            if is_noscript(replies[index]):
                replies[index] = self.pipeline([evaluate(call)])[0]
        return replies

    def exchange(self, packed: bytes, count: int) -> list[Any]:
        """Send packed commands and read that many replies, error replies as values."""
        self.send(packed)
        return self.replies(count)

    def send(self, packed: bytes) -> None:
        """Send packed commands; their replies are read by `replies`, all of them before anything else is sent."""
        channel = self.channel
        if self._sent_on is None:
            self._sent_on = channel
        try:
            channel.send(packed)
        except BaseException as error:
            self._lost(error)
            raise

    def replies(self, count: int) -> list[Any]:
        """Read the replies of what was sent, error replies as values."""
        return self._read(Channel.replies, count)

    def refusals(self, count: int) -> list[tuple[int, ErrorReply]]:
        """As `replies`, of which only errors are wanted: each with its number, 0 is the first."""
        return self._read(Channel.refusals, count)

    def _read(self, read: Callable[[Channel, int], T], count: int) -> T:
        channel = self._channel
        if channel is None:
            raise ServerUnavailable(f"{self.endpoint.shown}: the connection was lost before the replies came")
        try:
            return read(channel, count)
        except BaseException as error:
            # Replies may still be on their way (a timeout, a signal): this channel cannot be used again.
            self._lost(error)
            raise

    def _lost(self, error: BaseException) -> None:
        self.close()
        if isinstance(error, ServerUnavailable):
            raise ServerUnavailable(f"{self.endpoint.shown}: {error}") from error

    @property
    def sent(self) -> bool:
        """Whether anything was sent since the last `forget_sent`."""
        return self._sent_on is not None

    def forget_sent(self) -> bool | None:
        """Whether anything was sent since the last call; None: it was, and its connection is lost."""
        channel, self._sent_on = self._sent_on, None
        if channel is None:
            return False
        return True if channel is self._channel else None

    def wait_for_replicas(self, replicas: int, seconds: float) -> list[Short]:
        """Wait until replicas have what was sent since the last call; `replication.wait_for_replicas` says more."""
        return wait_for_replicas([self], replicas, seconds)

    def abort(self) -> None:
        """Let the thread that uses the link, whatever it waits for, find the connection lost; from any thread."""
        channel = self._channel
        if channel is not None:
            channel.abort()

    def close(self) -> None:
        """Close the connection, if there is one; the link can be used again."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def is_noscript(reply: Any) -> bool:
    """Whether the server does not have the script."""
    return isinstance(reply, ErrorReply) and reply.code == "NOSCRIPT"
