# The shop's stock, for a server with Geartrain's server module. Orders arrive as in shop.py; `stock:tea` and its like
# hold how many are left.
#
#     geartrain run examples/shop/stock.py       and then, from anywhere:
#     redis-cli -p PORT XADD orders:web '*' number 1 customer ann item tea price 490 address 'Mill Lane 3'
#     redis-cli -p PORT GET stock:tea
from __future__ import annotations


# 1. In the server, before XADD gets its reply, and in the same transaction: whoever reads next sees it.
def take(order):
    execute("DECR", f"stock:{order['item']}")


GB("StreamReader", desc="stock, before the reply").foreach(take).register("orders:*", name="stock", mode="sync")


# 2. In a worker: every level that the stock ever had, each as it was at its event. The server module writes the event
# down together with the change, so it waits while no worker runs.
def note(level):
    execute("HINCRBY", "ledger", f"{level['key'].removeprefix('stock:')}:{level['value']}", 1)


GB("KeysReader", desc="each level of stock").foreach(note).register(
    "stock:*", name="ledger", eventTypes=["incrby", "decrby"], snapshot=True
)
