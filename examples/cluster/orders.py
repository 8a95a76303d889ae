# Orders on a cluster. They arrive in streams, one for each branch, which lie on all shards: orders:north, orders:web...
# An order has the fields number, customer and price.
#
#     geartrain serve --shards 3 --replicas 1        and, with the GEARTRAIN_URL that it prints:
#     geartrain run examples/cluster/orders.py --url $GEARTRAIN_URL
#     redis-cli -c -p PORT XADD orders:web '*' number 1 customer ann price 490
from __future__ import annotations


# In a worker, whichever it is. `execute` reaches any key: the invoice lies on another shard than the order, most often.
# At least once means: again after a failover. Written under its own number, an invoice is the same one then.
def write_invoice(order):
    execute("SET", f"invoice:{order['number']}", f"{order['customer']} owes {order['price']}")


GB("StreamReader", desc="one invoice per order").foreach(write_invoice).register(
    "orders:*", name="invoices", batch=20, duration=20
)
