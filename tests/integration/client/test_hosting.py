"""Where scripts and functions run, packages find `redisgears` and names in `__main__`, as they did in RedisGears."""

from __future__ import annotations

import sys

from support.waiting import wait_for

IMPORTS = """
def found():
    from redisgears import atomicCtx, executeCommand, getMyHashTag, log
    from __main__ import GB, GearsBuilder, configGet, gearsConfigGet
    executeCommand("SET", "tag", getMyHashTag())
    return [str(GB is GearsBuilder)]
"""


def test_a_script_imports_redisgears(client, link):
    """While it runs; afterwards this process is as it was, so that redgrease does not take it for a server."""
    before = dict(vars(sys.modules["__main__"]))
    client.execute(f"{IMPORTS}\nexecute('RPUSH', 'found', *found())")
    assert link.call("LRANGE", "found", 0, -1) == ["True"]
    assert link.call("EXISTS", "tag") == 1
    assert "redisgears" not in sys.modules
    assert vars(sys.modules["__main__"]) == before


def test_a_function_in_a_worker_imports_redisgears(client, link, valkey, start_worker):
    """In every execution."""
    client.execute(
        f"{IMPORTS}\nGB('StreamReader').foreach(lambda x: execute('RPUSH', 'found', *found())).register('s')"
    )
    start_worker(valkey.url)
    link.call("XADD", "s", "*", "a", 1)
    assert wait_for(lambda: link.call("LRANGE", "found", 0, -1)) == ["True"]
