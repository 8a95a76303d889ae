# Deletes every key that begins with draft:, and says how many these were. No value is read.
#
#     redis-cli -x RG.PYEXECUTE < examples/redisgears/delete_by_prefix.py
from __future__ import annotations

GB("KeysOnlyReader", desc="deletes drafts").foreach(lambda key: execute("DEL", key)).count().run("draft:*")
