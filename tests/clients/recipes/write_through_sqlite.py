# HSET __{person:1} writes to the table persons first, and then to the hash person:1. DATABASE stands for the file.
from __future__ import annotations

from rgsync import RGWriteThrough
from rgsync.Connectors import SQLiteConnection, SQLiteConnector

RGWriteThrough(
    GB,
    keysPrefix="__",
    mappings={"first_name": "first", "age": "age"},
    connector=SQLiteConnector(SQLiteConnection("DATABASE"), "persons", "person_id"),
    name="PersonsWriteThrough",
    version="VERSION",
)
