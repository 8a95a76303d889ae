"""`run()` on a cluster of three shards: by workers, and without any."""

from __future__ import annotations

import os
import re
import signal
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis.crc import key_slot

from geartrain import Client, GearsBuilder, ScriptError, execute, hashtag
from geartrain.builder import Reader
from geartrain.client.distributed import shares_of
from geartrain.errors import GeartrainError, StepError
from geartrain.readers import keys
from geartrain.wire import Endpoint, Link
from geartrain.worker.membership import live
from support.processes import GEARTRAIN, CapturedProcess
from support.waiting import wait_for

WORKER = """
import os, signal, sys, threading, time
from geartrain.config import WorkerSettings
from geartrain.wire import Endpoint
from geartrain.worker.tasks import Tasks
from geartrain.worker.worker import Worker

endpoint = Endpoint(os.environ["GEARTRAIN_URL"])
worker = Worker(endpoint, WorkerSettings(lease_ttl=1.5, poll_interval=0.2, scan_interval=0.2))
tasks = Tasks(endpoint, worker.id)
tasks.start()
signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=worker.stop).start())
worker.run()
tasks.stop(time.monotonic() + 10)
os._exit(0)
"""
"""A worker process with the thread that does jobs."""


class Workers:
    """Worker processes of one cluster."""

    def __init__(self, url, link, stack):
        self._url = url
        self._link = link
        self._stack = stack
        self.processes = []

    def start(self, count, env=None):
        """Start some, and wait until they are known to live."""
        for _ in range(count):
            told = {"GEARTRAIN_URL": self._url, **(env or {})}
            process = CapturedProcess(Path(sys.executable), "-u", "-P", "-c", WORKER, env=told)
            self._stack.callback(process.kill)
            self.processes.append(process)
        wait_for(lambda: {process.pid for process in self.processes} <= self.pids(), message="workers live")

    def pids(self):
        """Those of the workers that live."""
        return {member.pid for member in live(self._link).values()}


@pytest.fixture
def workers(cluster_url, link):
    """Starts worker processes; all are ended after the test."""
    with ExitStack() as stack:
        yield Workers(cluster_url, link, stack)


@pytest.fixture(params=[0, 2], ids=["without workers", "two workers"])
def site(request, cluster_url, workers):
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


def test_results_are_those_of_one_server(site, one):
    """The same data, the same scripts, the same results; their order is that of one server where a step makes it."""
    for client in (site, one):
        client.execute(FILL)
    for name, script in SCRIPTS.items():
        found = [client.execute(script).results for client in (site, one)]
        if name not in ORDERED:
            found = [sorted(map(repr, results)) for results in found]
        assert found[0] == found[1], name


WHERE = "GB('ShardsIDReader').map(lambda shard: (shard, __import__('os').getpid(), hashtag())).run()"


def test_each_shard_is_a_record_on_its_own_shard(site, link):
    """ShardsIDReader gives node ids, and hashtag() is a tag of the shard whose record it is."""
    found = site.execute(WHERE).results
    assert {shard for shard, _, _ in found} == {shard.node for shard in link.shards}
    for node, _, tag in found:
        assert link.shard_of(f"{{{tag}}}").node == node


def test_one_server_is_one_shard(one, valkey):
    """Its id is the server's run_id."""
    (found,) = one.execute("GB('ShardsIDReader').run()").results
    with Link(Endpoint(valkey.url)) as link:
        assert f"run_id:{found}" in link.call("INFO", "server")


def test_a_generator_runs_once_for_each_shard(site):
    """PythonReader has no data to share out: each shard yields its own."""
    found = site.execute("GB('PythonReader').map(lambda tag: tag).run(lambda: [hashtag()])").results
    assert len(set(found)) == len(found) == 3


def test_without_workers_the_client_does_it(cluster_url, one):
    """In threads of its own."""
    with Client(cluster_url) as client:
        assert {pid for _, pid, _ in client.execute(WHERE).results} == {os.getpid()}


def test_workers_do_what_there_is_to_do(cluster_url, workers):
    """Where they live, the steps of the shards run in their processes, those behind the cut here."""
    workers.start(2)
    with Client(cluster_url) as client:
        assert {pid for _, pid, _ in client.execute(WHERE).results} <= workers.pids()
        script = "GB('ShardsIDReader').collect().map(lambda _: __import__('os').getpid()).run()"
        assert set(client.execute(script).results) == {os.getpid()}


def test_results_of_many_chunks_come_whole(cluster_url, workers):
    """Results larger than one element of the reply, and than all that may wait at once."""
    workers.start(1)
    with Client(cluster_url) as client:
        script = "GB('ShardsIDReader').flatmap(lambda s: [s.encode() * 1024] * 600).run()"
        found = client.execute(script).results
    assert len(found) == 1800
    assert {len(record) for record in found} == {40 * 1024}


def test_an_error_names_step_and_record(site):
    """Wherever it was raised, with the traceback of the script."""
    site.execute("for n in range(30): execute('set', f'k:{n}', n)")
    script = """
def check(record):
    if record['key'] == 'k:7':
        raise KeyError('seven')
    return record

GB().map(lambda r: r).foreach(check).count().run('k:*')
"""
    with pytest.raises(ScriptError, match="seven") as raised:
        site.execute(script, path="<shop>")
    error = raised.value.__cause__
    assert isinstance(error, StepError)
    assert error.step == "step 2, foreach(check at <shop>:2)"
    assert "'k:7'" in error.record
    assert isinstance(error.__cause__, KeyError)
    assert 'File "<shop>", line 4, in check' in error.trace


def test_an_error_of_a_command_keeps_its_reply(site):
    """The cause is the CommandError that it was."""
    site.execute("for n in range(30): execute('set', f'k:{n}', 'x')")
    with pytest.raises(ScriptError) as raised:
        site.execute("GB().map(lambda r: execute('incr', r['key'])).run('k:*')")
    cause = raised.value.__cause__.__cause__
    assert (type(cause).__name__, cause.command, cause.code) == ("CommandError", "incr", "ERR")


def test_classes_of_the_script_come_back_as_themselves(site):
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
    site.execute(script)


def test_what_cannot_be_pickled_runs_here(cluster_url, workers):
    """A lock in a closure, say; the client does it as without workers."""
    workers.start(1)
    script = """
import threading
lock = threading.Lock()
def where(shard):
    with lock:
        return __import__('os').getpid()
GB('ShardsIDReader').map(where).run()
"""
    with Client(cluster_url) as client:
        assert client.execute(script).results == [os.getpid()] * 3


def test_the_secret_is_asked_for(cluster_url, workers, monkeypatch):
    """Workers with another secret refuse the code, which runs here then; with the same one they run it."""
    workers.start(1, {"GEARTRAIN_SECRET": "a"})
    with Client(cluster_url) as client:
        assert {pid for _, pid, _ in client.execute(WHERE).results} == {os.getpid()}
        monkeypatch.setenv("GEARTRAIN_SECRET", "b")
        assert {pid for _, pid, _ in client.execute(WHERE).results} == {os.getpid()}
        monkeypatch.setenv("GEARTRAIN_SECRET", "a")
        assert {pid for _, pid, _ in client.execute(WHERE).results} == workers.pids()


KILL = """
def once(shard):
    import os, signal
    if execute('set', 'killed', os.getpid(), 'nx'):
        os.kill(os.getpid(), signal.SIGKILL)
    execute('incr', 'effects')
    return os.getpid()

GB('ShardsIDReader').map(once).run()
"""


def test_a_part_whose_worker_dies_is_done_by_another(cluster_url, workers, link):
    """The results are complete."""
    workers.start(2)
    with Client(cluster_url) as client:
        found = client.execute(KILL).results
    killed = int(link.call("GET", "killed"))
    assert killed in {process.pid for process in workers.processes}
    assert len(found) == 3
    assert killed not in found


def test_a_part_that_kills_every_worker_is_given_up(cluster_url, workers, link):
    """After the second one, with an error that says so; this process is not the third."""
    workers.start(2)
    shard = link.shards[0].node
    script = f"""
import os, signal
GB('ShardsIDReader').filter(lambda s: s == '{shard}').foreach(lambda s: os.kill(os.getpid(), signal.SIGKILL)).run()
"""
    with Client(cluster_url) as client, pytest.raises(ScriptError, match="two workers ended") as raised:
        client.execute(script)
    assert isinstance(raised.value.__cause__, GeartrainError)


def test_a_run_leaves_nothing_behind(site, link):
    """As soon as the workers have done with it."""
    site.execute(WHERE)

    def left():
        found = [key for shard in link.shards for key in link.on(shard).call("KEYS", "geartrain:*")]
        return [key for key in found if re.search("tasks:|run:|claim:|reply:", key)]

    wait_for(lambda: not left(), timeout=2, message="nothing is left")


def test_a_program_can_run_too(site):
    """Functions of its modules travel with it."""
    with site.session("program", by_value=[sys.modules[__name__]]) as outcome:
        assert len(GearsBuilder("ShardsIDReader").map(tag_of).run()) == 3
        execute("set", "x", 1)
    assert len(outcome.results) == 3


def tag_of(_):
    """A function of this module."""
    return key_slot(hashtag().encode())


SLOW = """
def slow(n):
    import os, time
    execute('set', f'{{{hashtag()}}}:at', n)
    execute('sadd', 'pids', os.getpid())
    time.sleep(0.05)
    return os.getpid()

GB('PythonReader').map(slow).run(lambda: range(%d))
"""


def in_background(stack, url, script):
    """Runs a script in a process of its own."""
    process = CapturedProcess(GEARTRAIN, "exec", "-c", script, "--url", url)
    stack.callback(process.kill)
    return process


def test_a_worker_that_is_told_to_stop_gives_its_part_back(cluster_url, workers, link):
    """At the next record; another one takes it at once, or the client."""
    workers.start(1)
    with ExitStack() as stack:
        run = in_background(stack, cluster_url, SLOW % 60)
        wait_for(lambda: link.call("SMEMBERS", "pids"), message="a part runs")
        workers.processes[0].send(signal.SIGTERM)
        assert workers.processes[0].wait() == 0
        assert run.wait(30) == 0
    assert run.stdout.split() == [str(run.pid)] * 180


def test_when_the_client_is_gone_workers_stop(cluster_url, workers, link):
    """A run of hours whose caller was interrupted ends soon."""
    workers.start(2)
    with ExitStack() as stack:
        run = in_background(stack, cluster_url, SLOW % 100_000)
        wait_for(lambda: link.call("SCARD", "pids") >= 2, message="parts run")
        run.send(signal.SIGINT)
        run.wait()

    def claims():
        return [key for shard in link.shards for key in link.on(shard).call("KEYS", "geartrain:*claim:*")]

    wait_for(lambda: not claims(), message="the claims are given up")
    with Client(cluster_url) as client:
        assert {pid for _, pid, _ in client.execute(WHERE).results} <= workers.pids()


def test_the_first_error_ends_the_other_parts(cluster_url, workers, link):
    """They stop at their next record, here and in workers; the run does not wait for their ends."""
    script = """
import os, time
def fail(n):
    if hashtag() == execute('get', 'bad'):
        raise KeyError(n)
    time.sleep(0.05)
GB('PythonReader').foreach(fail).run(lambda: range(10000))
"""
    link.call("SET", "bad", link.shards[1].tag)
    with Client(cluster_url) as client:
        for count in (0, 2):
            workers.start(count)
            with pytest.raises(ScriptError, match="KeyError"):
                client.execute(script)


def test_keys_that_have_moved_since_they_were_found_are_read_where_they_are(link):
    """The shard that had them says MOVED; nothing is lost."""
    link.call("SET", "k", "v")
    (other, *_) = [shard for shard in link.shards if shard != link.shard_of("k")]
    assert keys._read(link, other, ["k"], values=True) == [("string", "v")]


def test_more_workers_than_shards_share_the_keys_of_a_shard(cluster_url, workers, link):
    """Each key is read by one of them, and all are."""
    workers.start(6)
    with Client(cluster_url) as client:
        client.execute(FILL)
        script = "GB().map(lambda r: (r['key'], __import__('os').getpid())).run('person:*')"
        found = client.execute(script).results
    assert sorted(key for key, _ in found) == sorted(f"person:{number}" for number in range(300))
    assert len({pid for _, pid in found}) > 1
    shards = [link.shard_of(key).node for key, _ in found]
    assert shards == sorted(shards, key=[shard.node for shard in link.shards].index)


def test_a_part_is_a_shard_or_a_portion_of_one():
    """Portions only of keys, and only for workers beyond one for each shard."""
    assert shares_of(Reader.KEYS, ["0", "1"], 0) == shares_of(Reader.STREAM, ["0", "1"], 9)
    assert [(share.number, share.of) for share in shares_of(Reader.KEYS, ["0", "1"], 5)] == [(0, 2), (1, 2)] * 2
