"""The service as a child of a worker, and on the primaries of a cluster."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest
import redis

from support.redisgears import PATIENCE, children, client, pairs, registrations, served, wait_until_served
from support.waiting import wait_for

OPTIONS = {"dialect": "redisgears-1.2", "workers": 0}


@pytest.fixture
def server(module_flavour, fresh_server):
    """A server with the module, of each flavour in turn that can load it."""
    return fresh_server(module_flavour, module=OPTIONS)


@pytest.fixture
def r(server):
    """A client of it."""
    with client(server) as r:
        yield r


def runs(pid):
    """Whether a process runs; one that is dead and waited for by nobody does not."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def family(pid):
    """The service of a worker, and its executors."""
    (service,) = children(pid)
    return service, children(service)


@pytest.mark.servers("valkey-9.1", "redis-8.2")
def test_a_worker_has_a_service_and_starts_it_again(server, r, start_worker):
    """After a kill, which its clients hear of; the executors end with it."""
    worker = start_worker(server.url)
    wait_until_served(r)
    assert r.execute_command("RG.PYEXECUTE", "GB('ShardsIDReader').count().run()") == [["1"], []]
    service, executors = family(worker.pid)
    assert len(executors) == 1
    os.kill(service, signal.SIGKILL)
    wait_for(lambda: not any(map(runs, executors)))
    wait_until_served(r)
    assert r.execute_command("RG.PYEXECUTE", "GB('ShardsIDReader').count().run()") == [["1"], []]
    assert family(worker.pid)[0] != service


@pytest.mark.servers("valkey-9.1")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_service_ends_with_its_worker(server, r, start_worker, number):
    """However the worker ends."""
    worker = start_worker(server.url)
    wait_until_served(r)
    r.execute_command("RG.PYEXECUTE", "x = 1")
    service, executors = family(worker.pid)
    os.kill(worker.pid, number)
    wait_for(lambda: not any(map(runs, (worker.pid, service, *executors))), 20)


@pytest.mark.servers("valkey-9.1")
def test_a_worker_that_stops_ends_what_it_has_taken(server, r, start_worker):
    """The script that runs is answered; the next one waits for another worker."""
    worker = start_worker(server.url)
    wait_until_served(r)
    answers = []

    def call():
        with client(server) as mine:
            script = "import time\nexecute('set', 'here', 1)\nwhile not execute('get', 'go'): time.sleep(0.01)"
            answers.append(mine.execute_command("RG.PYEXECUTE", script))

    thread = Thread(target=call)
    thread.start()
    wait_for(lambda: r.exists("here"))
    os.kill(worker.pid, signal.SIGTERM)
    r.set("go", 1)
    thread.join(PATIENCE)
    assert answers == ["OK"]


@pytest.mark.servers("valkey-9.1")
def test_a_worker_without_the_module_has_no_service(valkey, start_worker, cli):
    """One that can be loaded is not looked for in vain: the worker asks now and then."""
    from geartrain.wire import Endpoint, Link

    worker = start_worker(valkey.url)
    with Link(Endpoint(valkey.url)) as link:
        wait_for(lambda: worker.works_for(link))
    assert children(worker.pid) == []


@pytest.mark.servers("valkey-9.1", "redis-8.2")
def test_any_node_of_a_cluster_gives_results_of_all_shards(cluster_flavour, make_cluster, start_worker):
    """And tells of the others; what is registered on one is seen on all."""
    cluster = make_cluster(cluster_flavour, module=OPTIONS)
    start_worker(cluster.url)
    shared = redis.RedisCluster.from_url(
        cluster.url.replace("redis+cluster", "redis").split(",")[0], decode_responses=True
    )
    for number in range(30):
        shared.set(f"k:{number}", number)
    nodes = list(shared.get_primaries())
    infos = []
    for node in nodes:
        with redis.Redis(port=node.port, decode_responses=True, socket_timeout=PATIENCE) as r:
            wait_until_served(r)
            results, errors = r.execute_command("RG.PYEXECUTE", "GB().map(lambda x: x['value']).run('k:*')")
            assert (sorted(map(int, results)), errors) == (list(range(30)), [])
            assert r.execute_command("RG.PYEXECUTE", "GB('ShardsIDReader').count().run()") == [["3"], []]
            assert r.execute_command("RG.REFRESHCLUSTER") == "OK"
            infos.append(r.execute_command("RG.INFOCLUSTER"))
            r.execute_command("RG.PYEXECUTE", "GB('StreamReader').register('s')", "ID", f"on-{node.port}")
            assert len(r.execute_command("RG.DUMPREGISTRATIONS")) == len(infos)
    assert [info[0] for info in infos] == ["MyId"] * 3
    assert {info[1] for info in infos} == {pairs(shard)["id"] for shard in infos[0][-1]}
    shards = sorted(map(pairs, infos[0][-1]), key=lambda shard: shard["minHslot"])
    assert (shards[0]["minHslot"], shards[-1]["maxHslot"]) == (0, 16383)


@pytest.mark.servers("valkey-9.1")
def test_a_new_primary_is_served_after_a_failover(make_cluster, start_worker):
    """And so is a shard that has come since."""
    cluster = make_cluster(replicas=1, module=OPTIONS)
    worker = start_worker(cluster.url)
    old = cluster.primaries()[1]
    with redis.Redis(port=old.port, decode_responses=True, socket_timeout=PATIENCE) as r:
        wait_until_served(r)
    (replica,) = cluster.replicas_of(old)
    cluster.kill(old)
    wait_for(lambda: replica.port in [node.port for node in cluster.primaries()], PATIENCE)
    for port in (replica.port, cluster.add_shard().port):
        with redis.Redis(port=port, decode_responses=True, socket_timeout=PATIENCE) as r:
            wait_until_served(r)
            results, errors = r.execute_command("RG.PYEXECUTE", "GB('ShardsIDReader').map(lambda x: 1).run()")
            assert (set(results), errors) == ({"1"}, [])
    assert runs(worker.pid)


def test_the_service_comes_with_the_first_command(module_flavour, fresh_server, start_worker):
    """Where nothing says that scripts of RedisGears are expected: it costs memory and a second."""
    server = fresh_server(module_flavour, module={"workers": 0})
    worker = start_worker(server.url)
    with client(server) as r:
        wait_for(lambda: r.info("geartrain")["geartrain_calls_servers"] == 1)
        assert children(worker.pid) == []
        assert r.execute_command("RG.PYEXECUTE", "execute('set', 'a', 'b')") == "OK"
        assert len(children(worker.pid)) == 1
        assert r.get("a") == "b"


def test_what_was_triggered_is_counted_when_registrations_are_dumped(server, r, start_worker):
    """Workers write their statistics twice a second, and when somebody asks."""
    start_worker(server.url)
    wait_until_served(r)
    r.execute_command("RG.PYEXECUTE", "GB('CommandReader').register(trigger='t')")
    (worker,) = r.hkeys("geartrain:{registry}:workers")
    wait_for(lambda: served(r, f"control:worker:{worker}"))
    for number in range(1, 6):
        r.execute_command("RG.TRIGGER", "t")
        (registration,) = registrations(r)
        assert registration["RegistrationData"]["numTriggered"] == number
