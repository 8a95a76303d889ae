"""Sessions with requirements: workers make an environment for them, and run them in a process of its interpreter."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from geartrain import keys
from geartrain.environments import State, environment_of, normalised, status_of
from geartrain.registry import Session
from geartrain.worker.membership import live
from support.waiting import wait_for
from support.wheels import make_wheel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.working import Workplace

LONG = 60
"""Seconds within which an environment is made, and its worker live, on a busy machine."""

SCRIPT = """
def step(record):
    import os
    import gtcolour
    execute('rpush', 'seen', f"{{gtcolour.VERSION}} {{os.getpid()}}")

GB('StreamReader').foreach(step).register('{stream}')
"""

PLAIN = """
def step(record):
    import importlib.util
    execute('rpush', 'without', str(importlib.util.find_spec('gtcolour')))

GB('StreamReader').foreach(step).register('plain')
"""


@pytest.fixture(scope="module", autouse=True)
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder of wheels and a place for environments, for all tests here: each environment is made once."""
    folder = tmp_path_factory.mktemp("environments")
    make_wheel(folder / "wheels", "gtcolour", "1.0")
    make_wheel(folder / "wheels", "gtcolour", "2.0")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEARTRAIN_WHEELS", str(folder / "wheels"))
        patch.setenv("GEARTRAIN_ENVIRONMENTS", str(folder / "made"))
        yield folder / "wheels"


def submit(place: Workplace, version: str, stream: str = "s", session: str = "one") -> str:
    """Register a session that needs `gtcolour` of that version; its registration."""
    outcome = place.client.execute(SCRIPT.format(stream=stream), session=session, requirements=[f"gtcolour=={version}"])
    return outcome.registered[0]


def serving(place: Workplace, version: str) -> set[int]:
    """The processes that serve the environment of that version of `gtcolour`."""
    environment = environment_of(normalised([f"gtcolour=={version}"]))
    return {member.pid for member in live(place.link).values() if member.environment == environment}


def alive(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        with Path(f"/proc/{pid}/stat").open(encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_two_versions_of_a_package_at_the_same_time(place):
    """Each session gets its own; a session without requirements runs where neither is."""
    submit(place, "1.0", "a", "one")
    submit(place, "2.0", "b", "two")
    place.client.execute(PLAIN, session="plain")
    worker = place.begin()
    for stream in ("a", "b", "plain"):
        place.add(stream)
    wait_for(lambda: place.link.call("LLEN", "seen") == 2, LONG)
    found = dict(line.split() for line in place.seen(2))
    assert found.keys() == {"1.0", "2.0"}
    assert len({os.getpid(), *map(int, found.values())}) == 3
    assert place.seen(1, "without") == ["None"]
    # Registered while it runs, it is served by the process that is there.
    submit(place, "1.0", "c", "three")
    place.add("c")
    assert place.seen(3)[2] == f"1.0 {found['1.0']}"
    worker.stop()
    assert not alive(int(found["1.0"]))
    assert not alive(int(found["2.0"]))


def test_a_worker_is_ready_when_those_of_environments_are(place):
    """Whoever starts it, or `geartrain run`, hears of it then: what is added is executed at once."""
    submit(place, "1.0")
    worker = place.begin()
    wait_for(worker._ready.is_set, LONG)
    assert len(serving(place, "1.0")) == 1


def test_its_process_ends_when_nothing_needs_it_any_more(place):
    """Also where the registration is only paused; resumed, it goes on where it stopped."""
    registration = submit(place, "1.0")
    place.begin()
    (pid,) = wait_for(lambda: serving(place, "1.0"), LONG)
    place.client.pause(registration)
    wait_for(lambda: not alive(pid), LONG)
    place.add("s")
    place.client.resume(registration)
    wait_for(lambda: place.link.call("LLEN", "seen") == 1, LONG)


def test_a_process_that_dies_is_started_again(place):
    """As a supervisor does with workers that people start."""
    submit(place, "1.0")
    place.begin()
    (pid,) = wait_for(lambda: serving(place, "1.0"), LONG)
    os.kill(pid, signal.SIGKILL)
    place.add("s")
    wait_for(lambda: place.link.call("LLEN", "seen") == 1, LONG)
    assert place.seen(1) != [f"1.0 {pid}"]


def test_an_environment_that_was_deleted_is_made_again(place, monkeypatch):
    """Whoever clears the cache of a worker that runs."""
    monkeypatch.setattr("geartrain.worker.environments._LOOK", 0.1)
    submit(place, "1.0")
    place.begin()
    (pid,) = wait_for(lambda: serving(place, "1.0"), LONG)
    shutil.rmtree(os.environ["GEARTRAIN_ENVIRONMENTS"])
    wait_for(lambda: serving(place, "1.0") - {pid}, LONG)
    place.add("s")
    assert place.seen(1)


def test_several_workers_share_the_streams_of_an_environment(place):
    """Each has a process for it; what both may take is shared out evenly."""
    submit(place, "1.0", "s*")
    place.begin()
    place.begin()
    wait_for(lambda: len(serving(place, "1.0")) == 2, LONG)
    for number in range(6):
        place.add(f"s{number}")
    pids = [line.split()[1] for line in place.seen(6)]
    wait_for(lambda: len({item.owner for item in place.client.show("one/StreamReader:s*").partitions}) == 2)
    assert set(map(int, pids)) <= serving(place, "1.0")


def test_an_environment_that_cannot_be_made_is_shown_with_what_pip_said(place, wheels):
    """As the registration's last error. Submitted again when the cause is gone, it runs at once."""
    registration = submit(place, "3.0")
    worker = place.begin()
    info = place.wait_info(registration, lambda info: info.last_error, LONG)
    assert "gtcolour==3.0 cannot be installed on" in str(info.last_error)
    details = place.client.show(registration)
    assert "No matching distribution found for gtcolour==3.0" in str(details.last_trace)
    assert details.requirements == ("gtcolour==3.0",)
    wait_for(worker._ready.is_set, LONG)
    make_wheel(wheels, "gtcolour", "3.0")
    submit(place, "3.0")
    place.add("s")
    wait_for(lambda: place.link.call("LLEN", "seen") == 1, LONG)


def test_installed_anew_a_session_gets_what_is_there_now(place, wheels):
    """The next ones too; a session that is not submitted again keeps what it has."""
    make_wheel(wheels, "gtshade", "1.0")
    script = SCRIPT.format(stream="s").replace("gtcolour", "gtshade")
    place.client.execute(script, session="old", requirements=["gtshade"])
    place.begin()
    place.add("s")
    wait_for(lambda: place.link.call("LLEN", "seen") == 1, LONG)
    make_wheel(wheels, "gtshade", "2.0")
    new = script.replace("'s'", "'t'")
    place.client.execute(new, session="new", requirements=["gtshade"], reinstall=True)
    place.client.execute(new.replace("'t'", "'u'"), session="next", requirements=["gtshade"])
    for stream in ("s", "t", "u"):
        place.add(stream)
    wait_for(lambda: place.link.call("LLEN", "seen") == 4, LONG)
    assert sorted(line.split()[0] for line in place.seen(4)) == ["1.0", "1.0", "2.0", "2.0"]


def test_a_worker_that_is_killed_takes_its_processes_along(place, start_worker):
    """Nothing is left; and one that was installing leaves nothing that others would take for an environment."""
    submit(place, "1.0")
    told = {name: os.environ[name] for name in ("GEARTRAIN_WHEELS", "GEARTRAIN_ENVIRONMENTS")}
    worker = start_worker(place.url, env=told)
    (pid,) = wait_for(lambda: serving(place, "1.0"), LONG)
    os.kill(worker.pid, signal.SIGKILL)
    wait_for(lambda: not alive(pid), LONG)


def test_killed_while_it_installs_another_one_makes_the_environment(place, start_worker, wheels):
    """The lock ends with its process."""
    make_wheel(wheels, "gtcolour", "4.0")
    submit(place, "4.0")
    told = {name: os.environ[name] for name in ("GEARTRAIN_WHEELS", "GEARTRAIN_ENVIRONMENTS")}
    worker = start_worker(place.url, env=told)
    environment = environment_of(normalised(["gtcolour==4.0"]))
    wait_for(lambda: status_of(environment).state is State.MAKING, LONG)
    os.kill(worker.pid, signal.SIGKILL)
    place.begin()
    place.add("s")
    wait_for(lambda: place.link.call("LLEN", "seen") == 1, LONG)


def test_requirements_are_signed_with_the_code(place, monkeypatch):
    """Installing runs code: with a secret, nothing is installed that was not signed with it."""
    monkeypatch.setenv("GEARTRAIN_SECRET", "s3cret")
    registration = submit(place, "1.0")
    evil = normalised(["gtcolour==2.0"])
    sessions = dict(zip(*[iter(place.link.call("HGETALL", keys.SESSIONS))] * 2, strict=True))
    session = Session.from_json(sessions["one"])
    assert session.requirements == ("gtcolour==1.0",)
    place.link.call("HSET", keys.code("one"), "requirements", json.dumps(evil))
    place.begin()
    info = place.wait_info(registration, lambda info: info.last_error, LONG)
    assert "signed with another secret" in str(info.last_error)
    assert not serving(place, "1.0")
