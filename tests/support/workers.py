"""Worker processes as deployments start them, and scripts whose every effect can be checked afterwards."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from geartrain import keys
from geartrain.config import WorkerSettings
from geartrain.worker.membership import live
from support.processes import CapturedProcess

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from geartrain.wire import Access, Command

HASTY = WorkerSettings(lease_ttl=1.5, poll_interval=0.2, scan_interval=0.2, stop_deadline=10.0)
"""Tunables with which a takeover takes a second or two."""


class WorkerProcess(CapturedProcess):
    """`python -m geartrain.worker`, a process of its own.

    Args:
        url: the server.
        settings: tunables.
        env: more of its environment.
    """

    def __init__(
        self, url: str, settings: WorkerSettings = HASTY, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> None:
        told = {"GEARTRAIN_URL": url, "GEARTRAIN_WORKER_SETTINGS": json.dumps(asdict(settings)), **(env or {})}
        super().__init__(Path(sys.executable), "-u", "-P", "-m", "geartrain.worker", env=told, cwd=cwd)

    def works_for(self, link: Access) -> bool:
        """Whether it has said to the server that it lives."""
        return any(member.pid == self.pid for member in live(link).values())

    @property
    def cpu(self) -> float:
        """Seconds of processor time that it has used so far (Linux)."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


RECORDING = """
import os, time
from geartrain.keys import hash_tag
from geartrain.text import to_bytes

WRITE = '''
local committed = ''
local groups = redis.pcall('XINFO', 'GROUPS', KEYS[2])
for _, info in ipairs(groups) do
  local is_ours = false
  for i = 1, #info, 2 do
    if info[i] == 'name' then is_ours = info[i + 1] == ARGV[1] end
    if info[i] == 'last-delivered-id' and is_ours then committed = info[i + 1] end
  end
end
return redis.call('RPUSH', KEYS[1], ARGV[2] .. ' ' .. ARGV[3] .. ' ' .. ARGV[4] .. ' ' .. committed)
'''

def record(r, tag=''):
    stream = streamKey()
    # Braces by their numbers: scripts that begin with this are formatted.
    effects = b'effects:%c%s%c:%s' % (123, hash_tag(to_bytes(stream)), 125, to_bytes(stream))
    execute('eval', WRITE, 2, effects, stream, 'geartrain:recorder', r['streamId'], os.getpid(), tag or '-')
"""
"""The head of scripts that record their effects: `record` pushes, in one step with a look at the offset that is
committed at that moment, onto a list in the slot of the stream. The registration is to be named `recorder`."""


def effects_key(stream: str) -> bytes:
    """The list of a stream's effects."""
    return b"effects:{%s}:%s" % (keys.hash_tag(stream.encode()), stream.encode())


@dataclass(frozen=True, slots=True)
class Effect:
    """One call of `record`.

    Attributes:
        id: the entry's.
        pid: the worker process.
        tag: what the script gave.
        committed: the offset that was committed when it happened; '' where there was no group.
    """

    id: str
    pid: int
    tag: str
    committed: str


def effects_on(link: Access, stream: str) -> list[Effect]:
    """All effects on a stream's records, in the order in which they happened."""
    parts = [line.split(" ") for line in link.call("LRANGE", effects_key(stream), 0, -1)]
    return [Effect(entry, int(pid), tag, committed) for entry, pid, tag, committed in parts]


def count_effects(link: Access, streams: Iterable[str]) -> int:
    """How many effects there are on all these streams."""
    return sum(link.pipeline([("LLEN", effects_key(stream)) for stream in streams]))


def add(link: Access, stream: str, count: int) -> list[str]:
    """Add that many entries to a stream; their ids."""
    commands: Sequence[Command] = [("XADD", stream, "*", "n", number) for number in range(count)]
    return [str(item) for item in link.pipeline(commands)]


def committed(link: Access, stream: str, registration: str = "recorder") -> str | None:
    """A registration's committed offset on a stream; None where there is no group."""
    for flat in link.call("XINFO", "GROUPS", stream):
        info = dict(zip(flat[::2], flat[1::2], strict=True))
        if info["name"] == f"geartrain:{registration}":
            return str(info["last-delivered-id"])
    return None


def owner_of(link: Access, stream: str, registration: str = "recorder") -> int | None:
    """The pid of the worker that has the lease of a partition; None where nobody has."""
    token = link.call("GET", keys.lease(registration, stream.encode()))
    return int(str(token).rsplit("-", 2)[1]) if token else None


def check_effects(ids: Sequence[str], effects: Sequence[Effect], batch: int = 0) -> int:
    """Check one stream's effects against the guarantees; how many of them were repetitions.

    1. Every entry has an effect.
    2. The first effects are in the order of the stream.
    3. A repetition begins right behind what was committed at that moment, and goes on in order from there.
    4. Nothing that was committed has an effect.

    Args:
        ids: the stream's entries.
        effects: what `effects_on` gave.
        batch: where connections were lost, the size of a batch: the one that was running runs again by itself.
    """
    place = {"": -1, "0-0": -1} | {entry: number for number, entry in enumerate(ids)}
    reached = last = -1
    repeated = pid = 0
    for number, effect in enumerate(effects):
        here, offset = place[effect.id], place[effect.committed]
        where = f"effect {number} ({effect}) on entry {here}, after entry {last}"
        assert here > offset, f"{where}: entry {offset} was committed, and so was this one"
        if here != last + 1:
            assert here <= reached, f"{where}: leaves out what is between"
            again = effect.pid == pid and last - here < batch
            assert again or here == offset + 1, f"{where}: {offset} was committed; what follows it is left out"
        repeated += here <= reached
        last, reached, pid = here, max(reached, here), effect.pid
    assert reached == len(ids) - 1, f"{len(ids) - 1 - reached} entries of {len(ids)} have no effect"
    return repeated
