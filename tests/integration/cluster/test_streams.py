"""Streams of all shards, read by workers: what is kept when shards and workers come and go."""

from __future__ import annotations

import random

import pytest
from redis.crc import key_slot

from geartrain import Client, keys
from geartrain.server import EmbeddedCluster
from geartrain.wire import Access, Endpoint, access
from support.waiting import wait_for
from support.workers import RECORDING, HASTY, add, check_effects, committed, count_effects, effects_on, owner_of

STREAMS = [f"load:{number}" for number in range(20)]

# The list of effects lies beside its stream, in the same slot.
SCRIPT = (
    RECORDING.replace("'effects:' + stream", "'effects:{' + stream + '}'")
    + "GB('StreamReader').foreach(record).register('load:*', batch=7, duration=50, name='recorder')"
)


@pytest.fixture
def link(cluster: EmbeddedCluster):
    """Access to the cluster that all tests share."""
    with access(Endpoint(cluster.url)) as link:
        yield link


def done(link: Access, ids: dict[str, list[str]]) -> bool:
    """Whether all of these entries are committed."""
    return all(committed(link, stream) == items[-1] for stream, items in ids.items())
