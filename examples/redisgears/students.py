# A command of one's own: how many student:* keys there are. It answers at once where the number is known, which it is
# for a minute; otherwise it counts in the background, on all shards, and only who asked waits.
#
#     redis-cli -x RG.PYEXECUTE < examples/redisgears/students.py
#     redis-cli RG.TRIGGER students
from __future__ import annotations


async def count():
    results, errors = await GB().count().run("student:*")
    if errors:
        raise RuntimeError(errors[0])
    number = results[0] if results else 0
    execute("SET", f"students:{{{hashtag()}}}", number, "EX", 60)
    return number


def students(_):
    return execute("GET", f"students:{{{hashtag()}}}") or count()


GB("CommandReader").map(students).register(trigger="students", mode="async_local")
