# Key events that nobody loses: captured in a stream before the reply, worked on in the background.
#
# The first registration runs in the server, with the write; the second one takes what it has captured, in batches.
#
#     redis-cli -x RG.PYEXECUTE < examples/redisgears/keyspace_notifications.py
#     redis-cli SET order:1 open EX 1
#     redis-cli LRANGE orders-expired 0 -1
from __future__ import annotations


def capture(x):
    execute("XADD", f"order-events:{{{hashtag()}}}", "*", "key", x["key"], "event", x["event"])


def work(entry):
    event = entry["value"]
    if event["event"] == "expired":
        log(f"{event['key']} has expired")
        execute("RPUSH", "orders-expired", event["key"])


GB("KeysReader", desc="captures").foreach(capture).register("order:*", mode="sync", readValue=False)
GB("StreamReader", desc="works").foreach(work).register("order-events:*", batch=10, duration=100)
