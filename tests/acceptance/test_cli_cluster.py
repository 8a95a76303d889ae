"""The command line and clusters: `geartrain serve --shards N`, and what the other commands say of a cluster."""

from __future__ import annotations

import json
import os
import re
import signal

import pytest

from geartrain import keys
from geartrain.client import Client
from geartrain.server import find_module
from geartrain.wire import Endpoint, Link, access
from support.processes import run_cli
from support.waiting import wait_for

pytestmark = pytest.mark.timeout(120)

NODE = r"redis://127\.0\.0\.1:\d+"


def listening(process) -> tuple[str, list[str]]:
    """The cluster's URL, once it is ready, and that of each node."""
    url = process.wait_for_line("^listening on (.*)")[1]
    process.wait_for_line("^ready$")
    return url, [f"redis://{host}" for host in url.removeprefix("redis://").split(",")]


def ask(url: str, *command):
    """One command to one node."""
    with Link(Endpoint(url)) as link:
        return link.call(*command)


def test_a_cluster_is_served_until_a_signal(cli):
    """Each node is printed with what it is, and the URL with all of them; nothing is left after it."""
    process = cli("serve", "--shards", "3", "--replicas", "1")
    url, nodes = listening(process)
    assert len(nodes) == 6
    printed = process.stderr
    assert len(re.findall(rf"^geartrain: node {NODE}: primary, slots \d+-\d+$", printed, re.MULTILINE)) == 3
    assert len(re.findall(rf"^geartrain: node {NODE}: replica of {NODE}$", printed, re.MULTILINE)) == 3
    assert f"export GEARTRAIN_URL={url}\n" in printed
    assert all("cluster_state:ok" in ask(node, "CLUSTER", "INFO") for node in nodes)
    process.send(signal.SIGINT)
    assert process.wait() == 0
    assert all(map(is_gone, nodes))


def test_a_node_that_ends_by_itself_is_said_and_the_others_serve_on(cli):
    """When the last one has ended, the command fails."""
    process = cli("serve", "--shards", "3", "--no-module")
    _, nodes = listening(process)
    pids = [int(re.search(r"process_id:(\d+)", ask(node, "INFO", "server"))[1]) for node in nodes]
    os.kill(pids[0], signal.SIGKILL)
    process.wait_for_line(f"^geartrain: node {nodes[0]} has ended by itself; its log is ")
    assert ask(nodes[1], "PING") == "PONG"
    for pid in pids[1:]:
        os.kill(pid, signal.SIGKILL)
    assert process.wait() == 1
    assert "geartrain: all nodes of the cluster have ended by themselves\n" in process.stderr


def test_a_directory_keeps_the_cluster(cli, tmp_path):
    """It comes back with its data, as it is; without --shards the message says how."""
    process = cli("serve", "--shards", "2", "--dir", tmp_path / "data", "--no-module")
    url, nodes = listening(process)
    process.wait_for_line("fewer than 3 shards: no replica can take over")
    owner = next(node for node in nodes if not is_refused(node))
    assert process.terminate() == 0
    process = cli("serve", "--shards", "3", "--dir", tmp_path / "data", "--no-module")
    assert listening(process)[0] == url
    assert "is started as it is, whatever --shards and --replicas say" in process.stderr
    assert ask(owner, "GET", "key") == "kept"
    done = run_cli("serve", "--dir", tmp_path / "data")
    assert done.returncode == 1
    assert "holds a cluster: `geartrain serve --shards N --dir DIR` starts it" in done.stderr
    assert process.terminate() == 0


def is_refused(node: str) -> bool:
    """Whether the key is another node's."""
    with Link(Endpoint(node)) as link:
        return link.pipeline([("SET", "key", "kept")]) != ["OK"]


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--replicas", "1"), "--replicas is for a cluster: it cannot be given without --shards"),
        (("--shards", "0"), "--shards"),
        (("--shards", "3", "--replicas", "-1"), "--replicas"),
        (("--shards", "3", "--port", "65000"), "port=65000"),
    ],
)
def test_a_cluster_that_cannot_be_is_wrong_use(arguments, named):
    """Exit code 2, before anything is started."""
    done = run_cli("serve", *arguments)
    assert done.returncode == 2
    assert named in done.stderr


def test_it_ends_with_its_owner(cli):
    """SIGKILL of `geartrain serve`: all nodes end by themselves."""
    process = cli("serve", "--shards", "3", "--no-module")
    _, nodes = listening(process)
    process.kill()
    wait_for(lambda: all(is_gone(node) for node in nodes), 20)


def is_gone(node: str) -> bool:
    """Whether nobody answers."""
    try:
        ask(node, "PING")
    except ConnectionError:
        return True
    return False


SCRIPT = """
GB("StreamReader").foreach(lambda x: execute("rpush", "seen", x["streamId"])).register("s:*")
GB("KeysReader").foreach(lambda x: None).register("k:*")
"""


def commanded(url, *arguments, code=0):
    """What a command prints on standard output."""
    done = run_cli(*arguments, env={"GEARTRAIN_URL": url})
    assert done.returncode == code, done.stderr
    return done.stdout


def checks(url, name, code=0):
    """(result, message) of doctor's findings of one check."""
    document = json.loads(commanded(url, "doctor", "--json", code=code))
    return [(item["result"], item["message"]) for item in document["checks"] if item["check"] == name]


@pytest.mark.servers("valkey-9.1")
def test_a_script_is_registered_shown_paused_and_removed_on_a_cluster(cluster, cli, tmp_path):
    """Whichever node is named; `show` tells the lag of each shard."""
    script = tmp_path / "app.py"
    script.write_text(SCRIPT)
    one, *_, other = cluster.urls
    assert "session app: 2 added" in commanded(one, "register", str(script))
    worker = cli("worker", env={"GEARTRAIN_URL": other})
    worker.wait_for_line("^ready$")
    commanded(other, "exec", "-c", "for i in range(9): execute('xadd', f's:{i}', '*', 'a', 1)")
    wait_for(lambda: "9          9          0       0" in commanded(one, "ls"), 20)
    assert worker.terminate() == 0
    commanded(one, "exec", "-c", "for i in range(9): execute('xadd', f's:{i}', '*', 'a', 1)")
    printed = commanded(other, "show", "StreamReader")
    with access(Endpoint(cluster.url)) as link:
        places = [str(link.shard_of(f"s:{number}")) for number in range(9)]
        for shard in link.shards:
            count = places.count(str(shard))
            assert re.search(rf"^  {shard} +{count} +{count}$", printed, re.MULTILINE)
    assert re.search(rf"^  s:3 +{places[3]} +1 +-$", printed, re.MULTILINE)
    assert "paused" in commanded(one, "pause", "StreamReader")
    assert "resumed" in commanded(other, "resume", "StreamReader")
    commanded(one, "unregister", "--session", "app")
    assert json.loads(commanded(other, "ls", "--json")) == []


def test_doctor_has_nothing_against_a_cluster_but_what_it_lacks(cluster):
    """Every node is checked; that nobody would take over for a primary is a warning."""
    document = json.loads(commanded(cluster.url, "doctor", "--json"))
    assert document["ok"]
    assert sorted(item["node"] for item in document["nodes"]) == sorted(map(host_of, cluster.urls))
    assert checks(cluster.url, "cluster")[0] == ("ok", "3 shards, 3 nodes; all slots are served")
    result, message = checks(cluster.url, "cluster")[1]
    assert result == "warning"
    assert "have no replica" in message
    ((result, message),) = checks(cluster.url, "server")
    assert result == "ok"
    assert message.startswith("all 3 nodes: ")


def test_doctor_names_the_node_that_differs(cluster):
    """A setting, a user's right: what is the same everywhere is said once."""
    node, *others = cluster.nodes
    node.call("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
    node.call("ACL", "SETUSER", "alice", "on", ">secret", "~*", "&*", "+@all", "-xgroup")
    for other in others:
        other.call("ACL", "SETUSER", "alice", "on", ">secret", "~*", "&*", "+@all")
    with Client(cluster.url) as client:
        client.execute(SCRIPT, session="app")
    url = cluster.url.replace("redis://", "redis://alice:secret@")
    eviction = dict(checks(url, "eviction", code=1))
    assert eviction["warning"].startswith(f"{host_of(node.url)}: maxmemory-policy is allkeys-lru")
    names = eviction["ok"].partition(": ")[0].split(", ")
    assert sorted(names) == sorted(host_of(other.url) for other in others)
    refused = dict(checks(url, "permissions", code=1))["failed"]
    assert refused.startswith(f"{host_of(node.url)}: user 'alice' is refused xgroup|create")


@pytest.mark.servers("valkey-9.1")
def test_doctor_names_nodes_that_are_away_and_slots_that_nobody_serves(cluster_flavour, make_cluster):
    """A replica that is away is a risk; without its primary too, the shard's slots are of nobody."""
    cluster = make_cluster(cluster_flavour, replicas=1)
    primary = next(node for node in cluster.primaries() if node.id != cluster.primary_of(keys.VERSION).id)
    replica = cluster.replicas_of(primary)[0]
    assert all(result == "ok" for result, _ in checks(cluster.url, "cluster"))
    cluster.kill(replica)
    assert any(
        result == "warning" and message.startswith(f"{host_of(replica.url)} does not answer")
        for result, message in checks(cluster.url, "cluster")
    )
    cluster.kill(primary)
    assert any(
        result == "failed" and message.startswith(f"{host_of(primary.url)}, the primary of slots ")
        for result, message in checks(cluster.url, "cluster", code=1)
    )


@pytest.mark.servers("valkey-9.1")
def test_doctor_names_the_node_that_has_not_the_module(cluster_flavour, make_cluster):
    """Its keys' events are captured by nobody: that fails where something is registered for keys."""
    cluster = make_cluster(cluster_flavour, options={"enable-module-command": "local"})
    lacking, *others = cluster.nodes
    for node in others:
        node.call("MODULE", "LOAD", str(find_module()))
    assert f"not {host_of(lacking.url)}: " in dict(checks(cluster.url, "module"))["warning"]
    with Client(cluster.url) as client:
        client.execute(SCRIPT, session="app")
    assert f"not {host_of(lacking.url)}: " in dict(checks(cluster.url, "module", code=1))["failed"]
    lacking.call("MODULE", "LOAD", str(find_module()))
    with Client(cluster.url) as client:
        # Without a worker somebody else has to install the hooks that are missing.
        client.execute(SCRIPT, session="app")
    assert {result for result, _ in checks(cluster.url, "module")} == {"ok"}


def test_a_url_that_cannot_be_a_cluster_is_said(cluster):
    """Another database than 0, by every command; nodes that do not answer are all named."""
    done = run_cli("ls", "--url", f"{cluster.urls[0]}/3")
    assert done.returncode == 2
    assert "a cluster has only database 0" in done.stderr
    assert [result for result, _ in checks(f"{cluster.urls[0]}/3", "connection", code=1)] == ["failed"]
    done = run_cli("ls", "--url", "redis://127.0.0.1:1,127.0.0.1:2")
    assert done.returncode == 3
    assert "127.0.0.1:1: " in done.stderr
    assert "127.0.0.1:2: " in done.stderr


def host_of(url: str) -> str:
    """`host:port`."""
    return url.removeprefix("redis://")
