# For a cluster whose nodes have Geartrain's server module; beside orders.py.
#
#     geartrain run examples/cluster/counts.py --url $GEARTRAIN_URL
from __future__ import annotations


# 1. In the server, before XADD gets its reply, on the shard of the stream. It can reach keys of this shard only;
# hashtag() gives a tag that makes a key one of them.
def count(order):
    execute("HINCRBY", f"taken:{{{hashtag()}}}", order["customer"], 1)


GB("StreamReader", desc="orders of a shard, before the reply").foreach(count).register(
    "orders:*", name="counts", mode="sync"
)


# 2. In a worker, for every invoice on whichever shard: the event was written down there, together with the invoice.
def post(invoice):
    execute("SADD", "posted", invoice["key"].removeprefix("invoice:"))


GB("KeysReader", desc="every invoice is posted").foreach(post).register("invoice:*", name="post", eventTypes=["set"])
