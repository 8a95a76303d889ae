"""`run()` over many keys of one server: workers scan a portion each; results are those of one process."""

from __future__ import annotations

import os

import pytest

from geartrain import Client, ScriptError
from geartrain.client.distributed import LEAST
from geartrain.wire import Endpoint, Link
from geartrain.worker.membership import live
from support.waiting import wait_for

pytestmark = pytest.mark.timeout(300)

KEYS = 24_000
"""Keys there are: enough for workers to be asked."""

WHERE = "__import__('os').getpid()"

RESULTS = [
    "GB().count()",
    "GB('KeysOnlyReader').countby(len)",
    "GB().map(lambda x: len(x['value']) if x['type'] == 'string' else 0).aggregate(0, add, add)",
    "GB().map(lambda x: repr(x['key'])).sort().limit(5, 2)",
    "GB().map(lambda x: x['type']).distinct().sort()",
    "GB().filter(lambda x: x['type'] != 'string').map(lambda x: (x['key'], x['value'])).sort()",
    "GB().map(lambda x: (x['key'], x['value'], x['type'], x['event']))",
    "GB().map(lambda x: x)",
    "GB().countby(lambda x: x['type'])",
    "GB().aggregateby(lambda x: x['type'], 0, lambda a, x: a + len(x['key']), add)",
    "GB().avg(lambda x: len(x['key']))",
    "GB().localgroupby(lambda x: x['type'], lambda k, a, x: (a or 0) + 1)",
    "GB().foreach(lambda x: x['key']).groupby(lambda x: x['type'], lambda k, a, x: (a or 0) + 1)",
    "GB().filter(lambda x: x['type'] != 'string').accumulate(lambda a, x: (a or 0) + len(x['key']))",
    "GB().limit(10)",
    "GB('KeysOnlyReader').limit(2500, 300)",
]


@pytest.fixture
def link(server):
    """A connection to a server with many strings, and some keys of other types."""
    with Link(Endpoint(server.url)) as link:
        link.pipeline([("SET", f"k:{number}", number) for number in range(KEYS)])
        link.pipeline([("HSET", f"h:{number}", "f", number) for number in range(300)])
        link.pipeline([("RPUSH", f"l:{number}", number, "x") for number in range(100)])
        link.pipeline(
            [("SADD", "s", "a"), ("ZADD", "z", 1, "a"), ("XADD", "x", "1-1", "f", "v"), ("SET", b"\xff", "v")]
        )
        yield link


@pytest.fixture
def workers(server, link, start_worker):
    """Two workers of it; gives their process ids."""
    started = [start_worker(server.url) for _ in range(2)]
    wait_for(lambda: len(live(link)) == 2, timeout=60, message="two workers")
    return {worker.pid for worker in started}


def results(url, script, dialect="geartrain"):
    """What one `run()` gives."""
    with Client(url) as client:
        return client.execute(f"add = lambda a, b: a + b\n{script}.run()", dialect=dialect).results


@pytest.mark.servers("valkey-9.1", "redis-6.2")
@pytest.mark.parametrize("dialect", ["geartrain", "redisgears-1.2"])
def test_workers_give_what_one_process_gives(server, link, start_worker, dialect):
    """All of it in the same order, whatever the steps, in both dialects."""
    alone = [results(server.url, script, dialect) for script in RESULTS]
    assert [int(count) for count in alone[0]] == [KEYS + 404]
    for _ in range(2):
        start_worker(server.url)
    wait_for(lambda: len(live(link)) == 2, timeout=60, message="two workers")
    for script, expected in zip(RESULTS, alone, strict=True):
        assert results(server.url, script, dialect) == expected, script


@pytest.mark.servers("valkey-9.1", "redis-8.2", "redis-debian", "redis-6.2")
def test_each_worker_has_a_portion(server, workers):
    """About half of the keys each, and each key once."""
    found = results(server.url, f"GB().map(lambda x: (x['key'], {WHERE}))")
    assert len({key for key, _ in found}) == len(found) == KEYS + 404
    pids = [pid for _, pid in found]
    assert set(pids) == workers
    assert all(KEYS / 3 < pids.count(pid) < 2 * KEYS / 3 for pid in workers)


@pytest.mark.servers("valkey-9.1")
def test_what_workers_cannot_do_better_is_done_here(server, workers, link):
    """Few keys, one key, steps that need records together or fill a list, and other readers: by who calls."""
    assert results(server.url, f"GB().accumulate(lambda a, x: {WHERE})") == [os.getpid()]
    assert results(server.url, f"GB().map(lambda x: {WHERE}) ", "geartrain")[0] in workers
    with Client(server.url) as client:
        assert client.execute(f"GB().map(lambda x: {WHERE}).run('s')").results == [os.getpid()]
        assert client.execute(f"GB('PythonReader').map(lambda x: {WHERE}).run(lambda: [1])").results == [os.getpid()]
        client.execute("found = []; GB().foreach(lambda x: found.append(x['key'])).run(); assert len(found) > 24000")
    link.pipeline([("DEL", f"k:{number}") for number in range(LEAST // 2)])
    assert set(results(server.url, f"GB().map(lambda x: {WHERE})")) == {os.getpid()}


@pytest.mark.servers("valkey-9.1")
def test_an_error_in_a_worker_is_the_callers(server, workers):
    """With step and record; of the record it shows what was read."""
    with pytest.raises(ScriptError) as raised:
        results(server.url, "GB().filter(lambda x: 1 / (x['key'] != 'k:77')).count()")
    text = str(raised.value.__cause__)
    assert "step 1, filter" in text
    assert "'key': 'k:77'" in text
    assert "value" not in text
    assert "ZeroDivisionError" in text


@pytest.mark.servers("valkey-9.1")
def test_the_record_that_an_error_shows_is_the_one_that_failed(server, link):
    """Also where all records are the same dict."""
    with pytest.raises(ScriptError) as raised:
        results(server.url, "GB().map(lambda x: 1 / (x['value'] != '77')).count()")
    assert "'key': 'k:77', 'type': 'string', 'value': '77'" in str(raised.value.__cause__)


@pytest.mark.servers("valkey-9.1")
def test_a_worker_that_dies_is_replaced(server, link, workers):
    """What it had not finished is done again, by another one or by who calls."""
    script = """
import os
def count(a, x):
    if x['key'] == 'k:5' and execute('incr', 'died') == 1:
        os.kill(os.getpid(), 9)
    return a + 1
GB().filter(lambda x: x['key'] != 'died')\\
    .aggregate(0, count, lambda a, b: a + b).run('*')
"""
    with Client(server.url) as client:
        assert client.execute(script).results == [KEYS + 404]


@pytest.mark.servers("valkey-9.1")
def test_who_may_not_mget_reads_key_by_key(server, link):
    """The permissions of `TYPE` and `GET` are enough."""
    link.call("ACL", "SETUSER", "limited", "on", ">secret", "~*", "&*", "+@all", "-mget", "-info", "-dbsize")
    url = server.url.replace("redis://", "redis://limited:secret@")
    assert results(url, "GB().map(lambda x: int(x['value'] if x['type'] == 'string' and len(x['key']) > 1 else 0))"
                   ".aggregate(0, add, add)") == [sum(range(KEYS))]  # fmt: skip


@pytest.mark.servers("valkey-9.1")
def test_what_vanishes_meanwhile_gives_no_record(server, link):
    """A name that `SCAN` gave, and nothing behind it when values are read: here the first record deletes nearly all."""
    script = """
gone = [f'k:{number}' for number in range(24000)]
GB().accumulate(lambda a, x: (a or 0) + (execute('del', *gone) and 1 if a is None else x['value'] is not None)).run()
"""
    with Client(server.url) as client:
        (found,) = client.execute(script).results
    assert 404 <= found < KEYS
