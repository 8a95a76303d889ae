# What cannot travel to another process (a connection, a lock) is made in every worker process by `onRegistered`.
#
#     redis-cli -p PORT XADD words '*' text zug
#     redis-cli -p PORT HGETALL english
from __future__ import annotations

import sqlite3
import threading

connection = None
lock = None


def connect():
    global connection, lock  # noqa: PLW0603
    lock = threading.Lock()
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.execute("CREATE TABLE dictionary (german TEXT PRIMARY KEY, english TEXT)")
    connection.executemany(
        "INSERT INTO dictionary VALUES (?, ?)", [("zug", "train"), ("rad", "wheel"), ("gang", "gear")]
    )


def translate(entry):
    # A worker executes several streams at the same time, in threads.
    with lock:
        row = connection.execute("SELECT english FROM dictionary WHERE german = ?", [entry["text"]]).fetchone()
    execute("HSET", "english", entry["text"], row[0] if row else "?")


GB("StreamReader").foreach(translate).register("words", onRegistered=connect)
