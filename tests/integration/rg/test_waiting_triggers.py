"""Functions that clients call, and that wait for each other: futures in triggers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from geartrain import Client, Dialect
from geartrain.wire import Endpoint, Link
from support.waiting import wait_for

# Three threads serve triggers; the script is what RedisGears' users write, globals and all.
SCRIPT = """
publishers = []

async def publish(record):
    future = createFuture()
    publishers.append((future, record[1]))
    return await future

def consume(record):
    future, message = publishers.pop(0)
    setFutureResults(future, 'taken')
    return message

def refuse(record):
    future = gearsFuture()
    future.continueFailed('timeout')
    return future

async def count(record):
    results, errors = await GB().count().run(prefix='k:*')
    return results[0]

GB('CommandReader').map(publish).register(trigger='publish')
GB('CommandReader').map(consume).register(trigger='consume')
GB('CommandReader').map(refuse).register(trigger='refuse')
GB('CommandReader').map(lambda record: len(publishers)).register(trigger='waiting')
GB('CommandReader').map(count).register(trigger='count', mode='async_local')
"""


def test_any_number_of_callers_can_wait(captured):
    """Each thread that waits lends its place, so the one who lets them go on is captured."""
    with Client(captured.url) as client:
        client.execute(SCRIPT, session="market", dialect=Dialect.REDISGEARS_1_2)
    captured.start()

    def trigger(*words):
        with Link(Endpoint(captured.url)) as link:
            return link.call("RG.TRIGGER", *words)

    with ThreadPoolExecutor(8) as callers:
        replies = [callers.submit(trigger, "publish", f"message {number}") for number in range(7)]
        wait_for(lambda: trigger("waiting") == ["7"], timeout=30)
        taken = {trigger("consume")[0] for _ in range(7)}
        assert taken == {f"message {number}" for number in range(7)}
        assert [reply.result(30) for reply in replies] == [["taken"]] * 7


def test_a_trigger_awaits_a_run_and_tells_the_callers_error(captured):
    """`await GB().count().run(...)`; a future that fails with a text gives just that text."""
    with Client(captured.url) as client:
        client.execute(SCRIPT, session="market", dialect=Dialect.REDISGEARS_1_2)
    captured.start()
    captured.link.pipeline([("SET", f"k:{number}", 1) for number in range(3)])
    assert captured.link.call("RG.TRIGGER", "count") == ["3"]
    (reply,) = captured.link.pipeline([("RG.TRIGGER", "refuse")])
    assert "timeout" in reply.text
