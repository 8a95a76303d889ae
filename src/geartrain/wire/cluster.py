"""All shards of a cluster behind the interface of one `Link`: each command goes to the node that serves its first key.

What a node redirects was not executed there, so it is sent again where it belongs: MOVED (the slot is another node's),
ASK (this key has been moved already, the slot not yet), TRYAGAIN (some of the keys have). Commands on keys of one slot
keep their order; those of different shards are executed side by side.

A command without a key goes to the shard of `home`: of the registry, unless somebody says otherwise. A transaction goes
to the shard of its first key; one that comes to another node than the WATCH before it does nothing, as if the key had
changed.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, NoReturn, Self

import hiredis

from geartrain import keys
from geartrain.errors import CommandError, ServerUnavailable
from geartrain.keys import slot_of
from geartrain.wire.channel import (
    REDIRECTIONS,
    Argument,
    Channel,
    Command,
    ErrorReply,
    is_passing,
    pack,
    pack_all,
    raise_for,
)
from geartrain.wire.commandkeys import CommandKeys
from geartrain.wire.endpoint import COMMAND_TIMEOUT, Address, Endpoint
from geartrain.wire.lanes import Lanes
from geartrain.wire.link import PIPELINE, Link
from geartrain.wire.nodelinks import NodeLinks
from geartrain.wire.replication import Short
from geartrain.wire.scripts import Script, ScriptCall, evalsha, evaluate
from geartrain.wire.shard import Shard
from geartrain.wire.topology import Topology

PATIENCE = 5.0
"""Seconds that a command is sent again while nodes redirect it."""

SCRIPT_PATIENCE = 0.2
"""The same for scripts, all of one call together: while a slot moves key by key, a script of several keys is refused
until the last one has come, and what is done for other slots must not wait for that."""

_AGAIN = 0.01
"""Seconds until a command that got TRYAGAIN is sent again, or one that was redirected for a second time."""

REGISTRY_SLOT = slot_of(keys.VERSION)


@dataclass(slots=True)
class _Routed:
    """A packed command on its way.

    Attributes:
        packed: the command.
        slot: of its first key; None: it has none.
        address: where it was sent.
        asking: whether it goes to a node that is still importing the slot.
        reply: what came back.
    """

    packed: bytes
    slot: int | None
    address: Address | None = None
    asking: bool = False
    reply: Any = field(default=None)


class ClusterLink:
    """Access to all shards, for one thread; what `Link` is for one server.

    Args:
        endpoint: the cluster.
        topology: its shards; shared with others.
        name: shown in the servers' `CLIENT LIST`.
        timeout: seconds without a byte from a server after which its connection counts as lost.

    Attributes:
        home: the slot whose shard gets commands without a key.
        bound: commands of users' functions (`lanes`, `call_packed`) are to reach the shard of `home` only: those on a
            key elsewhere raise ForeignShard.
        nodes: the connections.
        lanes: takes the commands of users' functions that nobody waits for.
    """

    def __init__(
        self, endpoint: Endpoint, topology: Topology, name: str | None = None, timeout: float = COMMAND_TIMEOUT
    ) -> None:
        self.endpoint = endpoint
        self.topology = topology
        self.home = REGISTRY_SLOT
        self.bound = False
        self._watched: tuple[Link, Channel] | None = None
        self._keys: CommandKeys | None = None
        self.nodes = NodeLinks(endpoint, topology, name, timeout)
        self.lanes = Lanes(self)

    # -- shards --------------------------------------------------------------------------------------------------------

    @property
    def shards(self) -> tuple[Shard, ...]:
        """The shards as they are known."""
        return self.topology.shards

    def on(self, shard: Shard) -> Link:
        """The connection to a shard's primary; it redirects nothing."""
        return self.nodes.at(shard.primary)

    def shard_of(self, key: Argument) -> Shard:
        """The shard that serves a key.

        Raises:
            ServerUnavailable: nobody does.
        """
        return self.topology.shard_of(slot_of(key))

    def at_home(self) -> Link:
        """The connection to the shard of `home`."""
        return self.nodes.at(self._address(None))

    @property
    def channel(self) -> Channel:
        """The connected channel to the shard of `home`."""
        return self.at_home().channel

    def is_on(self, channel: Channel) -> bool:
        """Whether it is still one of the connections; asks no server."""
        return self.nodes.is_on(channel)

    # -- commands ------------------------------------------------------------------------------------------------------

    def call(self, *command: Argument) -> Any:
        """One command; its reply. Raises as `Link.call`."""
        reply = self._send_routed([_Routed(pack(command), self._slot(command))])[0]
        if isinstance(reply, ErrorReply):
            self._raise(reply, command)
        if str(command[0]).upper() == "WATCH":
            link = self.nodes.at(self._address(self._slot(command)))
            self._watched = (link, link.channel)
        return reply

    def call_packed(self, packed: bytes, name: str | bytes, args: Sequence[Argument]) -> Any:
        """One command of a user's function; as `call`, and it raises ForeignShard where the link is `bound`."""
        reply = self.lanes.call(packed, name, args)
        if isinstance(reply, ErrorReply):
            self._raise(reply, (name,))
        return reply

    def pipeline(self, commands: Sequence[Command]) -> list[Any]:
        """Several commands, each shard's sent together; their replies in order, error replies as values.

        Raises:
            ServerUnavailable: a connection was lost; any number of the commands may have been executed.
        """
        if commands and str(commands[0][0]).upper() == "WATCH":
            return [self.call(*commands[0]), *self.pipeline(commands[1:])]
        replies: list[Any] = []
        for start in range(0, len(commands), PIPELINE):
            part = commands[start : start + PIPELINE]
            replies += self._send_routed([_Routed(pack(command), self._slot(command)) for command in part])
        return replies

    def transaction(self, commands: Sequence[Command]) -> list[Any] | None:
        """Several commands in MULTI/EXEC, all on keys of one slot; None where a watched key has changed.

        Raises:
            CommandError: one of them was refused; none was executed.
        """
        slots = [slot for slot in map(self._slot, commands) if slot is not None]
        watched, self._watched = self._watched, None
        deadline = time.monotonic() + PATIENCE
        while True:
            link = self.nodes.at(self._address(slots[0] if slots else None))
            if watched is not None and not (watched[0] is link and link.is_on(watched[1])):
                return None
            try:
                return link.transaction(commands)
            except CommandError as error:
                if not self._redirects(ErrorReply(error.reply), link.endpoint.address):
                    raise
            except ServerUnavailable:
                self.topology.suspect()
                raise
            if watched is not None or time.monotonic() > deadline:
                return None
            self._settle()

    def script(self, script: Script, names: Sequence[Argument], args: Sequence[Argument] = ()) -> Any:
        """Run a Lua script on the shard of its first key; its reply."""
        reply = self.scripts([(script, names, args)])[0]
        if isinstance(reply, ErrorReply):
            self._raise(reply, ("EVALSHA", script.sha))
        return reply

    def scripts(self, calls: Iterable[ScriptCall]) -> list[Any]:
        """Run several Lua scripts, each shard's sent together; their replies, error replies as values.

        Redirections that do not end soon are among these, and CLUSTERDOWN for a shard that does not answer
        (`is_passing`): any number of its scripts may have been executed.
        """
        calls = list(calls)
        replies: list[Any] = [None] * len(calls)
        for start in range(0, len(calls), PIPELINE):
            part = range(start, min(start + PIPELINE, len(calls)))
            by_address: dict[Address, list[int]] = {}
            for at in part:
                by_address.setdefault(self._address(slot_of(calls[at][1][0])), []).append(at)
            self._scripts_by_shard(calls, by_address, replies)
        again = [at for at, reply in enumerate(replies) if _is_to_repeat(reply)]
        if again:
            routed = [_Routed(pack(evaluate(calls[at])), slot_of(calls[at][1][0])) for at in again]
            for at, reply in zip(again, self._send_routed(routed, SCRIPT_PATIENCE), strict=True):
                replies[at] = reply
        return replies

    def _scripts_by_shard(
        self, calls: Sequence[ScriptCall], by_address: Mapping[Address, list[int]], replies: list[Any]
    ) -> None:
        """Send all shards theirs, then read; those first that need not be connected to.

        A shard that does not answer keeps nobody from the others.
        """
        failed: dict[Address, ServerUnavailable] = {}
        for address in sorted(by_address, key=lambda address: not self.nodes.at(address).connected):
            places = by_address[address]
            try:
                link = self.nodes.usable(address)
                link.load(calls[at][0] for at in places)
                link.send(pack_all(evalsha(calls[at]) for at in places))
            except ServerUnavailable as error:
                failed[address] = error
        for address, places in by_address.items():
            answers: list[Any] = []
            try:
                if address not in failed:
                    answers = self.nodes.at(address).replies(len(places))
            except ServerUnavailable as error:
                failed[address] = error
            if address in failed:
                self.nodes.lost(address)
                answers = [ErrorReply(f"CLUSTERDOWN {failed[address]}")] * len(places)
            for at, reply in zip(places, answers, strict=True):
                replies[at] = reply
                if isinstance(reply, ErrorReply):
                    self._redirects(reply, address)

    # -- for the lanes -------------------------------------------------------------------------------------------------

    def command_keys(self) -> CommandKeys:
        """Where commands have their keys."""
        if self._keys is None:
            self._keys = self.topology.command_keys()
        return self._keys

    def slot_of_packed(self, packed: bytes) -> int | None:
        """The slot of a packed command's first key; None: it has none."""
        return self._slot(_unpacked(packed))

    def follow(self, refused: Iterable[tuple[bytes, Address, ErrorReply]]) -> list[Any]:
        """Send again what was redirected, one after the other; the replies, others as they are.

        Args:
            refused: packed commands, each with the node that was asked and its error reply.
        """
        batch = []
        for packed, address, reply in refused:
            item = self._routed(packed) if _is_redirection(reply) else _Routed(packed, None)
            item.address, item.reply = address, reply
            batch.append(item)
        self._redirect(batch)
        return [item.reply for item in batch]

    # -- routing -------------------------------------------------------------------------------------------------------

    def _slot(self, command: Command) -> int | None:
        key = self.command_keys().first(command)
        return None if key is None else slot_of(key)

    def _routed(self, packed: bytes) -> _Routed:
        return _Routed(packed, self._slot(_unpacked(packed)))

    def _address(self, slot: int | None) -> Address:
        self.topology.refresh_if_stale()
        return self.topology.address_of(self.home if slot is None else slot)

    def _send_routed(self, batch: list[_Routed], patience: float = PATIENCE) -> list[Any]:
        """Send, read, and send again what was redirected; the replies."""
        try:
            self._send(batch)
            self._receive(batch)
        except BaseException:
            # Replies of other nodes may still be on their way.
            for address in {item.address for item in batch if item.address is not None}:
                self.nodes.drop(address)
            raise
        self._redirect(batch, patience)
        return [item.reply for item in batch]

    def _send(self, batch: Sequence[_Routed]) -> None:
        if len(batch) == 1:
            item = batch[0]
            item.address = self._address(item.slot)
            self.nodes.send(item.address, item.packed)
            return
        by_address: dict[Address, list[bytes]] = {}
        for item in batch:
            item.address = self._address(item.slot)
            by_address.setdefault(item.address, []).append(item.packed)
        for address, packed in by_address.items():
            self.nodes.send(address, b"".join(packed))

    def _receive(self, batch: Sequence[_Routed]) -> None:
        by_address: dict[Address, list[_Routed]] = {}
        for item in batch:
            if item.address is not None:
                by_address.setdefault(item.address, []).append(item)
        for address, items in by_address.items():
            replies = self.nodes.replies(address, len(items))
            for item, reply in zip(items, replies, strict=True):
                item.reply = reply

    def _redirect(self, batch: Sequence[_Routed], patience: float = PATIENCE) -> None:
        """Send again, one after the other, what was redirected, until it is executed or patience ends."""
        deadline = time.monotonic() + patience
        for item in batch:
            tries = 0
            while isinstance(item.reply, ErrorReply) and self._redirects(item.reply, item.address, item):
                tries += 1
                if time.monotonic() > deadline:
                    break
                if tries > 1 or not item.asking:
                    self._settle(short=tries == 1)
                self._once(item)

    def _once(self, item: _Routed) -> None:
        address = item.address if item.asking and item.address else self._address(item.slot)
        item.address = address
        if item.asking:
            item.reply = self.nodes.exchange(address, pack(("ASKING",)) + item.packed, 2)[1]
        else:
            item.reply = self.nodes.exchange(address, item.packed, 1)[0]
        item.asking = False

    def _redirects(self, reply: ErrorReply, address: Address | None, item: _Routed | None = None) -> bool:
        """Whether the reply says to go elsewhere; notes where."""
        kind, _, rest = reply.text.partition(" ")
        if kind in {"MOVED", "ASK"}:
            slot, _, where = rest.partition(" ")
            target = _target(where, address)
            if kind == "MOVED":
                self.topology.moved(int(slot), target)
            elif item is not None:
                item.address, item.asking = target, True
            return True
        return kind == "TRYAGAIN"

    def _settle(self, *, short: bool = False) -> None:
        self.topology.refresh_if_stale()
        if not short:
            time.sleep(_AGAIN)

    def _raise(self, reply: ErrorReply, command: Command) -> NoReturn:
        if is_passing(reply):
            self.topology.suspect()
            raise ServerUnavailable(f"{self.endpoint.shown}: {reply.text}")
        raise_for(reply, command)

    # -- replicas ------------------------------------------------------------------------------------------------------

    def wait_for_replicas(self, replicas: int, seconds: float) -> list[Short]:
        """Wait until replicas have what was sent since the last call; `replication.wait_for_replicas` says more."""
        return self.nodes.wait_for_replicas(replicas, seconds)

    def forget_sent(self) -> None:
        """What was sent before need not be waited for."""
        self.nodes.forget_sent()

    # -- life ----------------------------------------------------------------------------------------------------------

    def abort(self) -> None:
        """Let the thread that uses the link, whatever it waits for, find the connection lost; from any thread."""
        self.nodes.abort()

    def close(self) -> None:
        """Close all connections; the link can be used again."""
        self._watched = None
        self.lanes.reset()
        self.nodes.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _is_to_repeat(reply: Any) -> bool:
    """Whether a script did not run: it was redirected, or the node does not have it."""
    return isinstance(reply, ErrorReply) and reply.code in REDIRECTIONS | {"NOSCRIPT"}


def _is_redirection(reply: ErrorReply) -> bool:
    return reply.code in REDIRECTIONS


def _unpacked(packed: bytes) -> list[bytes]:
    reader = hiredis.Reader()
    reader.feed(packed)
    words: list[bytes] = reader.gets()
    return words


def _target(where: str, asked: Address | None) -> Address:
    """`host:port` of a redirection; a node that does not know its own host means the one that was asked."""
    host, _, port = where.rpartition(":")
    host = host.strip("[]")
    return Address(host or (asked.host if asked else ""), int(port))
