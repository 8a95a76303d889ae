# Hashes under person:* are written to the table persons, in the background. DATABASE stands for the file.
from __future__ import annotations

from rgsync import RGWriteBehind
from rgsync.Connectors import SQLiteConnection, SQLiteConnector

RGWriteBehind(
    GB,
    keysPrefix="person",
    mappings={"first_name": "first", "age": "age"},
    connector=SQLiteConnector(SQLiteConnection("DATABASE"), "persons", "person_id"),
    name="PersonsWriteBehind",
    version="VERSION",
    onFailedRetryInterval=1,
)
