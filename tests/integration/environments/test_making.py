"""Environments, made by pip from a folder of tiny wheels, in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from geartrain.environments import (
    Cancelled,
    State,
    environment_of,
    make,
    new_salt,
    normalised,
    python_of,
    requirement_infos,
    status_of,
)
from geartrain.errors import RequirementsError
from support.processes import environment
from support.waiting import wait_for
from support.wheels import make_wheel

COLOUR = normalised(["gtcolour==1.0"])


@pytest.fixture(autouse=True)
def place(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, and a place for environments; the wheels."""
    folder = tmp_path_factory.mktemp("places")
    wheels = folder / "wheels"
    make_wheel(wheels, "gtcolour", "1.0", requires=["gtshade"])
    make_wheel(wheels, "gtcolour", "2.0")
    make_wheel(wheels, "gtshade", "3.0")
    monkeypatch.setenv("GEARTRAIN_WHEELS", str(wheels))
    monkeypatch.setenv("GEARTRAIN_ENVIRONMENTS", str(folder / "environments"))
    return wheels


def run(environment_name: str, code: str) -> str:
    """What code prints in an environment."""
    command = [python_of(environment_name), "-P", "-c", code]
    return subprocess.run(command, check=True, capture_output=True, encoding="utf-8", env=environment()).stdout.strip()


def test_an_environment_has_its_packages_and_borrows_geartrain():
    """What it requires comes along; this process has none of it. A second time nothing is done."""
    name = environment_of(COLOUR)
    assert status_of(name).state is State.ABSENT
    made = make(name, COLOUR)
    assert made.state is State.READY
    assert run(
        name, "import gtcolour, gtshade, geartrain.worker.worker as w; print(gtcolour.VERSION, gtshade.VERSION)"
    ) == ("1.0 3.0")
    assert make(name, COLOUR) == made
    assert python_of("") == sys.executable
    (info,) = requirement_infos({name: COLOUR})
    assert (info.name, info.version, info.downloaded, info.installed) == ("gtcolour==1.0", 1, True, True)
    assert info.wheels == ("gtcolour-1.0-py3-none-any.whl", "gtshade-3.0-py3-none-any.whl")
    with pytest.raises(ModuleNotFoundError):
        __import__("gtcolour")


def test_what_this_process_has_is_borrowed_without_any_network(monkeypatch, tmp_path):
    """In fitting versions; where they are to be installed anew, pip does it."""
    monkeypatch.setenv("GEARTRAIN_WHEELS", str(tmp_path))
    wanted = normalised(["numpy>=1", "redis[hiredis]"])
    name = environment_of(wanted)
    assert make(name, wanted).output == ""
    assert run(name, "import numpy; print('numpy' in numpy.__file__)") == "True"
    infos = requirement_infos({name: wanted})
    assert [(info.name, info.installed) for info in infos] == [("numpy>=1", True), ("redis[hiredis]", True)]
    assert infos[0].wheels[0].startswith("numpy-")
    with pytest.raises(RequirementsError, match="No matching distribution"):
        make(environment_of(wanted, new_salt()), wanted)


def test_wheels_by_path_and_by_name(place):
    """An absolute path, and the bare name of a file in the folder of wheels."""
    wanted = normalised([str(place / "gtcolour-2.0-py3-none-any.whl"), "gtshade-3.0-py3-none-any.whl"])
    name = environment_of(wanted)
    make(name, wanted)
    assert run(name, "import gtcolour, gtshade; print(gtcolour.VERSION, gtshade.VERSION)") == "2.0 3.0"


def test_requirements_win_but_not_over_what_geartrain_cannot_work_with(place):
    """A package that both have comes from the environment; an old redis is replaced by ours."""
    make_wheel(place, "redis", "4.0")
    make_wheel(place, "cloudpickle", "99.0", "from pickle import *\nimport pickle\nPickler = pickle._Pickler")
    make_wheel(place, "numpy", "0.1")
    wanted = normalised(["redis<5", "numpy==0.1"])
    name = environment_of(wanted)
    make(name, wanted)
    assert run(name, "import numpy, redis; print(numpy.VERSION, hasattr(redis, 'Redis'))") == "0.1 True"


def test_a_failure_is_remembered_with_what_pip_said():
    """Asked again, it is told at once; on demand it is tried again, and then may succeed."""
    wanted = normalised(["nothing-at-all==9"])
    name = environment_of(wanted)
    with pytest.raises(RequirementsError, match="nothing-at-all==9 cannot be installed") as caught:
        make(name, wanted)
    assert "No matching distribution" in caught.value.output
    assert "ERROR: No matching distribution" in str(caught.value)
    status = status_of(name)
    assert (status.state, status.output) == (State.FAILED, caught.value.output)
    with pytest.raises(RequirementsError, match="cannot be installed"):
        python_of(name)
    with pytest.raises(RequirementsError):
        make(name, wanted, again=False)
    assert status_of(name) == status
    make_wheel(Path(os.environ["GEARTRAIN_WHEELS"]), "nothing_at_all", "9")
    assert make(name, wanted).state is State.READY


def test_geartrain_that_does_not_run_beside_a_package_is_a_failure(place):
    """Found when the environment is made, not by a worker that dies again and again."""
    make_wheel(place, "click", "99.0")
    make_wheel(place, "hiredis", "99.0", "raise ImportError('broken on purpose')")
    wanted = normalised(["hiredis==99"])
    with pytest.raises(RequirementsError, match="does not run beside") as caught:
        make(environment_of(wanted), wanted)
    assert "broken on purpose" in caught.value.output


def test_with_a_salt_it_is_made_anew_and_the_other_stays(place):
    """Sessions that use the one before keep it: what they import does not change under them."""
    first = environment_of(COLOUR)
    make(first, COLOUR)
    make_wheel(place, "gtcolour", "1.0", "CHANGED = True")
    second = environment_of(COLOUR, new_salt())
    make(second, COLOUR)
    code = "import gtcolour; print(hasattr(gtcolour, 'CHANGED'))"
    assert (run(first, code), run(second, code)) == ("False", "True")
    assert [info.version for info in requirement_infos({first: COLOUR, second: COLOUR})] == [2]


def test_several_at_the_same_time_make_it_once():
    """The others wait for the one that is at it."""
    name = environment_of(COLOUR)
    made = []
    threads = [threading.Thread(target=lambda: made.append(make(name, COLOUR))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 3
    assert made.count(made[0]) == 3


SLOW = """
import sys, time
from geartrain.environments import environment_of, make
import geartrain.environments.making as making

class Silent(making.Run):
    def __call__(self, command):
        return super().__call__([sys.executable, "-c", "import time; print('begun', flush=True); time.sleep(600)"])

making.Run = Silent
wanted = ("gtcolour==1.0",)
make(environment_of(wanted), wanted, max_idle=float(sys.argv[1]))
"""


def test_a_process_that_is_killed_while_installing_leaves_nothing_that_counts(place):
    """The next one makes the environment anew, and at once."""
    name = environment_of(COLOUR)
    told = environment({key: os.environ[key] for key in ("GEARTRAIN_WHEELS", "GEARTRAIN_ENVIRONMENTS")})
    with subprocess.Popen([sys.executable, "-P", "-c", SLOW, "600"], env=told) as process:
        wait_for(lambda: status_of(name).state is State.MAKING)
        process.send_signal(signal.SIGKILL)
    assert status_of(name).state is State.ABSENT
    assert make(name, COLOUR).state is State.READY


def test_silence_ends_it():
    """Neither output nor files that grow: a name server that does not answer, say."""
    told = environment({key: os.environ[key] for key in ("GEARTRAIN_WHEELS", "GEARTRAIN_ENVIRONMENTS")})
    done = subprocess.run([sys.executable, "-P", "-c", SLOW, "0.5"], env=told, capture_output=True, check=False)
    assert b"nothing went on for 0.5 s" in done.stderr


def test_it_can_be_given_up():
    """A worker that stops does not wait for pip, and what is not done is no failure."""
    with pytest.raises(Cancelled):
        make(environment_of(COLOUR), COLOUR, cancelled=lambda: True)
    assert status_of(environment_of(COLOUR)).state is State.ABSENT


def test_a_place_that_cannot_be_written_is_an_error_that_says_what_to_do(tmp_path, monkeypatch):
    """It names the variable."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("GEARTRAIN_ENVIRONMENTS", str(tmp_path / "file"))
    with pytest.raises(RequirementsError, match="GEARTRAIN_ENVIRONMENTS names another"):
        make(environment_of(COLOUR), COLOUR)


def test_an_old_package_gets_a_version_that_it_works_with(place, monkeypatch):
    """Though it asks for any, and pip would take the latest."""
    monkeypatch.setattr("geartrain.environments.constraints._KNOWN", {"gtcolour": ("gtshade<4",)})
    make_wheel(place, "gtshade", "9.0")
    name = environment_of(COLOUR)
    make(name, COLOUR)
    assert run(name, "import gtshade; print(gtshade.VERSION)") == "3.0"
