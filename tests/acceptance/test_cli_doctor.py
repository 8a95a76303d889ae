"""`geartrain doctor`: what it finds on servers that are well, and on those that are not."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest

from geartrain import __version__
from geartrain.client import Client
from geartrain.extension import extension
from geartrain.registry.code import PYTHON
from geartrain.server.configuration import free_port
from geartrain.wire import Endpoint, Link
from support.hooks import information
from support.processes import run_cli
from support.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]

STREAM = "GB('StreamReader').foreach(lambda x: x).register('orders:*', name='stream')"
KEYS = "GB('KeysReader').foreach(lambda x: x).register('key:*', name='keys')"

CHECKS = {
    "clock",
    "connection",
    "eviction",
    "module",
    "notifications",
    "permissions",
    "persistence",
    "python",
    "records",
    "registrations",
    "server",
    "signatures",
    "workers",
}


def doctor(url, **env):
    """(exit code, the document)."""
    done = run_cli("doctor", "--json", env={"GEARTRAIN_URL": url, **env})
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def found(document, check):
    """The results, messages and fixes of one check."""
    return [(item["result"], item["message"], item["fix"]) for item in document["checks"] if item["check"] == check]


def submit(url, text, session="orders"):
    """Register a script's registrations."""
    with Client(url) as client:
        client.execute(textwrap.dedent(text), session=session, path=f"{session}.py")


@pytest.fixture
def as_user(server, link):
    """The server's URL for a user with these ACL rules."""

    def make(*rules):
        link.call("ACL", "SETUSER", "alice", "on", ">secret", *rules)
        return server.url.replace("redis://", "redis://alice:secret@")

    return make


def test_a_new_server_has_nothing_that_failed(url, flavour):
    """Every check says something; each object has the documented fields."""
    code, document = doctor(url)
    assert code == 0
    assert (document["url"], document["reachable"], document["ok"]) == (url, True, True)
    assert {item["check"] for item in document["checks"]} == CHECKS
    assert all(set(item) == {"check", "result", "message", "fix"} for item in document["checks"])
    product, _, version = flavour.partition("-")
    assert document["server"]["product"].lower() == product
    if version != "debian":
        assert document["server"]["version"].startswith(version)


def test_people_read_a_line_for_each_check_and_what_to_type(valkey):
    """Result, check, sentence; below it what to type."""
    done = run_cli("doctor", "--url", valkey.url)
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["ok", "connection", valkey.url, "answers"]
    at = next(number for number, line in enumerate(lines) if line.startswith("warning  persistence"))
    assert lines[at + 1].strip() == "-> CONFIG SET appendonly yes"
    assert not any(line.startswith("failed") for line in lines)


def test_it_says_whether_streams_are_read_in_c(valkey):
    """Of this installation: the one that it runs in."""
    code, document = doctor(valkey.url)
    if extension is None:
        assert found(document, "records")[0][:2] == (
            "warning",
            "workers of this installation read streams in Python, which is slower: the extension is not installed",
        )
    else:
        assert found(document, "records") == [("ok", "workers of this installation read streams in C", None)]
    code, document = doctor(valkey.url, GEARTRAIN_NATIVE="0")
    text = "workers of this installation read streams in Python, which is slower: GEARTRAIN_NATIVE is 0"
    assert (code, found(document, "records")) == (0, [("warning", text, "unset GEARTRAIN_NATIVE")])


def test_it_changes_nothing_on_the_server(url, link):
    """Neither keys nor settings, also where streams are registered and exist."""
    submit(url, STREAM)
    link.call("XADD", "orders:*", "1-1", "n", "1")
    link.call("XADD", "orders:1", "1-1", "n", "1")
    before = (sorted(link.call("KEYS", "*")), link.call("CONFIG", "GET", "*"), link.call("XINFO", "GROUPS", "orders:*"))
    assert doctor(url)[0] == 0
    after = (sorted(link.call("KEYS", "*")), link.call("CONFIG", "GET", "*"), link.call("XINFO", "GROUPS", "orders:*"))
    assert after == before
    assert link.call("XLEN", "orders:1") == link.call("XLEN", "orders:*") == 1


def test_a_server_that_is_not_there_is_exit_code_3():
    """The document says so, too."""
    url = f"redis://127.0.0.1:{free_port()}"
    code, document = doctor(url)
    assert code == 3
    assert (document["reachable"], document["ok"], document["server"]) == (False, False, None)
    ((result, message, fix),) = found(document, "connection")
    assert result == "failed"
    assert url in message
    assert "geartrain serve" in fix


@pytest.mark.servers("valkey-9.1")
def test_a_wrong_password_is_said(as_user):
    """The server is reachable, and refuses the login."""
    code, document = doctor(as_user("+@all", "~*").replace("secret", "wrong"))
    assert code == 1
    ((result, message, fix),) = found(document, "connection")
    assert result == "failed"
    assert "refuses the login: invalid username-password pair" in message
    assert "PASSWORD" in fix
    assert "wrong@" not in json.dumps(document)


def test_commands_that_a_user_is_refused_are_named_with_the_rule_to_add(url, as_user):
    """And nothing else than those."""
    submit(url, STREAM)
    restricted = as_user("+@all", "~*", "&*", "-xread", "-script", "-hincrby")
    code, document = doctor(restricted)
    assert code == 1
    ((result, message, fix),) = found(document, "permissions")
    assert result == "failed"
    assert "user 'alice' is refused script|load, hincrby, xread" in message
    assert fix == "ACL SETUSER alice +script|load +hincrby +xread ~geartrain:* ~orders:*"


@pytest.mark.parametrize("keys", ["~geartrain:*", "~orders:*"])
def test_keys_that_a_user_is_refused_are_named(url, as_user, keys):
    """Geartrain's own, and the streams of registrations."""
    submit(url, STREAM)
    code, document = doctor(as_user("+@all", "&*", keys))
    assert code == 1
    other = {"~geartrain:*": "~orders:*", "~orders:*": "~geartrain:*"}[keys]
    fixes = [fix for result, _, fix in found(document, "permissions") if result == "failed"]
    assert other in fixes[0]
    assert keys not in fixes[0]


def test_what_doctor_says_to_type_makes_a_user_who_can_work(url, as_user, link, cli):
    """A user who may do nothing gets the rules that are named, and a worker of that user works."""
    submit(url, STREAM.replace("lambda x: x", "lambda x: execute('set', 'orders:seen', '1')"))
    restricted = as_user("+@connection", "+info", "+set", "+acl")
    for _ in range(3):
        code, document = doctor(restricted)
        if code == 0:
            break
        for item in document["checks"]:
            if (item["fix"] or "").startswith("ACL SETUSER alice"):
                link.call(*item["fix"].split())
    assert code == 0, json.dumps(document, indent=1)
    process = cli("worker", "--url", restricted)
    process.wait_for_line("^ready$")
    link.call("XADD", "orders:1", "*", "n", "1")
    wait_for(lambda: link.call("GET", "orders:seen") == "1")
    assert process.terminate() == 0


def test_missing_notifications_matter_where_key_events_are_registered(url, as_user):
    """A user who may not set them is told what to set; one who may needs to do nothing."""
    restricted = as_user("+@all", "~*", "&*", "-config")
    code, document = doctor(restricted)
    assert code == 0
    submit(url, KEYS)
    ((result, message, _),) = found(doctor(url)[1], "notifications")
    assert (result, "workers add" in message) == ("ok", True)
    code, document = doctor(restricted)
    ((result, message, fix),) = found(document, "notifications")
    assert result == "warning"
    assert fix == "CONFIG SET notify-keyspace-events AE"


@pytest.mark.servers("valkey-9.1", "redis-8.2")
def test_notifications_that_may_be_read_but_not_set_fail(url, as_user):
    """Since 7.0 a user may be permitted to CONFIG GET only."""
    submit(url, KEYS)
    code, document = doctor(as_user("+@all", "~*", "&*", "-config|set"))
    assert code == 1
    ((result, message, fix),) = found(document, "notifications")
    assert result == "failed"
    assert "without AE" in message
    assert fix == "CONFIG SET notify-keyspace-events AE"


def test_a_server_without_the_module_is_ok_and_told_how_to_load_it(url, flavour):
    """Nothing that is registered needs it; old servers cannot have it."""
    ((result, message, _),) = found(doctor(url)[1], "module")
    assert result == "ok"
    assert message.startswith("not loaded; only mode='sync'")
    assert ("upgrade the server" in message) == (flavour in {"redis-6.2", "redis-debian"})


@pytest.mark.servers("valkey-9.1")
def test_a_registration_in_sync_fails_without_the_module(url, link):
    """With the command that prints what to configure."""
    submit(url, KEYS)
    registrations = "geartrain:{registry}:registrations"
    text = link.call("HGET", registrations, "keys")
    link.call("HSET", registrations, "keys", json.dumps(json.loads(text) | {"mode": "sync"}))
    code, document = doctor(url)
    assert code == 1
    ((result, message, fix),) = found(document, "module")
    assert (result, message) == ("failed", "the server module is not loaded, and keys has mode='sync'")
    assert "geartrain module" in fix or "no C compiler" in fix


def test_the_module_is_told_with_its_version_and_hooks(module_server):
    """And whether functions run in the server, or why not."""
    with Link(Endpoint(module_server.url)) as link:
        link.call("GEARTRAIN.HOOK", "SET", "keys", "1", "pattern", "key:*")
    ((result, message, _),) = found(doctor(module_server.url)[1], "module")
    assert message.startswith(f"loaded, version {__version__}, 1 hook; ")
    assert ("no mode='sync': " in message) == (result == "warning")


def test_a_user_who_may_not_ask_for_hooks_is_told_the_rule(module_server):
    """The command is for administrators, and workers."""
    with Link(Endpoint(module_server.url)) as link:
        link.call("ACL", "SETUSER", "alice", "on", ">secret", "+@all", "~*", "&*", "-geartrain.hook")
    document = doctor(module_server.url.replace("redis://", "redis://alice:secret@"))[1]
    ((result, _, fix),) = found(document, "module")
    assert (result, fix) == ("warning", "ACL SETUSER alice +geartrain.hook")


CALLED = [
    ("CommandReader", "trigger='t'"),
    ("CommandReader", "hook='get'"),
    ("KeysReader", "'key:*', commands=['set']"),
]

RESTRICTED = ("on", ">secret", "+@all", "~*", "&*")


@pytest.fixture
def restrict(module_server):
    """`restrict(*rules)`: the URL, for a user who may do all but that, of a server with the module."""

    def make(*rules):
        with Link(Endpoint(module_server.url)) as link:
            link.call("ACL", "SETUSER", "alice", "reset", *RESTRICTED, *rules)
        return module_server.url.replace("redis://", "redis://alice:secret@")

    return make


def test_the_modules_commands_that_a_user_is_refused_are_named(module_server, restrict):
    """A warning, as long as nothing is registered that workers are called for; what is to be typed is enough."""
    url = restrict("-geartrain.serve", "-geartrain.answer", "-geartrain.unhooked", "-geartrain.link")
    code, document = doctor(url)
    assert code == 0
    ((result, message, fix),) = [item for item in found(document, "permissions") if item[0] != "ok"]
    assert result == "warning"
    assert "user 'alice' is refused geartrain.serve, geartrain.answer, geartrain.link, geartrain.unhooked:" in message
    assert fix == "ACL SETUSER alice +geartrain.serve +geartrain.answer +geartrain.link +geartrain.unhooked"
    with Link(Endpoint(module_server.url)) as link:
        link.call(*fix.split())
    assert [item[0] for item in found(doctor(url)[1], "permissions")] == ["ok"]


@pytest.mark.parametrize("command", ["config", "serve", "answer", "return", "call", "next", "unhooked", "link", "hook"])
def test_each_command_of_the_module_is_tried(restrict, command):
    """With nothing else."""
    fixes = [item["fix"] for item in doctor(restrict(f"-geartrain.{command}"))[1]["checks"]]
    assert f"ACL SETUSER alice +geartrain.{command}" in fixes


@pytest.mark.parametrize(("reader", "arguments"), CALLED)
def test_they_matter_where_workers_are_called(module_server, restrict, reader, arguments):
    """For triggers, hooks, and clients that wait for key events."""
    submit(module_server.url, f"GB('{reader}').map(lambda x: x).register({arguments})")
    url = restrict("-geartrain.serve")
    code, document = doctor(url)
    assert code == 1
    assert ("failed", "ACL SETUSER alice +geartrain.serve") in [
        (result, fix) for result, _, fix in found(document, "permissions")
    ]


def test_a_user_by_the_documents_may_do_all_with_the_module(module_server):
    """Those that tell how it is installed."""
    text = (ROOT / "docs" / "howto" / "install-the-module.md").read_text()
    (rule,) = (line for line in text.splitlines() if line.startswith("user geartrain "))
    words = rule.replace(">PASSWORD", ">secret").split()[1:]
    with Link(Endpoint(module_server.url)) as link:
        link.call("ACL", "SETUSER", *words)
    submit(module_server.url, STREAM)
    document = doctor(module_server.url.replace("redis://", "redis://geartrain:secret@"))[1]
    assert [item for item in found(document, "permissions") if item[0] != "ok"] == []


def test_trying_the_modules_commands_does_nothing(module_server):
    """Nobody serves, waits, or is left out of hooks."""
    with Link(Endpoint(module_server.url)) as link:
        before = information(link, "geartrain")
        assert doctor(module_server.url)[0] == 0
        after = information(link, "geartrain")
    assert {name: value for name, value in after.items() if before[name] != value} == {}


@pytest.mark.servers("valkey-9.1")
def test_a_registration_that_no_worker_takes_is_a_warning(url):
    """What to type stands beside it."""
    submit(url, STREAM)
    code, document = doctor(url)
    assert code == 0
    assert found(document, "workers") == [("warning", "none lives: nothing is executed", "geartrain worker")]


@pytest.mark.servers("valkey-9.1")
def test_an_aborted_registration_is_a_warning(url, link):
    """With the commands that tell why, and start it again."""
    submit(url, STREAM)
    link.call("HSET", "geartrain:{registry}:status", "stream", "aborted")
    ((result, message, fix),) = found(doctor(url)[1], "registrations")
    assert (result, message) == ("warning", "1 of 1 are aborted: stream")
    assert fix == "geartrain show stream  (why), geartrain resume stream"


@pytest.mark.servers("valkey-9.1")
def test_code_of_another_python_fails_unless_a_worker_has_that_python(url, link):
    """Nobody here can run it."""
    submit(url, STREAM)
    sessions = "geartrain:{registry}:sessions"
    text = link.call("HGET", sessions, "orders")
    link.call("HSET", sessions, "orders", json.dumps(json.loads(text) | {"python": "3.99"}))
    code, document = doctor(url)
    assert code == 1
    ((result, message, fix),) = found(document, "python")
    assert result == "failed"
    assert message.startswith(f"session 'orders' was registered with Python 3.99, and this is {PYTHON}")
    assert "run a worker with Python 3.99" in fix


@pytest.mark.servers("valkey-9.1")
def test_code_that_is_not_signed_fails_where_there_is_a_secret(url):
    """Workers with this environment would refuse it."""
    submit(url, STREAM)
    code, document = doctor(url, GEARTRAIN_SECRET="hush")
    assert code == 1
    ((result, _, fix),) = found(document, "signatures")
    assert (result, fix) == ("failed", "geartrain register SCRIPT --session orders")
    assert "hush" not in json.dumps(document)


@pytest.mark.servers("valkey-9.1")
def test_signed_code_is_ok_with_the_secret_and_a_warning_without(url, tmp_path):
    """Without it nobody checks the signature."""
    script = tmp_path / "orders.py"
    script.write_text(STREAM)
    secret = {"GEARTRAIN_SECRET": "hush"}
    assert run_cli("register", script, "--url", url, env=secret).returncode == 0
    assert [item[0] for item in found(doctor(url, **secret)[1], "signatures")] == ["ok"]
    assert [item[0] for item in found(doctor(url)[1], "signatures")] == ["warning"]


@pytest.mark.parametrize(
    ("settings", "result"),
    [
        ({"appendonly": "no", "save": ""}, "warning"),
        ({"appendonly": "no", "save": "3600 1"}, "warning"),
        ({"appendonly": "yes", "save": ""}, "ok"),
    ],
)
def test_what_a_crash_costs_is_said(fresh_server, settings, result):
    """Without an append-only file, data may be lost."""
    server = fresh_server()
    with Link(Endpoint(server.url)) as link:
        for name, value in settings.items():
            link.call("CONFIG", "SET", name, value)
        code, document = doctor(server.url)
    assert code == 0
    assert [item[0] for item in found(document, "persistence")] == [result]


@pytest.mark.parametrize(
    ("policy", "limit", "result"),
    [
        ("noeviction", "100mb", "ok"),
        ("allkeys-lru", "100mb", "warning"),
        ("allkeys-lru", "0", "warning"),
        ("volatile-lru", "100mb", "warning"),
        ("volatile-lru", "0", "ok"),
    ],
)
def test_a_policy_that_evicts_our_keys_is_a_warning(valkey, policy, limit, result):
    """Registrations and streams, or the leases."""
    with Link(Endpoint(valkey.url)) as link:
        link.call("CONFIG", "SET", "maxmemory-policy", policy)
        link.call("CONFIG", "SET", "maxmemory", limit)
        document = doctor(valkey.url)[1]
    assert [item[0] for item in found(document, "eviction")] == [result]


def test_a_replica_fails_with_the_address_of_its_primary(fresh_server):
    """A worker must write."""
    primary, replica = fresh_server(), fresh_server()
    with Link(Endpoint(replica.url)) as link:
        link.call("REPLICAOF", "127.0.0.1", str(primary.port))
        code, document = doctor(replica.url)
    assert code == 1
    fixes = [fix for result, _, fix in found(document, "server") if result == "failed"]
    assert f"redis://127.0.0.1:{primary.port}" in fixes[0]


def test_a_node_that_is_no_cluster_yet_fails(fresh_server):
    """It has no slots, so it takes no commands; it is reachable, though."""
    server = fresh_server(options={"cluster-enabled": "yes", "cluster-port": str(free_port())})
    code, document = doctor(server.url)
    assert code == 1
    assert document["reachable"]
    assert any("no slots" in message for result, message, _ in found(document, "connection") if result == "failed")
