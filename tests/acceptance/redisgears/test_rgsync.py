"""rgsync's recipes, as they are on PyPI: to a database of SQLAlchemy's (SQLite), and to another server."""

from __future__ import annotations

import sqlite3
from contextlib import closing, contextmanager

import pytest

from geartrain.errors import CommandError
from geartrain.wire import Endpoint, Link
from support.gears import PROGRAMS, connect, gears_cli, registrations
from support.waiting import wait_for

pytestmark = pytest.mark.timeout(180)


@pytest.fixture
def link(beside):
    """A connection to `beside`."""
    with connect(beside) as link:
        yield link


@pytest.fixture
def recipe(link):
    """Sends a recipe by its name, with what stands for something in it."""

    def send(name, version="99.99.99", **words):
        text = PROGRAMS.joinpath("recipes", name).read_text()
        for word, value in {"VERSION": version, **words}.items():
            text = text.replace(word, str(value))
        return link.call("RG.PYEXECUTE", text)

    return send


@contextmanager
def database_at(path):
    """A connection to it, closed afterwards; what was done is kept."""
    with closing(sqlite3.connect(path, timeout=10)) as connection, connection:
        yield connection


@pytest.fixture
def database(tmp_path):
    """A file with an empty table."""
    path = tmp_path / "persons.db"
    with database_at(path) as connection:
        connection.execute("CREATE TABLE persons (person_id TEXT PRIMARY KEY, first TEXT, age INTEGER)")
    return path


@pytest.fixture
def rows(database):
    """Reads the table."""

    def read():
        with database_at(database) as connection:
            return connection.execute("SELECT person_id, first, age FROM persons ORDER BY person_id").fetchall()

    return read


def test_writes_reach_a_database_behind_them(link, recipe, database, rows):
    """New hashes, changed ones, deleted ones; the stream between is emptied."""
    assert recipe("write_behind_sqlite.py", DATABASE=database) == "OK"
    link.call("HSET", "person:1", "first_name", "Ann", "age", 30)
    link.call("HSET", "person:2", "first_name", "Bob", "age", 40)
    wait_for(lambda: rows() == [("1", "Ann", 30), ("2", "Bob", 40)], 20)
    link.call("HSET", "person:1", "age", 31)
    link.call("DEL", "person:2")
    wait_for(lambda: rows() == [("1", "Ann", 31)], 20)
    wait_for(lambda: all(link.call("XLEN", key) == 0 for key in link.call("KEYS", "_persons-stream-*")), 20)
    assert {item["RegistrationData"]["numFailures"] for item in registrations(link)} == {0}


def test_operations_of_the_recipe_are_understood(link, recipe, database, rows):
    """`#` says what a write is: `+` stays here, `-` deletes here only, and an acknowledgement is a stream."""
    assert recipe("write_behind_sqlite.py", DATABASE=database) == "OK"
    link.call("HSET", "person:1", "first_name", "Ann", "age", 30, "#", "=a1")
    entry = wait_for(lambda: link.call("XRANGE", "{person:1}a1", "-", "+"), 20)
    assert entry[0][1] == ["status", "done"]
    assert rows() == [("1", "Ann", 30)]
    link.call("HSET", "person:1", "age", 31, "#", "+a2")
    assert wait_for(lambda: link.call("XRANGE", "{person:1}a2", "-", "+"), 20)
    assert link.call("HGETALL", "person:1") == ["first_name", "Ann", "age", "31"]
    link.call("HSET", "person:1", "#", "-")
    assert link.call("EXISTS", "person:1") == 0
    assert rows() == [("1", "Ann", 30)]


def test_a_database_that_is_away_is_waited_for(link, recipe, database, rows):
    """The batch is tried again until the table is there; nothing is lost, and the order is kept."""
    with database_at(database) as connection:
        connection.execute("ALTER TABLE persons RENAME TO away")
    assert recipe("write_behind_sqlite.py", DATABASE=database) == "OK"
    link.pipeline([("HSET", "person:1", "first_name", "Ann", "age", age) for age in range(30, 40)])
    wait_for(lambda: any(item["RegistrationData"]["lastError"] for item in registrations(link)), 20)
    with database_at(database) as connection:
        connection.execute("ALTER TABLE away RENAME TO persons")
    wait_for(lambda: rows() == [("1", "Ann", 39)], 30)


def test_a_newer_version_takes_the_place_of_an_older_one(link, recipe, database, rows):
    """The recipe looks for itself among the registrations; an older version than what is there is refused."""
    for version in ("1.0.0", "1.1.0"):
        assert recipe("write_behind_sqlite.py", version, DATABASE=database) == "OK"
        assert len(registrations(link)) == 2
        assert all(version in item["desc"] for item in registrations(link))
    with pytest.raises(CommandError, match="greater or equals"):
        recipe("write_behind_sqlite.py", "1.0.1", DATABASE=database)
    assert len(registrations(link)) == 2
    link.call("HSET", "person:1", "first_name", "Ann", "age", 30)
    wait_for(lambda: rows() == [("1", "Ann", 30)], 20)


def test_writes_go_through_to_a_database(link, recipe, database, rows):
    """When the client has its reply, the database has the row; where the database refuses, the hash is not written."""
    assert recipe("write_through_sqlite.py", DATABASE=database) == "OK"
    link.call("HSET", "__{person:1}", "first_name", "Ann", "age", 30)
    assert rows() == [("1", "Ann", 30)]
    assert link.call("HGETALL", "person:1") == ["first_name", "Ann", "age", "30"]
    assert link.call("EXISTS", "__{person:1}") == 0
    link.call("HSET", "__{person:1}", "age", 31)
    assert rows() == [("1", "Ann", 31)]
    with database_at(database) as connection:
        connection.execute("DROP TABLE persons")
    link.call("HSET", "__{person:1}", "age", 32)
    assert link.call("HGET", "person:1", "age") == "31"
    with database_at(database) as connection:
        connection.execute("CREATE TABLE persons (person_id TEXT PRIMARY KEY, first TEXT, age INTEGER)")


def test_writes_reach_another_server_behind_them(link, recipe, valkey):
    """As hashes, each entry once (`exactly-once` keeps the last id)."""
    assert recipe("write_behind_redis.py", PORT=valkey.port) == "OK"
    with Link(Endpoint(valkey.url)) as other:
        link.call("HSET", "person:1", "first_name", "Ann", "age", 30)
        link.call("HSET", "person:2", "first_name", "Bob", "age", 40)
        wait_for(lambda: other.call("HGETALL", "copy:2") == ["first", "Bob", "age", "40"], 20)
        assert other.call("HGETALL", "copy:1") == ["first", "Ann", "age", "30"]
        link.call("DEL", "person:1")
        wait_for(lambda: other.call("EXISTS", "copy:1") == 0, 20)
        assert other.call("HLEN", "exactly-once") == 1


def test_gears_cli_sends_a_recipe_with_its_requirement(beside, link, database, rows, tmp_path):
    """`REQUIREMENTS rgsync`: the server's Python has it, so the function in the server may use it."""
    text = PROGRAMS.joinpath("recipes", "write_behind_sqlite.py").read_text()
    script = tmp_path / "recipe.py"
    script.write_text(text.replace("VERSION", "99.99.99").replace("DATABASE", str(database)))
    ended = gears_cli(beside.port, "run", script, "REQUIREMENTS", "rgsync")
    assert (ended.code, ended.out) == (0, "OK\n"), str(ended)
    link.call("HSET", "person:1", "first_name", "Ann", "age", 30)
    wait_for(lambda: rows() == [("1", "Ann", 30)], 20)
