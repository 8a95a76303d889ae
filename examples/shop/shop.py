# A shop. Orders arrive in streams, one for each branch: orders:north, orders:south, orders:web. An order has the fields
# number, customer, item, price (in cents) and address.
#
#     geartrain run examples/shop/shop.py        and then, from anywhere:
#     redis-cli -p PORT XADD orders:web '*' number 1 customer ann item tea price 490 address 'Mill Lane 3'
from __future__ import annotations

LIMIT = 100_000  # cents; who has spent more is a big spender


# 1. A running total for each customer, order by order. The commands of a batch are sent together.
def add_to_total(order):
    execute("INCRBY", f"total:{order['customer']}", order["price"])


GB("StreamReader", desc="running total per customer").foreach(add_to_total).register(
    "orders:*", name="totals", batch=50, duration=50
)


# 2. A summary of every 25 orders of a branch, or of what came within a second.
def add_up(summary, order):
    summary = summary or {"orders": 0, "revenue": 0}
    return {"orders": summary["orders"] + 1, "revenue": summary["revenue"] + int(order["price"])}


def write_summary(summary):
    execute("XADD", "summaries", "*", "orders", summary["orders"], "revenue", summary["revenue"])


GB("StreamReader", desc="summaries of orders").accumulate(add_up).foreach(write_summary).register(
    "orders:*", name="summaries", batch=25, duration=1000
)


# 3. Reacts to the totals that the first registration writes: key events.
def is_big(total):
    return int(total["value"]) > LIMIT


GB("KeysReader", desc="who spends a lot").filter(is_big).foreach(
    lambda total: execute("SADD", "big-spenders", total["key"].removeprefix("total:"))
).register("total:*", name="big-spenders", eventTypes=["incrby"])


# 4. Invoices. An order without an address makes it raise; the policy says: count the error, and go on.
def write_invoice(order):
    if not order["address"]:
        raise ValueError(f"{order['customer']} gave no address")
    execute("HSET", "invoices", order["number"], f"{order['item']} for {order['customer']}, {order['address']}")


GB("StreamReader", desc="one invoice per order").foreach(write_invoice).register(
    "orders:*", name="invoices", onFailedPolicy="continue"
)
