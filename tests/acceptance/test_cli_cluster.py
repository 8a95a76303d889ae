"""`geartrain serve --shards N`: an embedded cluster until it is stopped."""

from __future__ import annotations

import os
import re
import signal

import pytest

from geartrain.wire import Endpoint, Link
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
