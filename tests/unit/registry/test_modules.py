"""The modules of several shards together, and what their parts of statistics add up to."""

from __future__ import annotations

import pytest

from geartrain import keys
from geartrain.builder import Mode
from geartrain.registry import Hook, Module, Modules, Statistics, Status
from geartrain.registry.hooks import stopped
from geartrain.wire import Address, Shard
from support.registrations import registration, snapshot_of


def shard(port):
    """A shard whose primary listens there."""
    return Shard(Address("127.0.0.1", port))


def module(tag, *hooks, sync=None, used=()):
    """A module with these hooks."""
    return Module(tag, sync, {hook.id: hook for hook in hooks}, used)


def test_hooks_of_all_shards_are_one():
    """Counters added up; an error with its shard; stopped where one of them is."""
    one, two = Hook("r", 7, "", 3, 1), Hook("r", 7, "no code", 4, 0, aborted=True)
    modules = Modules({shard(1): module(b"a", one), shard(2): module(b"b", two), shard(3): None}, clustered=True)
    assert modules.hook("r") == Hook("r", 7, "shard 127.0.0.1:2: no code", 7, 1, aborted=True)
    assert modules.hook("s") is None
    assert (modules.tags, modules.lacking) == ({b"a", b"b"}, [shard(3)])


@pytest.mark.parametrize(
    ("found", "clustered", "expected"),
    [
        ({shard(1): module(b"a")}, False, None),
        ({shard(1): None}, False, "this server has none loaded: "),
        ({shard(1): module(b"a", sync="no Python")}, False, "no Python"),
        ({shard(1): module(b"a"), shard(2): module(b"b", sync="no Python")}, True, "shard 127.0.0.1:2: no Python"),
        ({shard(1): module(b"a"), shard(2): None}, True, "shard 127.0.0.1:2 has none loaded: "),
    ],
)
def test_why_functions_do_not_run_names_the_shard(found, clustered, expected):
    """On one server there is nothing to name."""
    why = Modules(found, clustered=clustered).no_sync
    assert why is None if expected is None else why.startswith(expected)


def test_a_function_is_stopped_where_a_hook_of_its_present_code_says_so():
    """Not by a hook of before, and not where the registry knows, or it is paused."""
    items = [registration(name, mode=Mode.SYNC) for name in ("now", "before", "known")]
    snapshot = snapshot_of(*items, known=Status.ABORTED)
    hooks = [Hook(name, 6 if name == "before" else 7, "", 0, 0, aborted=True) for name in ("now", "before", "known")]
    assert stopped(Modules({shard(1): module(b"a", *hooks)}), snapshot) == ["now"]


def test_statistics_of_shards_are_added_up():
    """The latest error; the longest of the last durations."""
    one = Statistics(triggered=3, failed=1, last_duration_us=5, last_error="old", last_trace="x", last_error_at=1.0)
    two = Statistics(triggered=4, records=9, last_duration_us=7, last_error="new", last_error_at=2.0)
    expected = Statistics(
        triggered=7, failed=1, records=9, last_duration_us=7, last_error="new", last_trace=None, last_error_at=2.0
    )
    assert Statistics.total([one, two, Statistics()]) == Statistics.total([two, one]) == expected


@pytest.mark.parametrize(
    ("outbox", "partitions", "expected"),
    [
        (b"geartrain:{5}:outbox:r", 1, True),
        (b"geartrain:{5}:outbox-0:r", 1, False),
        (b"geartrain:{77}:outbox-3:r", 4, True),
        (b"geartrain:{77}:outbox-4:r", 4, False),
        (b"geartrain:{77}:outbox:r", 4, False),
        (b"geartrain:{77}:outbox:other", 1, False),
        (b"orders", 1, False),
    ],
)
def test_outboxes_of_other_tags_are_told_from_those_of_other_partitions(outbox, partitions, expected):
    """Which decides whether they are emptied first."""
    assert keys.is_outbox_of(outbox, "r", partitions) is expected


def test_a_tag_counts_as_soon_as_something_was_written_under_it():
    """A worker may hear of a shard's first slots later than the module, which writes already."""
    spare = Shard(Address("10.0.0.9", 7009), "spare", ())
    assert Modules({spare: Module(b"430", None, {})}, clustered=True).tags == set()
    assert Modules({spare: Module(b"430", None, {}, ((b"3560", 1),))}, clustered=True).tags == set()
    assert Modules({spare: Module(b"430", None, {}, ((b"3560", 1), (b"430", 2)))}, clustered=True).tags == {b"430"}
