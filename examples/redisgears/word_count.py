# How often each word occurs in the strings under sentence:*.
#
#     redis-cli SET sentence:1 "the cat and the dog"
#     redis-cli -x RG.PYEXECUTE < examples/redisgears/word_count.py
from __future__ import annotations

GearsBuilder("KeysReader", desc="counts words").flatmap(lambda x: x["value"].split()).countby().run("sentence:*")
