"""Scripts with requirements: an environment is made, and an executor of its interpreter runs the script."""

from __future__ import annotations

import pytest
import redis

from support.redisgears import client, pairs, registrations, service, wait_until_served
from support.wheels import make_wheel

SCRIPT = "import gtcolour\nGB('ShardsIDReader').map(lambda x: gtcolour.VERSION).run()"


@pytest.fixture
def wheels(tmp_path):
    """A folder of wheels."""
    make_wheel(tmp_path / "wheels", "gtcolour", "1.0")
    make_wheel(tmp_path / "wheels", "gtshade", "3.0")
    return tmp_path / "wheels"


@pytest.fixture
def r(fresh_server, wheels, tmp_path):
    """A client of a server whose service installs packages from that folder."""
    server = fresh_server(module={"dialect": "redisgears-1.2", "workers": 0})
    env = {"GEARTRAIN_WHEELS": str(wheels), "GEARTRAIN_ENVIRONMENTS": str(tmp_path / "environments")}
    with service(server.url, more=env), client(server) as r:
        wait_until_served(r)
        yield r


def requirements(r):
    """What RG.PYDUMPREQS says, by name."""
    return {item["Name"]: item for item in map(pairs, r.execute_command("RG.PYDUMPREQS"))}


def test_a_script_has_what_it_requires(r, wheels):
    """Others do not; a later version is there when it is installed anew."""
    with pytest.raises(redis.ResponseError, match="No module named 'gtcolour'"):
        r.execute_command("RG.PYEXECUTE", SCRIPT)
    assert r.execute_command("RG.PYEXECUTE", SCRIPT, "REQUIREMENTS", "gtcolour >= 1.0 gtshade") == [["1.0"], []]
    assert {name: item["IsInstalled"] for name, item in requirements(r).items()} == {
        "gtcolour>=1.0": "yes",
        "gtshade": "yes",
    }
    assert requirements(r)["gtshade"]["Wheels"] == ["gtshade-3.0-py3-none-any.whl"]
    make_wheel(wheels, "gtcolour", "2.0")
    again = ("FORCE_REINSTALL_REQUIREMENTS", "REQUIREMENTS", "gtcolour>=1.0", "gtshade")
    assert r.execute_command("RG.PYEXECUTE", SCRIPT, "REQUIREMENTS", "gtcolour>=1.0", "gtshade") == [["1.0"], []]
    assert r.execute_command("RG.PYEXECUTE", SCRIPT, *again) == [["2.0"], []]


def test_a_package_that_is_not_there_is_an_error_and_nothing_runs(r):
    """Which names it."""
    with pytest.raises(redis.ResponseError, match="no-such-package"):
        r.execute_command("RG.PYEXECUTE", "execute('set', 'ran', 1)", "REQUIREMENTS", "no-such-package")
    assert not r.exists("ran")
    assert requirements(r)["no-such-package"]["IsInstalled"] == "no"


def test_a_registration_tells_what_its_session_requires(r):
    """In its private data, and in the dump of sessions."""
    script = "import gtshade\nGB('StreamReader').map(lambda x: gtshade.VERSION).register('s')"
    assert r.execute_command("RG.PYEXECUTE", script, "ID", "mine", "REQUIREMENTS", "gtshade") == "OK"
    (found,) = registrations(r)
    assert found["PD"] == "{'sessionId': 'mine', 'depsList': [{'name': 'gtshade'}]}"
    (session,) = map(pairs, r.execute_command("RG.PYDUMPSESSIONS"))
    assert session["requirements"] == ["gtshade"]
    (session,) = map(pairs, r.execute_command("RG.PYDUMPSESSIONS", "VERBOSE"))
    assert pairs(session["requirements"][0])["IsDownloaded"] == "yes"
