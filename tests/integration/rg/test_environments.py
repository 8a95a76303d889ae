"""RG.PYEXECUTE ... REQUIREMENTS with the workers of environments beside the service: registrations, triggers, sync."""

from __future__ import annotations

import pytest
import redis

from geartrain.server import EmbeddedServer
from support.redisgears import client, execute, pairs, wait_until_served
from support.servers import VALKEY, require_module, required, stable_port
from support.waiting import wait_for
from support.wheels import make_wheel

LONG = 60
"""Seconds within which an environment is made, and its processes live, on a busy machine."""


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One server for this module's tests, with a worker of its own; the folder of wheels."""
    require_module()
    folder = tmp_path_factory.mktemp("environments")
    make_wheel(folder / "wheels", "gtcolour", "1.0", requires=["gtshade"])
    make_wheel(folder / "wheels", "gtcolour", "2.0")
    make_wheel(folder / "wheels", "gtshade", "1.0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEARTRAIN_WHEELS", str(folder / "wheels"))
        patch.setenv("GEARTRAIN_ENVIRONMENTS", str(folder / "made"))
        patch.setenv("PIP_NO_INDEX", "1")
        options = {"dialect": "redisgears-1.2", "workers": 1}
        server = EmbeddedServer.start(port=stable_port(), binary=required(VALKEY), module=True, module_options=options)
    with server:
        with client(server) as r:
            wait_until_served(r)
        yield server, folder / "wheels"


@pytest.fixture
def r(shared):
    """A client; what was registered before stays, in sessions of its own."""
    with client(shared[0]) as r:
        yield r


def known(r):
    """What RG.PYDUMPREQS says, by name."""
    return {item["Name"]: item for item in map(pairs, r.execute_command("RG.PYDUMPREQS"))}


RUN = "import gtcolour\nGB('PythonReader').map(lambda x: gtcolour.VERSION).run(lambda: [1])"


def test_a_script_imports_at_its_top_what_it_requires(r):
    """Two versions, one after the other, each in an interpreter of its own; RG.PYDUMPREQS tells of both."""
    assert execute(r, RUN, "REQUIREMENTS", "gtcolour==1.0") == [["1.0"], []]
    assert execute(r, RUN, "REQUIREMENTS", "gtcolour == 2.0") == [["2.0"], []]
    found = known(r)["gtcolour==1.0"]
    assert (found["GearReqVersion"], found["IsDownloaded"], found["IsInstalled"]) == (1, "yes", "yes")
    assert found["Wheels"] == ["gtcolour-1.0-py3-none-any.whl", "gtshade-1.0-py3-none-any.whl"]
    assert known(r)["gtcolour==2.0"]["Wheels"] == ["gtcolour-2.0-py3-none-any.whl"]


def test_what_it_registers_runs_in_workers_of_its_environment(r):
    """Streams and triggers; the session tells what it requires."""
    script = """
import gtcolour
GB('StreamReader').foreach(lambda x: execute('rpush', 'seen', gtcolour.VERSION)).register('reqs:*')
GB('CommandReader').map(lambda x: gtcolour.VERSION).register(trigger='which')
"""
    assert execute(r, script, "ID", "registers", "REQUIREMENTS", "gtcolour==2.0") == "OK"
    r.xadd("reqs:1", {"a": 1})
    wait_for(lambda: r.lrange("seen", 0, -1) == ["2.0"], LONG)
    assert r.execute_command("RG.TRIGGER", "which") == ["2.0"]
    (session,) = [pairs(item) for item in r.execute_command("RG.PYDUMPSESSIONS", "SESSIONS", "registers")]
    assert session["requirements"] == ["gtcolour==2.0"]


def test_sync_with_what_the_server_lacks_is_refused(r):
    """The environment has it, the server's own Python has not."""
    script = "GB().foreach(lambda x: 1).register('k:*', mode='sync')"
    with pytest.raises(redis.ResponseError, match=r"gtcolour==1.0 is not installed"):
        execute(r, script, "REQUIREMENTS", "gtcolour==1.0")
