"""`geartrain register | ls | show | pause | resume | unregister`, as users run them."""

from __future__ import annotations

import json

import pytest

WARNING = (
    "geartrain: warning: best effort: shop/KeysReader:k*: without the server module, key events come as keyspace"
    " notifications; those that happen while no worker listens, or while a connection is lost, are lost\n"
)


def test_register_says_what_it_changed(geartrain, shop):
    """Changes on standard output, warnings on standard error; a second time it is an upgrade."""
    done = geartrain("register", "shop.py")
    assert (done.returncode, done.stderr) == (0, WARNING)
    assert done.stdout == (
        "the script was here\nsession shop: 2 added\n  added     shop/KeysReader:k*\n  added     totals\n"
    )
    shop.write_text("GB('StreamReader').register('orders:*', name='totals')")
    again = geartrain("register", "shop.py")
    assert again.stdout == "session shop: 1 upgraded, 1 removed\n  upgraded  totals\n  removed   shop/KeysReader:k*\n"


def test_register_as_json_is_one_object(geartrain, shop):
    """What the script prints goes to standard error then."""
    done = geartrain("register", "--json", "shop.py")
    assert done.returncode == 0
    printed = json.loads(done.stdout)
    assert len(printed.pop("warnings")) == 1
    assert printed == {
        "session": "shop",
        "added": ["shop/KeysReader:k*", "totals"],
        "upgraded": [],
        "removed": [],
        "registered": ["totals", "shop/KeysReader:k*"],
    }
    assert "the script was here" in done.stderr


def test_register_takes_a_session_name_and_a_dialect(geartrain, shop):
    """`--session` and `--dialect` are those of everything in the script."""
    assert geartrain("register", "shop.py", "--session", "other", "--dialect", "redisgears-1.2").returncode == 0
    found = {item["id"]: item for item in json.loads(geartrain("ls", "--json").stdout)}
    assert {item["dialect"] for item in found.values()} == {"redisgears-1.2"}
    assert {item["session"] for item in found.values()} == {"other"}
    assert min(found) == "0" * 40 + "-1"


def test_a_session_can_be_new_or_take_the_place_of_another(geartrain, shop):
    """`--new` refuses where there is one; with `--replace` registrations go on in the new one."""
    assert geartrain("register", "shop.py", "--new").returncode == 0
    done = geartrain("register", "shop.py", "--new")
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is a session 'shop' already" in done.stderr
    done = geartrain("register", "shop.py", "--session", "next", "--replace", "shop")
    assert done.returncode == 0
    assert {item["session"] for item in json.loads(geartrain("ls", "--json").stdout)} == {"next"}


def test_register_of_a_script_that_registers_nothing_fails(geartrain, tmp_path):
    """It says what such a script is for."""
    (tmp_path / "empty.py").write_text("GB('PythonReader').run(lambda: [1])")
    done = geartrain("register", "empty.py")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("geartrain: empty.py registers nothing: nothing was submitted")


def test_ls_is_a_table(geartrain, shop):
    """One line for each registration, in aligned columns."""
    geartrain("register", "shop.py")
    done = geartrain("ls")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "ID                  STATUS  DELIVERY       TRIGGERED  SUCCEEDED  FAILED  LAG  LAST ERROR\n"
        "shop/KeysReader:k*  active  best-effort    0          0          0       -    -\n"
        "totals              active  at-least-once  0          0          0       -    -\n"
    )


def test_ls_as_json_has_the_documented_fields(geartrain, shop):
    """An array of objects."""
    geartrain("register", "shop.py")
    found = json.loads(geartrain("ls", "--json").stdout)
    assert [item["id"] for item in found] == ["shop/KeysReader:k*", "totals"]
    assert found[1] == {
        "id": "totals",
        "session": "shop",
        "reader": "StreamReader",
        "pattern": "orders:*",
        "mode": "async",
        "description": "running totals",
        "dialect": "geartrain",
        "status": "active",
        "delivery": "at-least-once",
        "python": found[0]["python"],
        "version": 1,
        "triggered": 0,
        "succeeded": 0,
        "failed": 0,
        "aborted": 0,
        "retried": 0,
        "dropped": 0,
        "unreplicated": 0,
        "records": 0,
        "lag": None,
        "last_duration_ms": 0.0,
        "average_duration_ms": 0.0,
        "last_error": None,
        "last_error_at": None,
    }


def test_ls_of_an_empty_server_is_empty(geartrain):
    """Nothing on standard output for a program, a hint for people."""
    assert json.loads(geartrain("ls", "--json").stdout) == []
    done = geartrain("ls")
    assert (done.returncode, done.stdout) == (0, "")
    assert "no registrations" in done.stderr


def test_show_gives_everything(geartrain, shop):
    """For people in sections; a part of the id is enough."""
    geartrain("register", "shop.py")
    done = geartrain("show", "tot")
    assert done.returncode == 0
    assert done.stdout.startswith("totals\n  session              shop\n")
    for expected in ("  batch                  10\n", "source of shop.py\n", "  def total(order):\n"):
        assert expected in done.stdout


def test_show_as_json_has_what_ls_has_and_more(geartrain, shop):
    """One object."""
    geartrain("register", "shop.py")
    found = json.loads(geartrain("show", "--json", "totals").stdout)
    listed = json.loads(geartrain("ls", "--json").stdout)[1]
    assert found | listed == found
    assert found["arguments"]["onFailedPolicy"] == "retry"
    assert (found["script"], found["source"]) == ("shop.py", shop.read_text())
    assert (found["partitions"], found["history"], found["last_trace"], found["owner"]) == ([], [], None, None)


def test_pause_and_resume(geartrain, shop):
    """They say whom they meant, and ls shows it."""
    geartrain("register", "shop.py")
    assert geartrain("pause", "tot").stdout == "paused totals\n"
    assert json.loads(geartrain("ls", "--json").stdout)[1]["status"] == "paused"
    assert geartrain("resume", "totals").stdout == "resumed totals\n"
    assert json.loads(geartrain("ls", "--json").stdout)[1]["status"] == "active"


def test_unregister_one_or_a_session(geartrain, shop):
    """By id, or all of a session."""
    geartrain("register", "shop.py")
    assert geartrain("unregister", "totals").stdout == "removed totals\n"
    assert geartrain("unregister", "--session", "shop").stdout == "removed shop/KeysReader:k*\n"
    assert json.loads(geartrain("ls", "--json").stdout) == []


@pytest.mark.parametrize("verb", ["show", "pause", "resume", "unregister"])
def test_an_id_that_is_not_there_fails(geartrain, shop, verb):
    """Exit code 1, and the name; with an ambiguous one it is wrong use."""
    geartrain("register", "shop.py")
    done = geartrain(verb, "nope")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "geartrain: there is no registration 'nope'; `geartrain ls` shows those that there are\n"
    ambiguous = geartrain(verb, "s")
    assert ambiguous.returncode == 2
    assert "is a part of 2 ids: shop/KeysReader:k*, totals" in ambiguous.stderr


def test_unregister_wants_one_of_its_two_forms(geartrain):
    """Neither, or both, is wrong use."""
    assert geartrain("unregister").returncode == 2
    assert geartrain("unregister", "x", "--session", "y").returncode == 2
