"""`run()` of the dialect redisgears-1.2 on three shards: errors of all of them, and what is each shard's own."""

from __future__ import annotations

import pytest

from geartrain import Client, Dialect
from support.clusterworkers import ClusterWorkers

pytestmark = pytest.mark.servers("valkey-9.1")


@pytest.fixture
def old(cluster_url):
    """`old(script)`: what it gave."""
    with Client(cluster_url) as client:
        yield lambda script: client.execute(script, dialect=Dialect.REDISGEARS_1_2)


@pytest.fixture
def numbers(link):
    """Keys on all shards, `n:0` to `n:29`, whose values are their numbers."""
    link.pipeline([("SET", f"n:{number}", number) for number in range(30)])


@pytest.mark.parametrize("workers", [0, 1])
def test_errors_of_all_shards_are_told_beside_the_results(old, numbers, cluster_url, workers):
    """By workers, and without; those behind the cut too."""
    del numbers
    with ClusterWorkers(cluster_url) as running:
        if workers:
            running.start(workers)
        outcome = old(
            "GB().map(lambda r: int(r['value'])).foreach(lambda n: 1 // (n % 10)).sort(False)"
            ".foreach(lambda n: 1 // (n - 5)).run('n:*')"
        )
    assert outcome.results == [str(n) for n in range(30) if n % 10 and n != 5]
    assert len(outcome.errors) == 4
    assert all("ZeroDivisionError" in error for error in outcome.errors)


def test_accumulate_and_limit_are_each_shards_own(old, numbers):
    """As RedisGears had it; `aggregate`, `count` and `collect` bring all together."""
    del numbers
    add = "accumulate(lambda a, r: (a or 0) + 1)"
    counts = [int(count) for count in old(f"GB().{add}.run('n:*')").results]
    assert (len(counts), sum(counts)) == (3, 30)
    assert len(old("GB().limit(2).run('n:*')").results) == 6
    assert old("GB().collect().limit(2).count().run('n:*')").results == ["2"]
    assert old("GB().count().run('n:*')").results == ["30"]
    assert old("GB().count().run('none:*')").results == []
    by = "aggregateby(lambda r: int(r['value']) % 2, 0, lambda k, a, r: a + 1, lambda k, a, p: a + p)"
    assert sorted(old(f"GB().{by}.run('n:*')").results) == ["{'key': 0, 'value': 15}", "{'key': 1, 'value': 15}"]


def test_records_of_a_repartition_meet_where_somebody_looks(old, numbers):
    """RedisGears' pattern: each shard's groups, moved by their key, and grouped again."""
    del numbers
    outcome = old(
        "GB().localgroupby(lambda r: int(r['value']) % 3, lambda k, a, r: (a or 0) + 1)"
        ".repartition(lambda r: str(r['key'])).localgroupby(lambda r: r['key'], lambda k, a, r: (a or 0) + r['value'])"
        ".map(lambda r: r['value']).run('n:*')"
    )
    assert outcome.results == ["10", "10", "10"]


def test_one_shard_is_read_or_told_of_alone(old, numbers):
    """`mode='async_local'`, and without `collect` the results of one; the effects are on all."""
    del numbers
    local = old("GB('ShardsIDReader').run(mode='async_local')").results
    assert len(local) == 1
    assert old("GB('ShardsIDReader').foreach(lambda s: execute('INCR', 'seen')).run(collect=False)").results == local
    assert old("GB('KeysReader').map(lambda r: r['value']).run('seen')").results == ["3"]


def test_a_run_in_a_step_reads_all_shards(old, numbers):
    """From each of them."""
    del numbers
    outcome = old(
        "async def count(_):\n"
        "    results, errors = await GB().map(lambda r: 1 // int(r['value'])).count().run(prefix='n:*')\n"
        "    return results[0], len(errors)\n"
        "GB('ShardsIDReader').map(count).run()"
    )
    assert outcome.results == ["('29', 1)"] * 3
