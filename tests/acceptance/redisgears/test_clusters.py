"""RedisGears' clients on a cluster: any node will do."""

from __future__ import annotations

import pytest

from support.gears import GEARS, connect, gears_cli, redgrease, wait_until_served

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def nodes(make_cluster):
    """The servers of a cluster of three, whose workers take calls."""
    cluster = make_cluster(module=GEARS)
    for server in cluster.nodes:
        with connect(server) as link:
            wait_until_served(link)
    return cluster.nodes


def test_clients_reach_all_shards_by_any_node(nodes, tmp_path):
    """Results come from all of them; registrations and executions are the cluster's; the shards are told."""
    script = tmp_path / "script.py"
    script.write_text("GB('ShardsIDReader').map(lambda x: execute('set', f'{{{hashtag()}}}', x)).count().run()")
    ended = gears_cli(nodes[1].port, "run", script)
    assert ended.code == 0, str(ended)
    assert '"3"' in ended.out
    found = redgrease(nodes[2], "cluster")
    assert len(set(found["shards"])) == 3
    assert found["mine"] in found["shards"]
    assert found["slots"] == 16384
    assert sorted(found["identified"]) == sorted(found["shards"])
