"""Every key that Geartrain writes, and how its name is made.

| key, under `geartrain:{registry}:` | type | what it holds | written by | goes away |
|---|---|---|---|---|
| `version` | string | counts every change of the registry; workers poll it | submit, pause, ... | never |
| `sessions` | hash | session name -> JSON about it | submit | with its last registration |
| `code:<session>` | hash | the pickled code, its signature, the source | submit | with the session |
| `registrations` | hash | registration id -> JSON | submit | unregister |
| `status` | hash | id -> `active`, `paused`, `aborted` | pause, workers | unregister |
| `stats:<id>` | hash | counters, last error | workers | unregister |
| `history:<id>` | list | last executions, JSON, newest first | workers | unregister |
| `streams:<id>` | set | streams that have this registration's group; its outboxes | workers, submit | unregister |
| `workers` | hash | worker id -> JSON with its expiry | workers | at stop, or expired |
| `remains` | set | ids that were unregistered and may have left something | unregister, submit | when that is gone |
| `tags` | set | hash tags that the server modules of a cluster's shards have used | workers, submit | never |
| `profile:<session>` | string | what cProfile has counted (`ProfileExecutions`) | executors | a reset, or by TTL |
| `environments` | hash | name of an environment -> JSON list of its requirements | submit | never |
| `config` | hash | what `gearsConfigGet` reads | users | never |
| `sequence` | string | counts what has ids of the dialect `redisgears-1.2` | submit, workers, `run()` | never |
| `executions` | zset | execution id -> its number | `run()`, workers | with the last one |
| `executions-of:<id>` | zset | those of one registration | workers | the same |
| `execution:<execution>` | hash | status, results, errors, plan | `run()`, workers | pushed out by newer ones |
| `timer:<id>` | string | who made a time event's last call, until the next is due | workers | by TTL |
| `wake:<worker>` | stream | one entry that ends a blocking read | workers | at stop, or by TTL |
| `tasks:<python>`, `...:<environment>` | list | parts of `run()` for a worker | `run()` | when taken, or by TTL |
| `run:<run>` | hash | the pickled job of a `run()`, its signature | `run()` | at its end, or by TTL |
| `claim:<run>:<part>-<try>` | string | the worker that does this part | workers | when it is done, or by TTL |

| other keys | type | what it holds | written by | goes away |
|---|---|---|---|---|
| `geartrain:{<tag>}:lease:<id>:<stream>` | string | the owner's token | workers | at release, or by TTL |
| `geartrain:{<tag>}:tries:<id>:<stream>` | string | owners since the last commit | workers | at a commit, or by TTL |
| `geartrain:{<tag>}:reply:<run>:<part>-<try>` | list | results of a part of `run()` | workers | when taken, or by TTL |
| `geartrain:{<tag>}:outbox:<id>` | stream | key events that wait for their function | the server module | unregister |
| `geartrain:{<tag>}:outbox-<n>:<id>` | stream | the same, with more than one partition | the server module | the same |
| `geartrain:{<tag>}:stats:<id>` | hash | in clusters: a shard's part of `stats:<id>` (sync) | its module | unregister |
| `geartrain:{<tag>}:streams:<id>` | set | in clusters: a shard's part of `streams:<id>` | its module | unregister |
| `geartrain:{<tag>}:history:<id>` | list | in clusters: a shard's part of `history:<id>` | its module | unregister |

On a stream: the consumer group `geartrain:<id>`, whose last-delivered-id is the committed offset.

The tag of an outbox is the server module's: it hashes to a slot of its own shard. `<n>` counts from 0. An outbox that
an upgrade to another number of partitions, or a slot that moved, left behind is removed by workers, once it is empty.

A lease hashes to the slot of its stream. The tag is the part of the stream's name that the server hashes; where that
part cannot stand between braces (it holds `}`, or is empty) it is a number that hashes to the same slot.
"""

from __future__ import annotations

import re
from binascii import crc_hqx
from functools import lru_cache

from geartrain.text import to_bytes

PREFIX = b"geartrain:"

SLOTS = 16384
"""The slots of a cluster: 0 to one less."""

_REGISTRY = b"geartrain:{registry}:"

VERSION = _REGISTRY + b"version"
SESSIONS = _REGISTRY + b"sessions"
REGISTRATIONS = _REGISTRY + b"registrations"
STATUS = _REGISTRY + b"status"
WORKERS = _REGISTRY + b"workers"
CONFIG = _REGISTRY + b"config"
REMAINS = _REGISTRY + b"remains"
TAGS = _REGISTRY + b"tags"
ENVIRONMENTS = _REGISTRY + b"environments"
SEQUENCE = _REGISTRY + b"sequence"
EXECUTIONS = _REGISTRY + b"executions"
EXECUTION = _REGISTRY + b"execution:"
TIMER = _REGISTRY + b"timer:"
EXECUTIONS_OF = _REGISTRY + b"executions-of:"


def code(session: str) -> bytes:
    """The session's code and source."""
    return _REGISTRY + b"code:" + session.encode()


def stats(registration: str) -> bytes:
    """The registration's counters."""
    return _REGISTRY + b"stats:" + registration.encode()


def history(registration: str) -> bytes:
    """The registration's last executions."""
    return _REGISTRY + b"history:" + registration.encode()


def streams(registration: str) -> bytes:
    """The streams that have the registration's group."""
    return _REGISTRY + b"streams:" + registration.encode()


def profile(session: str) -> bytes:
    """What cProfile has counted in the executions of a session."""
    return _REGISTRY + b"profile:" + session.encode()


def execution(execution_id: str) -> bytes:
    """What is kept of one execution."""
    return EXECUTION + execution_id.encode()


def wake(worker: str) -> bytes:
    """The stream that ends the worker's blocking read."""
    return _REGISTRY + b"wake:" + worker.encode()


def run_tasks(python: str, environment: str = "") -> bytes:
    """What waits for workers of this minor version of Python, and of that environment."""
    return _REGISTRY + b"tasks:" + (f"{python}:{environment}" if environment else python).encode()


def timer(registration: str) -> bytes:
    """What is there for as long as the next call of a time event is not due."""
    return TIMER + registration.encode()


def run_job(run: str) -> bytes:
    """What each shard is to do for a `run()`."""
    return _REGISTRY + b"run:" + run.encode()


def run_claim(ticket: str) -> bytes:
    """Who does a part of a `run()`; the ticket is `<run>:<part>-<try>`."""
    return _REGISTRY + b"claim:" + ticket.encode()


def run_reply(slot: int, ticket: str) -> bytes:
    """The results of a part of a `run()`, in a slot of the part's shard."""
    return b"geartrain:{%s}:reply:%s" % (slot_tag(slot), ticket.encode())


def group(registration: str) -> bytes:
    """The registration's consumer group, on every stream that it reads."""
    return PREFIX + registration.encode()


def lease(registration: str, stream: bytes) -> bytes:
    """The lease of the partition (registration, stream), in the slot of the stream."""
    return b"geartrain:{%s}:lease:%s:%s" % (hash_tag(stream), registration.encode(), stream)


def tries(registration: str, stream: bytes) -> bytes:
    """How many workers have begun with the partition's next batch and have not committed it, in the stream's slot."""
    return b"geartrain:{%s}:tries:%s:%s" % (hash_tag(stream), registration.encode(), stream)


def outboxes(tag: bytes, registration: str, partitions: int) -> list[bytes]:
    """The streams in which the server module keeps the registration's key events, in order of their numbers."""
    if partitions == 1:
        return [b"geartrain:{%s}:outbox:%s" % (tag, registration.encode())]
    # The number stands before the id: another registration's id may end with one.
    return [b"geartrain:{%s}:outbox-%d:%s" % (tag, number, registration.encode()) for number in range(partitions)]


def shard_stats(tag: bytes, registration: str) -> bytes:
    """A shard's part of a sync registration's counters: most shards of a cluster cannot write into the registry."""
    return b"geartrain:{%s}:stats:%s" % (tag, registration.encode())


def shard_history(tag: bytes, registration: str) -> bytes:
    """A shard's part of a sync registration's last executions."""
    return b"geartrain:{%s}:history:%s" % (tag, registration.encode())


def shard_streams(tag: bytes, registration: str) -> bytes:
    """The streams whose group a sync registration's function has made, on a shard."""
    return b"geartrain:{%s}:streams:%s" % (tag, registration.encode())


_OUTBOX = re.compile(rb"geartrain:\{[^}]*\}:outbox(-\d+)?:", re.DOTALL)


def is_outbox(stream: bytes) -> bool:
    """Whether a stream is one of the server module's."""
    return _OUTBOX.match(stream) is not None


def is_outbox_of(stream: bytes, registration: str, partitions: int) -> bool:
    """Whether a stream is an outbox of a registration with that number of partitions, whichever tag it has."""
    if not is_outbox(stream):
        return False
    tag = stream[stream.index(b"{") + 1 : stream.index(b"}")]
    return stream in outboxes(tag, registration, partitions)


def slot_of(key: str | bytes | float) -> int:
    """The slot of a key, by the server's own function.

    redis-py has it too, at three times the price: each command on a cluster needs it.
    """
    name = _hashed(to_bytes(key) if isinstance(key, str | bytes) else str(key).encode())
    return crc_hqx(name, 0) % SLOTS


def hash_tag(key: bytes) -> bytes:
    """What to put between braces so that a key hashes to the slot of `key`."""
    hashed = _hashed(key)
    return hashed if hashed and b"}" not in hashed else slot_tag(slot_of(key))


def _hashed(key: bytes) -> bytes:
    """What decides about a key's slot: what stands between its first braces, where something does."""
    begin = key.find(b"{")
    if begin < 0:
        return key
    end = key.find(b"}", begin + 1)
    return key[begin + 1 : end] if end > begin + 1 else key


def slot_tag(slot: int) -> bytes:
    """A short tag that hashes to `slot` (0 to 16383)."""
    return _slot_tags()[slot]


@lru_cache(maxsize=1)
def _slot_tags() -> list[bytes]:
    """The smallest number, as text, for each slot; about 0.1 s, once, and only for names that need it."""
    tags: dict[int, bytes] = {}
    number = 0
    while len(tags) < SLOTS:
        tag = b"%d" % number
        tags.setdefault(slot_of(tag), tag)
        number += 1
    return [tags[slot] for slot in range(SLOTS)]
