# Calls of redgrease, run in its own environment: `python redgrease_cases.py PORT NAME` prints what the function of that
# name returns, as JSON.
from __future__ import annotations

import json
import sys
import time

import redgrease
import redis


def plain(value):
    """What JSON can hold, of redgrease's proxies too."""
    if isinstance(value, redgrease.data.ExecutionResult):
        return plain(value.value)
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {str(plain(name)): plain(item) for name, item in value.items()}
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def text_results(r):
    r.mset({"a": 1, "b": 2})
    return sorted(r.gears.pyexecute("GB().map(lambda x: x['key']).run()"))


def text_registers(r):
    return r.gears.pyexecute("GB('StreamReader').register('s')")


def text_errors(r):
    r.mset({"a": 1, "b": 0})
    result = r.gears.pyexecute("GB().map(lambda x: 1 / int(x['value'])).run()")
    return [result.value, len(result.errors), "ZeroDivisionError" in str(result.errors[0])]


def text_raises(r):
    try:
        r.gears.pyexecute("raise ValueError('no')")
    except redis.exceptions.ResponseError as error:
        return error.args[-1]


def unblocking(r):
    execution = r.gears.pyexecute("GB('ShardsIDReader').map(lambda x: 'one').run()", unblocking=True).value
    results = r.gears.getresultsblocking(execution)
    (plan,) = r.gears.getexecution(execution).values()
    listed = [[str(item.status), item.registered] for item in r.gears.dumpexecutions() if item.executionId == execution]
    again = r.gears.getresults(execution)
    dropped = r.gears.dropexecution(execution)
    left = [item for item in r.gears.dumpexecutions() if item.executionId == execution]
    return {
        "shard": execution.shard_id,
        "results": plain(results),
        "again": plain(again),
        "plan": [str(plan.status), plan.results, [step.type for step in plan.steps][-1:]],
        "listed": listed,
        "dropped": dropped,
        "left": left,
    }


def aborted(r):
    endless = "import time\nGB('ShardsIDReader').map(lambda x: time.sleep(600)).run()"
    execution = r.gears.pyexecute(endless, unblocking=True).value
    deadline = time.monotonic() + 30
    while not [e for e in r.gears.dumpexecutions("running") if e.executionId == execution]:
        if time.monotonic() > deadline:
            raise TimeoutError([str(e) for e in r.gears.dumpexecutions()])
    answer = r.gears.abortexecution(execution)
    r.gears.getresultsblocking(execution)
    return [answer, [str(e.status) for e in r.gears.dumpexecutions() if e.executionId == execution]]


def registrations(r):
    r.gears.pyexecute("GB('StreamReader', desc='mine').register('numbers', batch=3, trimStream=False)")
    r.gears.pyexecute("GB('CommandReader').register(trigger='other')")
    (found,) = r.gears.dumpregistrations(reader="StreamReader")
    data = found.RegistrationData
    answer = {
        "desc": found.desc,
        "mode": data.mode,
        "triggered": data.numTriggered,
        "args": data.args,
        "private": sorted(found.PD),
        "unregistered": r.gears.unregister(found.id),
    }
    return answer | {"left": [item.reader for item in r.gears.dumpregistrations()]}


def configuration(r):
    config = r.gears.config
    before = config.get()
    config.MaxExecutions = 77
    config.set(mine="yes")
    after = [config.MaxExecutions, config.get_single("mine")]
    config.MaxExecutions = before["MaxExecutions"]
    return {"before": before, "after": after}


def information(r):
    return {
        "stats": r.gears.pystats().CurrAllocated > 0,
        "cluster": r.gears.infocluster(),
        "refresh": r.gears.refreshcluster(),
        "python": r.gears.python_version()[:2] == sys.version_info[:2],
        "ping": r.gears._ping(),
    }


def cluster(r):
    info = r.gears.infocluster()
    return {
        "mine": info.my_id,
        "shards": [shard.id for shard in info.shards],
        "slots": sum(shard.maxHslot - shard.minHslot + 1 for shard in info.shards),
        "identified": r.gears.pyexecute("GB('ShardsIDReader').run()"),
    }


def builder_runs(r):
    r.mset({"n:1": 1, "n:2": 2, "n:3": 3})
    total = redgrease.KeysReader("n:*").values().map(int).aggregate(0, lambda a, x: a + x, lambda a, b: a + b)
    squares = redgrease.KeysReader("n:*").values(type="string").map(lambda x: int(x) ** 2).sort(reverse=False)
    return {
        "count": redgrease.KeysReader("n:*").count().run(on=r),
        "sum": total.run(on=r),
        "squares": squares.run(on=r),
        "average": redgrease.KeysReader("n:*").values().avg().run(on=r),
        "by": redgrease.KeysOnlyReader("n:*").countby(lambda key: key[:2]).run(on=r),
        "shards": len(redgrease.ShardsIDReader().run(on=r)),
        "generated": redgrease.PythonReader().map(lambda x: x + 1).run(lambda: iter([1, 2]), on=r),
    }


def builder_requirements(r):
    redgrease.KeysReader().count().run(on=r)
    return [[item.Name, item.IsInstalled] for item in r.gears.pydumpreqs()]


def server_side_client(r):
    r.set("counter", 41)
    value = redgrease.ShardsIDReader().map(lambda _: redgrease.cmd.incr("counter")).run(on=r)
    tagged = redgrease.ShardsIDReader().map(lambda _: type(redgrease.hashtag()).__name__).run(on=r)
    runtime = redgrease.ShardsIDReader().map(lambda _: redgrease.GEARS_RUNTIME).run(on=r)
    return [value, tagged, runtime]


def builder_registers(r):
    def keep(x):
        redgrease.cmd.rpush("seen", x.value["n"])

    registered = redgrease.StreamReader().records().foreach(keep).register("input", on=r)
    for number in range(3):
        r.xadd("input", {"n": number})
    # Nothing where none has come in time: then fewer values are told.
    taken = [r.blpop("seen", 20) for _ in range(3)]
    return [registered, [item[1] for item in taken if item]]


def commands(r):
    @redgrease.command(on=r)
    def greet(name, greeting="Hello"):
        redgrease.cmd.incr("greetings")
        return f"{greeting} {name}!"

    answers = [greet("Ann"), greet("Bob", "Ciao")]
    try:
        redgrease.command(trigger="greet", on=r)(lambda name: name)
    except redgrease.exceptions.DuplicateTriggerError:
        answers.append("taken")
    kept = redgrease.command(trigger="greet", on=r, replace=False)(lambda name: name)
    answers.append(kept("Cid"))
    replaced = redgrease.command(trigger="greet", on=r, replace=True)(lambda name: name.upper())
    answers.append(replaced("Dan"))
    return [*answers, r.get("greetings")]


if __name__ == "__main__":
    client = redgrease.Redis(port=int(sys.argv[1]))
    print(json.dumps(plain(globals()[sys.argv[2]](client))))
