"""`run()` on a cluster of three shards: by workers, and without any."""

from __future__ import annotations

import os
import sys

import pytest
from redis.crc import key_slot

from geartrain import Client, GearsBuilder, ScriptError, execute, hashtag
from geartrain.errors import StepError
from geartrain.readers import FIELDS, Layout
from geartrain.readers.fetching import Wanted, plan_for
from geartrain.wire import Endpoint, Link
from support.clusterworkers import ClusterWorkers

pytestmark = pytest.mark.servers("valkey-9.1")


@pytest.fixture
def workers(cluster_url):
    """Starts worker processes; all are ended after the test."""
    with ClusterWorkers(cluster_url) as workers:
        yield workers


@pytest.fixture(params=[0, 2], ids=["without workers", "two workers"])
def client(request, cluster_url, workers):
    """A client of the cluster, once without and once with workers."""
    workers.start(request.param)
    with Client(cluster_url) as client:
        yield client


@pytest.fixture
def one(valkey):
    """A client of one server."""
    with Client(valkey.url) as client:
        yield client


FILL = """
for number in range(300):
    execute('hset', f'person:{number}', 'age', number % 90, 'name', f'n{number}')
for number in range(20):
    for entry in range(5):
        execute('xadd', f'stream:{number}', f'{entry + 1}-1', 'n', number * entry)
execute('set', 'other', 'x')
"""


SCRIPTS = {
    "count": "GB().count().run('person:*')",
    "count nothing": "GB().count().run('nobody:*')",
    "keys": "GB('KeysOnlyReader').run('person:1*')",
    "one key": "GB().map(lambda r: r['value']['name']).run('person:7')",
    "one key, literally": "GB().map(lambda r: r['value']).run('person:7', noScan=True)",
    "map, filter": "GB().filter(lambda r: int(r['value']['age']) > 80).map(lambda r: r['key']).run('person:*')",
    "countby": "GB().countby(lambda r: int(r['value']['age']) // 10).run('person:*')",
    "avg": "GB().avg(lambda r: int(r['value']['age'])).run('person:*')",
    "aggregate": "GB().aggregate(0, lambda a, r: a + int(r['value']['age']), lambda a, b: a + b).run('person:*')",
    "aggregateby": """GB().aggregateby(lambda r: int(r['value']['age']) % 7, [], lambda a, r: a + [r['key']],
        lambda a, b: a + b).map(lambda g: (g['key'], sorted(g['value']))).run('person:*')""",
    "groupby": "GB().groupby(lambda r: r['type'], lambda k, a, r: (a or 0) + 1).run()",
    "batchgroupby": "GB().batchgroupby(lambda r: r['type'], lambda k, rs: len(rs)).run()",
    "accumulate": "GB().map(lambda r: 1).accumulate(lambda a, n: (a or 0) + n).run('person:*')",
    "distinct": "GB().map(lambda r: r['value']['age']).distinct().run('person:*')",
    "limit": "GB().limit(10, 3).count().run('person:*')",
    "sort": "GB().map(lambda r: (int(r['value']['age']), r['key'])).sort().limit(9, 2).run('person:*')",
    "streams": "GB('StreamReader').map(lambda r: (r['streamId'], r['n'])).run('stream:*')",
    "one stream": "GB('StreamReader').map(lambda r: r['n']).run('stream:3', fromId='2-1')",
    "effects": """GB().foreach(lambda r: execute('set', 'done:' + r['key'], r['value']['age'])).count().run('person:*')
GB().map(lambda r: (r['key'], r['value'])).run('done:*')""",
    "repartition, collect": "GB().repartition(lambda r: r['key']).collect().map(lambda r: r['key']).run('person:*')",
    "async": """
async def name(r):
    return r['value']['name']
GB().map(name).run('person:*')""",
}


ORDERED = {"sort", "one stream"}


def test_results_are_those_of_one_server(client, one):
    """The same data, the same scripts, the same results; their order is that of one server where a step makes it."""
    for each in (client, one):
        each.execute(FILL)
    for name, script in SCRIPTS.items():
        found = [each.execute(script).results for each in (client, one)]
        if name not in ORDERED:
            found = [sorted(map(repr, results)) for results in found]
        assert found[0] == found[1], name


WHERE = "GB('ShardsIDReader').map(lambda shard: (shard, __import__('os').getpid(), hashtag())).run()"


def test_each_shard_is_a_record_on_its_own_shard(client, link):
    """ShardsIDReader gives node ids, and hashtag() is a tag of the shard whose record it is."""
    found = client.execute(WHERE).results
    assert {shard for shard, _, _ in found} == {shard.node for shard in link.shards}
    for node, _, tag in found:
        assert link.shard_of(f"{{{tag}}}").node == node


def test_one_server_is_one_shard(one, valkey):
    """Its id is the server's run_id."""
    (found,) = one.execute("GB('ShardsIDReader').run()").results
    with Link(Endpoint(valkey.url)) as link:
        assert f"run_id:{found}" in link.call("INFO", "server")


def test_a_generator_runs_once_for_each_shard(client):
    """PythonReader has no data to share out: each shard yields its own."""
    found = client.execute("GB('PythonReader').map(lambda tag: tag).run(lambda: [hashtag()])").results
    assert len(set(found)) == len(found) == 3


def test_without_workers_the_client_does_it(cluster_url, one):
    """In threads of its own."""
    with Client(cluster_url) as client:
        assert {pid for _, pid, _ in client.execute(WHERE).results} == {os.getpid()}


def test_an_error_names_step_and_record(client):
    """Wherever it was raised, with the traceback of the script."""
    client.execute("for n in range(30): execute('set', f'k:{n}', n)")
    script = """
def check(record):
    if record['key'] == 'k:7':
        raise KeyError('seven')
    return record

GB().map(lambda r: r).foreach(check).count().run('k:*')
"""
    with pytest.raises(ScriptError, match="seven") as raised:
        client.execute(script, path="<shop>")
    error = raised.value.__cause__
    assert isinstance(error, StepError)
    assert error.step == "step 2, foreach(check at <shop>:2)"
    assert "'k:7'" in error.record
    assert isinstance(error.__cause__, KeyError)
    assert 'File "<shop>", line 4, in check' in error.trace


def test_an_error_of_a_command_keeps_its_reply(client):
    """The cause is the CommandError that it was."""
    client.execute("for n in range(30): execute('set', f'k:{n}', 'x')")
    with pytest.raises(ScriptError) as raised:
        client.execute("GB().map(lambda r: execute('incr', r['key'])).run('k:*')")
    cause = raised.value.__cause__.__cause__
    assert (type(cause).__name__, cause.command, cause.code) == ("CommandError", "incr", "ERR")


def test_classes_of_the_script_come_back_as_themselves(client):
    """Records that a worker made are instances of the classes that the script has here, and so are exceptions."""
    script = """
class Point:
    def __init__(self, name): self.name = name

class Bad(Exception): pass

def fail(shard): raise Bad('no')

found = GB('ShardsIDReader').map(Point).run()
assert {type(point) for point in found} == {Point}
try:
    GB('ShardsIDReader').map(fail).run()
except Exception as error:
    assert type(error.__cause__) is Bad, error.__cause__
else:
    raise AssertionError
"""
    client.execute(script)


def test_a_program_can_run_too(client):
    """Functions of its modules travel with it."""
    with client.session("program", by_value=[sys.modules[__name__]]) as outcome:
        assert len(GearsBuilder("ShardsIDReader").map(tag_of).run()) == 3
        execute("set", "x", 1)
    assert len(outcome.results) == 3


def tag_of(_):
    """A function of this module."""
    return key_slot(hashtag().encode())


@pytest.mark.parametrize("layout", Layout)
def test_keys_that_have_moved_since_they_were_found_are_read_where_they_are(link, layout):
    """The shard that had them says MOVED; nothing is lost, whether values or types are read."""
    link.call("SET", "k", "v")
    (other, *_) = [shard for shard in link.shards if shard != link.shard_of("k")]
    for fields, record in (
        (FIELDS, {"key": "k", "value": "v", "type": "string", "event": None}),
        ({"key", "type"}, {"key": "k", "type": "string", "event": None}),
    ):
        plan = plan_for(link, other, layout, Wanted(fields=fields))
        packed, count = plan.packed(["k"])
        assert plan.records(["k"], link.on(other).exchange(packed, count)) == [record]
