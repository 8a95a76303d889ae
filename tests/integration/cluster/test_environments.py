"""Sessions with requirements on a cluster: registrations, and parts of a `run()`, in workers of their environment."""

from __future__ import annotations

import pytest

from geartrain.environments import environment_of, normalised
from geartrain.worker.membership import live
from support.waiting import wait_for
from support.wheels import make_wheel

pytestmark = pytest.mark.servers("valkey-9.1")

WANTED = ["gtcolour==1.0"]

SCRIPT = """
def step(record):
    import gtcolour
    execute('rpush', 'seen', gtcolour.VERSION)

GB('StreamReader').foreach(step).register('s*')
"""

RUN = """
def step(record):
    import gtcolour
    return f"{record['key']} {gtcolour.VERSION}"

GB('KeysReader').map(step).run('k*')
"""


def test_streams_of_all_shards_and_parts_of_a_run(place, tmp_path, monkeypatch):
    """This process has not got the package: nobody but workers of the environment can have done it."""
    make_wheel(tmp_path / "wheels", "gtcolour", "1.0")
    monkeypatch.setenv("GEARTRAIN_WHEELS", str(tmp_path / "wheels"))
    monkeypatch.setenv("GEARTRAIN_ENVIRONMENTS", str(tmp_path / "made"))
    place.client.execute(SCRIPT, session="one", requirements=WANTED)
    place.begin()
    environment = environment_of(normalised(WANTED))
    wait_for(lambda: any(member.environment == environment for member in live(place.link).values()), 60)
    for number in range(9):
        place.add(f"s{number}")
        place.link.call("SET", f"k{number}", number)
    assert place.seen(9) == ["1.0"] * 9
    outcome = place.client.execute(RUN, session="two", requirements=WANTED)
    assert sorted(outcome.results) == [f"k{number} 1.0" for number in range(9)]
