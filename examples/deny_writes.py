# The specification's first example: every key that is touched is deleted, so nothing can be put in the database. It
# comes to rest: the `del` is an event too, but then there is no key any more, and deleting nothing is no event.
#
# Do not try it on a database that you need.
from __future__ import annotations

GearsBuilder().foreach(lambda x: execute("del", x["key"])).register()
