# `make demo`: starts a real server and the shop, sends it orders for half a minute, and checks what came out. With the
# server module the shop keeps its stock too, and its worker is stopped for a while: nothing is lost.
#
# GEARTRAIN_DEMO_SECONDS=5 makes it shorter. Exit code 0: every number is right; 1: one is not.
from __future__ import annotations

import os
import random
import socket
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import redis
from commands import Background, geartrain
from screen import make_screen

from geartrain.client import Client
from geartrain.errors import GeartrainError
from geartrain.server import find_module

HERE = Path(__file__).parent
SECONDS = float(os.environ.get("GEARTRAIN_DEMO_SECONDS", "25"))
PAUSE = (0.45, 0.65)  # shares of that time between which no worker runs
RATE = 40  # orders per second
POISON_EVERY = 60  # orders; this one has no address
LIMIT = 100_000  # as in shop.py
STOCK = 10_000  # of each of the goods, at the beginning

BRANCHES = ("north", "south", "web")
CUSTOMERS = {"ann": 6, "ben": 3, "cleo": 3, "dora": 2, "emil": 1}  # how much each likes to buy
GOODS = {"tea": 490, "cake": 1250, "teapot": 3900, "chair": 8900}


@dataclass
class Sent:
    """What the demo has put into the streams, and so what must come out."""

    orders: int = 0
    poison: int = 0
    totals: dict[str, int] = field(default_factory=dict)
    sold: dict[str, int] = field(default_factory=lambda: dict.fromkeys(GOODS, 0))
    seen: int = 0  # orders after which the very next read had the new stock
    in_pause: int = 0

    @property
    def revenue(self):
        return sum(self.totals.values())

    @property
    def spenders(self):
        return {customer for customer, cents in self.totals.items() if cents > LIMIT}

    @property
    def levels(self):
        """Every level of stock there was."""
        return {f"{item}:{STOCK - number}" for item, sold in self.sold.items() for number in range(1, sold + 1)}


@dataclass
class Picture:
    """What is shown."""

    url: str
    seconds: float
    elapsed: float
    orders: int
    seen: int
    registrations: list
    totals: dict[str, int]
    spenders: set[str]
    stock: dict[str, int]  # empty without the module
    worker: bool
    last_summary: str


class Shop:
    """The server, what is registered on it, and its workers, one after the other."""

    def __init__(self, port):
        self.line = print  # what gets the lines that workers print
        self.url = f"redis://127.0.0.1:{port}"
        self._workers = []
        self._resting = False  # whether the first one was asked to stop
        with ExitStack() as stack:
            self._served = stack.enter_context(Background("serve", "--port", port))
            self._served.wait_ready()
            self.server = stack.enter_context(redis.Redis(port=port, decode_responses=True))
            self.client = stack.enter_context(Client(self.url))
            geartrain("register", HERE / "shop.py", "--url", self.url)
            reason = no_sync(self.server)
            self.has_stock = reason is None
            if self.has_stock:
                self.server.mset({f"stock:{item}": STOCK for item in GOODS})
                geartrain("register", HERE / "stock.py", "--url", self.url)
            else:
                print(f"No mode='sync' here: {reason}")
                print("So this shop keeps no stock; its worker is not stopped, as that may lose key events.")
            self._stack = stack
            self._work()
            self._workers[0].wait_ready()
            self._stack = stack.pop_all()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stack.close()

    @property
    def working(self):
        """Whether there is a worker."""
        return any(worker.at_work for worker in self._workers)

    def _work(self):
        worker = Background("worker", "--url", self.url, line=self._tell)
        self._workers.append(self._stack.enter_context(worker))

    def _tell(self, text):
        self.line(text)

    def follow(self, share, screen):
        """That share of the time is over: stop the worker, or start the next one, where it is time."""
        if not self.has_stock or len(self._workers) == 2 or share < PAUSE[0]:
            return
        if share >= PAUSE[1]:
            lag = next(info.lag for info in self.client.registrations() if info.id == "ledger")
            screen.say(f"a worker is started again: {lag} key events wait in the ledger's outbox")
            self._work()
        elif self.working and not self._resting:
            self._resting = True
            screen.say("the worker is stopped: orders go on, the server keeps the stock, key events wait")
            self._workers[0].ask()

    def stop(self):
        """Stop everything; the exit codes."""
        return [process.stop() for process in (*self._workers, self._served)]


def main():
    with Shop(free_port()) as shop:
        with make_screen() as screen:
            shop.line = screen.line
            sent = feed(shop, screen)
            drain(shop, screen, sent)
        shop.line = print
        right = report(shop, sent)
        codes = shop.stop()
    print(f"workers and server ended with exit codes {', '.join(map(str, codes))}")
    return 0 if right and not any(codes) else 1


def no_sync(server):
    """Why functions cannot run in the server; None: they can."""
    try:
        return None if (reason := server.execute_command("GEARTRAIN.HOOK", "LIST")[3]) == "ok" else reason
    except redis.ResponseError:
        pass
    try:
        return f"the server did not load {find_module()}"
    except GeartrainError as error:
        return str(error)


def feed(shop, screen):
    """Send orders at the rate, and show what they cause."""
    chance = random.Random(7)
    sent = Sent()
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < SECONDS:
        shop.follow(elapsed / SECONDS, screen)
        while sent.orders < elapsed * RATE:
            order(shop, chance, sent)
        screen.show(look(shop, elapsed, sent))
        time.sleep(0.1)
    shop.follow(1, screen)
    return sent


def order(shop, chance, sent):
    """One order, in the stream of some branch; and a look at the stock."""
    (customer,) = chance.choices(list(CUSTOMERS), CUSTOMERS.values())
    item = chance.choice(list(GOODS))
    poison = sent.orders % POISON_EVERY == POISON_EVERY // 2
    fields = {
        "number": sent.orders,
        "customer": customer,
        "item": item,
        "price": GOODS[item],
        "address": "" if poison else f"{customer} Lane 3",
    }
    shop.server.xadd(f"orders:{chance.choice(BRANCHES)}", fields)
    sent.orders += 1
    sent.poison += poison
    sent.totals[customer] = sent.totals.get(customer, 0) + GOODS[item]
    sent.sold[item] += 1
    sent.in_pause += not shop.working
    if shop.has_stock:
        sent.seen += shop.server.get(f"stock:{item}") == str(STOCK - sent.sold[item])


def drain(shop, screen, sent):
    """Wait until every order has been worked on; ten seconds are plenty."""
    began = time.monotonic()
    while time.monotonic() - began < 10:
        screen.show(look(shop, SECONDS + time.monotonic() - began, sent))
        if all(expected == found for _, expected, found in numbers(shop, sent)):
            return
        time.sleep(0.1)


def look(shop, elapsed, sent):
    server = shop.server
    totals = {customer: int(server.get(f"total:{customer}") or 0) for customer in CUSTOMERS}
    last = server.xrevrange("summaries", count=1)
    return Picture(
        url=shop.url,
        seconds=SECONDS,
        elapsed=elapsed,
        orders=sent.orders,
        seen=sent.seen,
        registrations=shop.client.registrations(),
        totals=totals,
        spenders=set(server.smembers("big-spenders")),
        stock={item: int(server.get(f"stock:{item}")) for item in GOODS} if shop.has_stock else {},
        worker=shop.working,
        last_summary=f"{last[0][1]['orders']} orders, {money(last[0][1]['revenue'])}" if last else "none yet",
    )


def money(cents):
    return f"{int(cents) / 100:,.2f}"


def numbers(shop, sent):
    """(what, expected, found) of all that can be checked."""
    server = shop.server
    totals = {customer: int(server.get(f"total:{customer}") or 0) for customer in sent.totals}
    summaries = [fields for _, fields in server.xrange("summaries")]
    infos = {info.id: info for info in shop.client.registrations()}
    found = [
        ("orders in the streams", sent.orders, sum(server.xlen(f"orders:{branch}") for branch in BRANCHES)),
        ("orders counted in the totals", sent.orders, infos["totals"].records),
        ("revenue in the totals", sent.revenue, sum(totals.values())),
        ("orders in the summaries", sent.orders, sum(int(fields["orders"]) for fields in summaries)),
        ("revenue in the summaries", sent.revenue, sum(int(fields["revenue"]) for fields in summaries)),
        ("big spenders", " ".join(sorted(sent.spenders)), " ".join(sorted(server.smembers("big-spenders")))),
        ("invoices written", sent.orders - sent.poison, server.hlen("invoices")),
        ("orders without an address: failed, and passed over", sent.poison, infos["invoices"].failed),
    ]
    return found + stock_numbers(server, sent) if shop.has_stock else found


def stock_numbers(server, sent):
    left = {item: int(server.get(f"stock:{item}")) for item in GOODS}
    ledger = server.hgetall("ledger")
    return [
        ("reads right after an order that had the new stock", sent.orders, sent.seen),
        ("goods taken from the stock", sent.orders, len(GOODS) * STOCK - sum(left.values())),
        ("levels of stock in the ledger, the pause included", len(sent.levels), len(sent.levels & ledger.keys())),
        ("levels noted twice", 0, sum(count != "1" for count in ledger.values())),
    ]


def report(shop, sent):
    """Print the summary; whether everything is as it must be."""
    print(f"\n{shop.server.xlen('summaries')} summaries were written.", end=" ")
    if shop.has_stock:
        print(f"{sent.in_pause} orders arrived while no worker ran.", end=" ")
    print("Expected, and found:")
    right = True
    for what, expected, found in numbers(shop, sent):
        right = right and expected == found
        print(f"  {'ok   ' if expected == found else 'WRONG'}  {what:<52}{expected!s:>25}{found!s:>25}")
    return right


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    sys.exit(main())
