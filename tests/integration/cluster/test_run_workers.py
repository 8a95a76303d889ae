"""`run()` on a cluster of three shards, by workers: which come, die, refuse, and are told to stop."""

from __future__ import annotations

import os
import re
import signal
from contextlib import ExitStack

import pytest

from geartrain import Client, GearsBuilder, ScriptError
from geartrain.builder import Reader, RunRequest
from geartrain.client.distributed import shares_of
from geartrain.config import Dialect
from geartrain.errors import GeartrainError
from support.clusterworkers import ClusterWorkers
from support.processes import GEARTRAIN, CapturedProcess
from support.waiting import wait_for

pytestmark = pytest.mark.servers("valkey-9.1")


WHERE = "GB('ShardsIDReader').map(lambda shard: (shard, __import__('os').getpid(), hashtag())).run()"


@pytest.fixture
def workers(cluster_url):
    """Starts worker processes; all are ended after the test."""
    with ClusterWorkers(cluster_url) as workers:
        yield workers


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


def test_a_run_leaves_nothing_behind(cluster_url, workers):
    """As soon as the workers have done with it."""
    workers.start(2)
    with Client(cluster_url) as client:
        client.execute(WHERE)
    left = re.compile("tasks:|run:|claim:|reply:")
    wait_for(lambda: not any(map(left.search, workers.keys("geartrain:*"))), timeout=2, message="nothing is left")


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

    wait_for(lambda: not workers.keys("geartrain:*claim:*"), message="the claims are given up")
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


def test_more_workers_than_shards_share_the_keys_of_a_shard(cluster_url, workers, link):
    """Each key is read by one of them, and all are."""
    workers.start(6)
    with Client(cluster_url) as client:
        client.execute("for n in range(300): execute('set', f'person:{n}', n)")
        script = "GB().map(lambda r: (r['key'], __import__('os').getpid())).run('person:*')"
        found = client.execute(script).results
    assert sorted(key for key, _ in found) == sorted(f"person:{number}" for number in range(300))
    assert len({pid for _, pid in found}) > 1
    shards = [link.shard_of(key).node for key, _ in found]
    assert shards == sorted(shards, key=[shard.node for shard in link.shards].index)


def test_a_part_is_a_shard_or_a_portion_of_one(link):
    """Portions only of keys, and only for workers beyond one for each shard; localgroupby needs shards whole."""

    def portions(reader, helpers, steps=()):
        shares = shares_of(RunRequest(reader=reader, pattern="*", steps=steps), Dialect.GEARTRAIN, link, helpers)
        return [(link.topology.shard_of(share.slot), share.portion) for share in shares]

    whole = [(shard, None) for shard in link.shards]
    assert portions(Reader.KEYS, 0) == portions(Reader.KEYS, 5) == portions(Reader.STREAM, 9) == whole
    halves = portions(Reader.KEYS, 6)
    assert [shard for shard, _ in halves] == [shard for shard in link.shards for _ in range(2)]
    assert [first.end == second.start for (_, first), (_, second) in zip(halves[::2], halves[1::2], strict=True)]
    local = GearsBuilder().localgroupby(str, lambda *values: values).steps
    assert portions(Reader.KEYS, 6, local) == whole
