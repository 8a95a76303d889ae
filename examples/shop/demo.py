# `make demo`: starts a real server and the shop, sends it orders for half a minute, and checks what came out.
#
# GEARTRAIN_DEMO_SECONDS=5 makes it shorter. Exit code 0: every number is right; 1: one is not.
from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import redis
from screen import make_screen

from geartrain.client import Client

SHOP = Path(__file__).with_name("shop.py")
SECONDS = float(os.environ.get("GEARTRAIN_DEMO_SECONDS", "25"))
RATE = 40  # orders per second
POISON_EVERY = 60  # orders; this one has no address
LIMIT = 100_000  # as in shop.py

BRANCHES = ("north", "south", "web")
CUSTOMERS = {"ann": 6, "ben": 3, "cleo": 3, "dora": 2, "emil": 1}  # how much each likes to buy
GOODS = {"tea": 490, "cake": 1250, "teapot": 3900, "chair": 8900}


@dataclass
class Sent:
    """What the demo has put into the streams, and so what must come out."""

    orders: int = 0
    poison: int = 0
    totals: dict[str, int] = field(default_factory=dict)

    @property
    def revenue(self):
        return sum(self.totals.values())

    @property
    def spenders(self):
        return {customer for customer, cents in self.totals.items() if cents > LIMIT}


@dataclass
class Picture:
    """What is shown."""

    url: str
    seconds: float
    elapsed: float
    orders: int
    registrations: list
    totals: dict[str, int]
    spenders: set[str]
    last_summary: str


def main():
    port = free_port()
    url = f"redis://127.0.0.1:{port}"
    print(f"$ geartrain run {SHOP.relative_to(Path.cwd()) if SHOP.is_relative_to(Path.cwd()) else SHOP} --port {port}")
    command = [sys.executable, "-m", "geartrain", "run", str(SHOP), "--port", str(port)]
    with Shop(command) as shop, redis.Redis(port=port, decode_responses=True) as server, Client(url) as client:
        shop.wait_ready()
        with make_screen() as screen:
            shop.on_line = screen.line
            sent = feed(server, client, screen, url)
            drain(server, client, screen, url, sent)
        right = report(server, client, sent)
        code = shop.stop()
    print(f"geartrain run ended with exit code {code}")
    return 0 if right and code == 0 else 1


class Shop:
    """`geartrain run`, and what it prints."""

    def __init__(self, command):
        self.on_line = print
        self._ready = threading.Event()
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        with self._process.stdout as output:
            for line in output:
                self.on_line(line.rstrip("\n"))
                if line == "ready\n":
                    self._ready.set()

    def wait_ready(self):
        while not self._ready.wait(0.1):
            if self._process.poll() is not None:
                raise SystemExit("geartrain run ended early")

    def stop(self):
        """As Ctrl-C does; the exit code."""
        self.on_line = print
        self._process.send_signal(signal.SIGTERM)
        code = self._process.wait(20)
        self._reader.join()
        return code

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self._process.poll() is None:
            self._process.terminate()
            self._process.wait(20)


def feed(server, client, screen, url):
    """Send orders at the rate, and show what they cause."""
    chance = random.Random(7)
    sent = Sent()
    began = time.monotonic()
    while (elapsed := time.monotonic() - began) < SECONDS:
        while sent.orders < elapsed * RATE:
            order(server, chance, sent)
        screen.show(look(server, client, url, elapsed, sent))
        time.sleep(0.1)
    return sent


def order(server, chance, sent):
    """One order, in the stream of some branch."""
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
    server.xadd(f"orders:{chance.choice(BRANCHES)}", fields)
    sent.orders += 1
    sent.poison += poison
    sent.totals[customer] = sent.totals.get(customer, 0) + GOODS[item]


def drain(server, client, screen, url, sent):
    """Wait until every order has been worked on; ten seconds are plenty."""
    began = time.monotonic()
    while time.monotonic() - began < 10:
        screen.show(look(server, client, url, SECONDS + time.monotonic() - began, sent))
        if all(expected == found for _, expected, found in numbers(server, client, sent)):
            return
        time.sleep(0.1)


def look(server, client, url, elapsed, sent):
    totals = {customer: int(server.get(f"total:{customer}") or 0) for customer in CUSTOMERS}
    spenders = set(server.smembers("big-spenders"))
    last = server.xrevrange("summaries", count=1)
    summary = f"{last[0][1]['orders']} orders, {int(last[0][1]['revenue']) / 100:,.2f}" if last else "none yet"
    return Picture(url, SECONDS, elapsed, sent.orders, client.registrations(), totals, spenders, summary)


def numbers(server, client, sent):
    """(what, expected, found) of all that can be checked."""
    totals = {customer: int(server.get(f"total:{customer}") or 0) for customer in sent.totals}
    summaries = [fields for _, fields in server.xrange("summaries")]
    infos = {info.id: info for info in client.registrations()}
    return [
        ("orders in the streams", sent.orders, sum(server.xlen(f"orders:{branch}") for branch in BRANCHES)),
        ("orders counted in the totals", sent.orders, infos["totals"].records),
        ("revenue in the totals", sent.revenue, sum(totals.values())),
        ("orders in the summaries", sent.orders, sum(int(fields["orders"]) for fields in summaries)),
        ("revenue in the summaries", sent.revenue, sum(int(fields["revenue"]) for fields in summaries)),
        ("big spenders", " ".join(sorted(sent.spenders)), " ".join(sorted(server.smembers("big-spenders")))),
        ("invoices written", sent.orders - sent.poison, server.hlen("invoices")),
        ("orders without an address: failed, and passed over", sent.poison, infos["invoices"].failed),
    ]


def report(server, client, sent):
    """Print the summary; whether everything is as it must be."""
    print(f"\n{server.xlen('summaries')} summaries were written. Expected, and found:")
    right = True
    for what, expected, found in numbers(server, client, sent):
        right = right and expected == found
        print(f"  {'ok   ' if expected == found else 'WRONG'}  {what:<52}{expected!s:>25}{found!s:>25}")
    return right


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


if __name__ == "__main__":
    sys.exit(main())
