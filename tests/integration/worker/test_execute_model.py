"""`execute` that is put off does what `execute` that waits does: any steps, any records, some commands refused.

Each script is made twice from the same templates; the second time every reply is stored, and so it is waited for.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from geartrain.extension import SWITCH, extension

pytestmark = pytest.mark.timeout(180)

TEXT = "text"
"""A key that holds no list: commands on it are refused."""

# NOW: a command whose reply is waited for in both forms. SOON: one that may be put off. KEY, LINE: what it works on.
STEPS = {
    "tail": "def f{i}(r):\n    SOON(KEY, LINE)\n",
    "two": "def f{i}(r):\n    NOW(KEY, LINE)\n    SOON(KEY, LINE + ' again')\n",
    "later": "def f{i}(r):\n    LATER(KEY, LINE)\n    LATER(KEY, LINE + ' again')\n",
    "both": "def f{i}(r):\n    LATER(KEY, LINE)\n    SOON(KEY, LINE + ' again')\n",
    "helper": "def h{i}(r):\n    SOON(KEY, LINE)\ndef f{i}(r):\n    h{i}(r)\n",
    "guarded": "def f{i}(r):\n    try:\n        SOON(KEY, LINE)\n    except GeartrainError:\n        pass\n",
    "missing": "def f{i}(r):\n    SOON(KEY, LINE + {{'seen': ''}}[KEY[:4]])\n",
    "loop": "def f{i}(r):\n    for word in ('a', 'b'):\n        SOON(KEY, LINE + word)\n",
    "branch": "def f{i}(r):\n    if int(r['n']) % 2:\n        SOON(KEY, LINE)\n    else:\n        LATER(KEY, LINE)\n",
    "raises": "def f{i}(r):\n    if r['k{i}'] == 'text':\n        raise ValueError('no')\n    SOON(KEY, LINE)\n",
    "map": "def f{i}(r):\n    r['m{i}'] = NOW(KEY, LINE)\n    return r\n",
    "map_tail": "def f{i}(r):\n    SOON(KEY, LINE)\n    return r\n",
    "filter": "def f{i}(r):\n    SOON(KEY, LINE)\n    return int(r['n']) % 3 != 0\n",
}
KINDS = {"map": "map", "map_tail": "map", "filter": "filter"}


class Case(NamedTuple):
    """One example.

    Attributes:
        steps: names of STEPS.
        batch: of the registrations.
        refused: for each record the steps of which the commands are refused.
        policy: what a failure does.
        first: a step before them. `dict` may be anything's, so that nothing is known of what the steps notice; without
            it they may begin before the effects of the batch before are there, where all else is known.
    """

    steps: list[str]
    batch: int
    refused: list[frozenset[int]]
    policy: str
    first: str = ""


@st.composite
def cases(draw):
    """Records are whole batches; a few of them are refused something."""
    steps = draw(st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=4))
    batch = draw(st.sampled_from([1, 1, 3, 40]))
    count = batch * draw(st.integers(1, 3 if batch > 3 else 5))
    bad = st.frozensets(st.integers(0, len(steps) - 1), max_size=2)
    refused = draw(st.dictionaries(st.integers(0, count - 1), bad, max_size=3))
    policy = draw(st.sampled_from(["continue", "continue", "abort"]))
    first = draw(st.sampled_from(["", ".map(dict)"]))
    return Case(steps, batch, [refused.get(n, frozenset()) for n in range(count)], policy, first)


def script(case, name, *, waits):
    """The script in one of the two forms, which differ in no line's number."""
    source, chain = "from geartrain import GeartrainError\n", ""
    for number, step in enumerate(case.steps):
        text = STEPS[step].replace("KEY", "r['k{i}']").replace("LINE", "f\"{{r['n']}} {i}\"")
        source += re.sub(r"(NOW|SOON|LATER)\(", lambda found: _call(found[1], waits=waits), text).format(i=number)
        chain += f".{KINDS.get(step, 'foreach')}(f{number})"
    options = f"batch={case.batch}, onFailedPolicy={case.policy!r}, name={name!r}"
    return f"{source}GB('StreamReader'){case.first}{chain}.register({name!r}, {options})\n"


def _call(word, *, waits):
    if word == "NOW":
        return "execute('rpush', "
    if waits:
        return "reply = execute('rpush', "
    return "execute('rpush', " if word == "SOON" else "execute.later('rpush', "


def ideal(case):
    """For each batch what its records do where nothing is refused, in order."""
    records = list(enumerate(case.refused))
    return [
        [line for n, _ in records[start : start + case.batch] for line in _lines(case, n)]
        for start in range(0, len(records), case.batch)
    ]


def _lines(case, n):
    for number, step in enumerate(case.steps):
        line = f"{n} {number}"
        yield from {
            "two": [line, f"{line} again"],
            "later": [line, f"{line} again"],
            "both": [line, f"{line} again"],
            "loop": [f"{line}a", f"{line}b"],
        }.get(step, [line])
        if step == "filter" and n % 3 == 0:
            return


def begin(place, case, name, *, waits):
    """Begin with one form."""
    place.client.execute(script(case, name, waits=waits), session=name, path="model.py")
    commands = []
    for n, refused in enumerate(case.refused):
        keys = [(f"k{i}", TEXT if i in refused else f"seen:{name}") for i in range(len(case.steps))]
        commands.append(("XADD", name, f"1-{n + 1}", "n", n, *(part for pair in keys for part in pair)))
    place.link.pipeline(commands)


def end(place, case, name):
    """Wait until it is done; (effects of each batch, what is to be the same in both forms)."""
    batches = len(case.refused) // case.batch
    info = place.wait_info(name, lambda info: info.aborted or info.succeeded + info.failed == batches, 30)
    seen = place.link.call("LRANGE", f"seen:{name}", 0, -1)
    effects = [[line for line in seen if int(line.split()[0]) // case.batch == n] for n in range(batches)]
    assert [line for part in effects for line in part] == seen, "executions follow each other"
    counters = (info.triggered, info.succeeded, info.failed, info.aborted, info.retried, info.records)
    details = place.client.show(name)
    history = [(item.outcome, item.records, item.last_id) for item in reversed(details.history)]
    error = info.last_error and info.last_error.replace(name, "NAME")
    place.client.unregister(name)
    return effects, (counters, history, error)


def check_case(place, case, number):
    """Run both forms, at the same time, and compare them."""
    place.link.call("SET", TEXT, "no list")
    soon, wait = f"soon:{number}", f"wait:{number}"
    begin(place, case, soon, waits=False)
    begin(place, case, wait, waits=True)
    put_off, told = end(place, case, soon)
    waited, expected = end(place, case, wait)
    assert told == expected
    outcomes = [outcome for outcome, _, _ in told[1]]
    for one, other, whole, outcome in zip(put_off, waited, ideal(case), outcomes, strict=False):
        if outcome == "succeeded":
            assert one == other
        # What follows a refused command of which nobody waits for the reply happens all the same, in its order.
        assert one[: len(other)] == other
        places = [whole.index(line) for line in one]
        assert places == sorted(places)
    assert put_off[len(outcomes) :] == waited[len(outcomes) :] == [[]] * (len(put_off) - len(outcomes))


@pytest.fixture
def working(place):
    """A workplace with a worker for all examples, and a number for each."""
    place.start()
    numbers = iter(range(10**6))
    return lambda case: check_case(place, case, next(numbers))


@given(case=cases())
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_put_off_is_what_is_waited_for(working, case):
    """The same effects in the same order for each execution, the same failures, counters and histories."""
    working(case)


def test_the_model_puts_off_what_it_means_to(place):
    """Otherwise it would compare the waiting form with itself."""
    place.link.call("SET", TEXT, "no list")
    case = Case(["tail"], 3, [frozenset(), frozenset({0}), frozenset()], "continue")
    place.start()
    for name, waits, expected in (("soon", False, ["0 0", "2 0"]), ("wait", True, ["0 0"])):
        begin(place, case, name, waits=waits)
        (effects,), _ = end(place, case, name)
        assert effects == expected


@pytest.mark.skipif(extension is None, reason="this run is without the extension already")
def test_the_same_without_the_extension():
    """This file again, in a process of its own."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "170", __file__]
    done = subprocess.run(command, env={**os.environ, SWITCH: "0"}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
    assert " 1 skipped" in done.stdout
