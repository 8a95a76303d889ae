"""Hooks: which registrations have one, what is said in it, and what differs from the registry."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace

import pytest

from geartrain import keys
from geartrain.builder import Mode, Reader
from geartrain.registry import Hook, Module, Parcel, Registration, Status
from geartrain.registry.hooks import differences, ignored, is_hooked, outboxes_of, set_command
from support.registrations import registration, snapshot_of

PARCEL = Parcel(
    session="shop", blob=b"\x80code", python="3.11", signature="ab", version=7, requirements=("colour==1.0",)
)


def fields(command):
    """What follows id and version in a SET."""
    return dict(zip(command[4::2], command[5::2], strict=True))


def module_with(sync=None, **versions):
    """The module with such hooks."""
    return Module(b"t", sync, {name: Hook(name, version, "", 0, 0) for name, version in versions.items()})


@pytest.mark.parametrize(
    ("reader", "mode", "hooked"),
    [
        (Reader.KEYS, Mode.ASYNC, ["active", "paused", "aborted"]),
        (Reader.KEYS, Mode.ASYNC_LOCAL, ["active", "paused", "aborted"]),
        (Reader.KEYS, Mode.SYNC, ["active"]),
        (Reader.STREAM, Mode.SYNC, ["active"]),
        (Reader.COMMAND, Mode.SYNC, ["active"]),
        (Reader.COMMAND, Mode.ASYNC, ["active"]),
        (Reader.COMMAND, Mode.ASYNC_LOCAL, ["active"]),
        (Reader.STREAM, Mode.ASYNC, []),
        (Reader.STREAM, Mode.ASYNC_LOCAL, []),
    ],
)
def test_a_registration_has_a_hook_while_its_events_count(reader, mode, hooked):
    """What is captured waits; what is called is not called while it is paused."""
    assert [status for status in Status if is_hooked(registration(reader=reader, mode=mode), status)] == hooked


def test_a_hook_for_the_outbox_says_what_was_registered():
    """Lists only where there are some."""
    item = registration(event_types=("set", "del"), key_types=("hash",), snapshot=True, partitions=2, outbox_limit=9)
    command = set_command(item, None)
    assert command[:4] == ("GEARTRAIN.HOOK", "SET", "r", 7)
    assert fields(command) == {
        "pattern": "k:*", "events": "set del", "types": "hash", "partitions": 2, "snapshot": 1, "limit": 9,
    }  # fmt: skip
    assert outboxes_of(item, b"t") == [b"geartrain:{t}:outbox-0:r", b"geartrain:{t}:outbox-1:r"]
    assert fields(set_command(registration(), None)) == {"pattern": "k:*", "partitions": 1, "snapshot": 0, "limit": 0}


def test_a_triggers_hook_has_its_name_and_its_order():
    """And the environment that its calls need; no outbox and no white lists."""
    item = registration(reader=Reader.COMMAND, mode=Mode.ASYNC_LOCAL, trigger="t", inorder=True)
    command = set_command(replace(item, environment="abc"), None)
    assert fields(command) == {
        "reader": "command", "order": 0, "trigger": "t", "inorder": 1, "environment": "abc",
    }  # fmt: skip
    assert outboxes_of(item, b"t") == []
    sync = fields(set_command(registration(reader=Reader.COMMAND, mode=Mode.SYNC, trigger="t"), PARCEL))
    assert {name: sync[name] for name in ("mode", "user", "trigger", "inorder")} == {
        "mode": "sync", "user": "alice", "trigger": "t", "inorder": 0,
    }  # fmt: skip


def test_a_snapshot_is_not_taken_where_no_value_is_read():
    """Records hold none, whenever it was."""
    command = set_command(registration(snapshot=True, read_value=False), None)
    assert fields(command)["snapshot"] == 0


@pytest.mark.parametrize(("reader", "more"), [(Reader.KEYS, {"value": 1}), (Reader.STREAM, {"reader": "stream"})])
def test_a_hook_for_the_server_says_who_registered_and_brings_the_code(reader, more):
    """It has no outbox."""
    item = registration(reader=reader, mode=Mode.SYNC)
    found = fields(set_command(item, PARCEL))
    definition = json.loads(found.pop("definition"))
    assert found == {"pattern": "k:*", "mode": "sync", "user": "alice", **more}
    assert Registration.from_json(definition.pop("registration")) == item
    assert base64.b64decode(definition.pop("blob")) == PARCEL.blob
    assert definition.pop("digest") == hashlib.sha256(PARCEL.blob).hexdigest()
    requirements = definition.pop("requirements")
    assert requirements == ["colour==1.0"]
    assert definition == {"session": "shop", "python": "3.11", "signature": "ab", "version": 7}
    assert outboxes_of(item, b"t") == []


def test_only_what_differs_is_changed():
    """Missing, older, newer, and nobody's hooks."""
    names = ("same", "missing", "older", "newer", "paused")
    registry = snapshot_of(
        *map(registration, names), registration("gone", mode=Mode.SYNC), paused=Status.PAUSED, gone=Status.PAUSED
    )
    module = module_with(same=7, older=6, newer=8, paused=7, gone=7, unknown=7)
    missing, left = differences(module, registry)
    assert [item.id for item in missing] == ["missing", "older", "newer"]
    assert left == ["gone", "unknown"]


def test_a_module_that_runs_no_functions_is_not_asked_to():
    """What it has from before stays: its server may be restarted with another Python."""
    registry = snapshot_of(registration("new", mode=Mode.SYNC), registration("old", mode=Mode.SYNC))
    assert differences(module_with(old=6, sync="no Python"), registry) == ([], [])
    assert [item.id for item in differences(module_with(old=6), registry)[0]] == ["new", "old"]


def test_what_has_no_effect_without_the_module_is_named():
    """By registration, in the words of the script."""
    items = [registration("plain"), registration("snap", snapshot=True), registration("s", reader=Reader.STREAM)]
    assert ignored([*items, registration("wide", partitions=3, outbox_limit=5)]) == {
        "snap": ["snapshot=True"],
        "wide": ["partitions=3", "outboxLimit=5"],
    }


def test_a_registration_from_before_users_and_outboxes_is_read():
    """What is missing in its JSON has the default."""
    data = json.loads(registration().to_json())
    del data["user"], data["arguments"]["partitions"], data["arguments"]["outbox_limit"]
    found = Registration.from_json(json.dumps(data))
    assert (found.user, found.arguments.partitions, found.arguments.outbox_limit) == ("default", 1, None)


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"geartrain:{t}:outbox:r", True),
        (b"geartrain:{12}:outbox-5:r:{x}", True),
        (b"geartrain:{t}:lease:r:geartrain:{t}:outbox:r", False),
        (b"geartrain:outbox:r", False),
        (b"orders", False),
        (b"x:geartrain:{t}:outbox:r", False),
    ],
)
def test_outboxes_are_told_from_users_streams_by_their_name(stream, expected):
    """Which decides what is removed with a registration."""
    assert keys.is_outbox(stream) is expected
