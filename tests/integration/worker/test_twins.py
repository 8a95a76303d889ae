"""Workers do the same with the record path in C and without it: effects, their order, statistics, errors."""

from __future__ import annotations

import pytest

from geartrain import Dialect
from geartrain.extension import SWITCH, extension
from geartrain.text import to_text
from support.waiting import wait_for
from support.working import FAST, Workplace

pytestmark = pytest.mark.timeout(120)

ALL_BYTES = bytes(range(256))


@pytest.fixture(params=["native", "python"])
def way(request):
    """With the extension, and without."""
    if request.param == "native" and extension is None:
        pytest.skip("the extension is not installed, or left out")
    return request.param


@pytest.fixture
def work(way, place, start_worker):
    """Starts a worker process of that kind, which says that it is one."""

    def start():
        source = (
            "def tell(r):\n"
            "    from geartrain.extension import extension\n"
            "    execute('rpush', 'way', 'python' if extension is None else 'native')\n"
            "GB('StreamReader').foreach(tell).register('ask')"
        )
        place.client.execute(source, session="way")
        worker = start_worker(place.url, FAST, {SWITCH: "0"} if way == "python" else {})
        place.add("ask")
        assert place.seen(1, "way") == [way]
        return worker

    return start


def add_all(place, stream, count, **more):
    """Entries with the fields `n` (0 is the first) and `word`, and others for those whose number is given."""
    texts = {int(name[1:]): fields for name, fields in more.items()}
    place.link.pipeline(
        [("XADD", stream, f"1-{n + 1}", "n", n, "word", f"w{n % 3}", *texts.get(n, ())) for n in range(count)]
    )


def counters(info):
    """Those that the twins must agree on."""
    return info.triggered, info.succeeded, info.failed, info.aborted, info.retried, info.records


def history(place, registration):
    """(outcome, records, last id) of each execution, oldest first."""
    return [(item.outcome, item.records, item.last_id) for item in reversed(place.client.show(registration).history)]


STREAMS = """
from geartrain.runtime import streamKey
def effect(r):
    fields = r.get('value', r)
    execute('rpush', f'seen:{streamKey()}', f"{r.get('id') or r['streamId']} {fields['n']} {fields['word']}")
def late(r):
    execute.later('incr', f'later:{streamKey()}')
    return r
for batch in (1, 7, 100):
    GB('StreamReader').map(late).foreach(effect).register(f's{batch}', batch=batch)
"""


@pytest.mark.parametrize("dialect", list(Dialect))
def test_streams_in_batches_of_any_size(work, place, dialect):
    """Every record once and in order, in executions of the batch's size, in both formats of records."""
    outcome = place.client.execute(STREAMS, session="test", dialect=dialect)
    work()
    for batch in (1, 7, 100):
        add_all(place, f"s{batch}", 700)
    for registration, batch in zip(outcome.registered, (1, 7, 100), strict=True):
        info = place.wait_done(registration, 700 // batch)
        assert place.link.call("LRANGE", f"seen:s{batch}", 0, -1) == [f"1-{n + 1} {n} w{n % 3}" for n in range(700)]
        assert place.link.call("GET", f"later:s{batch}") == "700"
        assert counters(info) == (700 // batch, 700 // batch, 0, 0, 0, 700)
        assert history(place, registration)[-1] == ("succeeded", batch, "1-700")


def test_a_partial_batch_after_its_duration(work, place):
    """What is left of the last batch is executed by itself."""
    source = (
        "GB('StreamReader').foreach(lambda r: execute('rpush', 'seen', r['n'])).register('s', batch=7, duration=50)"
    )
    (registration,) = place.client.execute(source, session="test").registered
    add_all(place, "s", 17)
    work()
    assert place.seen(17) == [str(n) for n in range(17)]
    info = place.wait_done(registration, 3)
    assert history(place, registration) == [("succeeded", 7, "1-7"), ("succeeded", 7, "1-14"), ("succeeded", 3, "1-17")]
    assert counters(info) == (3, 3, 0, 0, 0, 17)


FAILING = """
def step(r):
    execute('rpush', 'seen:' + r['stream'], r['n'])
    if 'bad' in r and execute('exists', 'mended') == 0:
        raise ValueError(f"record {r['n']} is bad")
    return r
for batch in (1, 5):
    for policy in ('continue', 'retry', 'abort'):
        name = f'{policy}{batch}'
        (GB('StreamReader').map(lambda r, name=name: {**r, 'stream': name}).map(step).foreach(lambda r: None)
            .register(name, batch=batch, onFailedPolicy=policy, onFailedRetryInterval=0.05, name=name))
"""


def test_a_step_that_fails_and_what_the_policies_do(work, place):
    """The same records run again, are left out, or stop it all; the error names the same step and record."""
    place.client.execute(FAILING, session="test")
    names = [f"{policy}{batch}" for batch in (1, 5) for policy in ("continue", "retry", "abort")]
    for name in names:
        add_all(place, name, 20, n7=("bad", 1))
    work()
    infos = {name: place.wait_info(name, lambda info: info.last_error) for name in names}
    for info in infos.values():
        assert info.last_error.startswith("step 2, map(step at "), info.last_error
        assert "'n': '7'" in info.last_error
        assert "ValueError: record 7 is bad" in info.last_error
    for batch in (1, 5):
        good, bad = 7 // batch, 20 // batch
        info = place.wait_done(f"continue{batch}", bad)
        assert counters(info) == (bad, bad - 1, 1, 0, 0, 20 - batch)
        until = [str(n) for n in range(8)]
        after = [str(n) for n in range((good + 1) * batch, 20)]
        assert place.link.call("LRANGE", f"seen:continue{batch}", 0, -1) == until + after
        info = place.wait_info(f"abort{batch}", lambda info: info.aborted)
        assert counters(info) == (good + 1, good, 1, 1, 0, good * batch)
        assert place.link.call("LRANGE", f"seen:abort{batch}", 0, -1) == until
    place.link.call("SET", "mended", 1)
    for batch in (1, 5):
        info = place.wait_done(f"retry{batch}", 20 // batch)
        assert (info.succeeded, info.failed, info.records) == (20 // batch, 0, 20)
        assert info.retried >= 1
        # Each try repeats the batch up to the record that fails.
        first = 7 // batch * batch
        seen = place.link.call("LRANGE", f"seen:retry{batch}", 0, -1)
        tries = [str(n) for n in range(first, 8)] * info.retried
        assert seen == [str(n) for n in range(first)] + tries + [str(n) for n in range(first, 20)]


REFUSED = """
def tail(r):
    execute('rpush', r['key'], f"{r['n']} tail")
def later(r):
    execute.later('rpush', r['key'], f"{r['n']} later")
    execute.later('rpush', 'seen:later', f"{r['n']} behind")
for function in (tail, later):
    (GB('StreamReader').map(lambda r: r).foreach(function)
        .register(function.__name__, batch=10, onFailedPolicy='continue', name=function.__name__))
"""


def test_a_refused_command_that_was_put_off_names_its_step_and_record(work, place):
    """The commands behind it are executed all the same; of two that are refused the first one is named."""
    place.client.execute(REFUSED, session="test")
    place.link.call("SET", "text", "no list")
    for stream in ("tail", "later"):
        keys = ["text" if n in (13, 16) else f"seen:{stream}" for n in range(50)]
        place.link.pipeline([("XADD", stream, f"1-{n + 1}", "n", n, "key", key) for n, key in enumerate(keys)])
    work()
    for stream in ("tail", "later"):
        info = place.wait_done(stream, 5)
        assert counters(info) == (5, 4, 1, 0, 0, 40)
        assert info.last_error.startswith(f"step 2, foreach({stream} at ")
        assert "'n': '13'" in info.last_error
        assert "RPUSH: WRONGTYPE" in info.last_error.upper().replace("WRONGTYPE OPERATION", "WRONGTYPE")
        assert [item[0] for item in history(place, stream)] == ["succeeded", "failed", *["succeeded"] * 3]
        words = ["tail"] if stream == "tail" else ["later", "behind"]
        expected = [f"{n} {word}" for n in range(50) for word in words if n not in (13, 16) or word == "behind"]
        assert place.link.call("LRANGE", f"seen:{stream}", 0, -1) == expected


def test_a_command_is_taken_by_name_too(work, place):
    """As the Python function's argument that it is; other names are refused by that function."""
    source = """
def named(r):
    execute(command='ping')
    try:
        execute('ping', other=1)
    except TypeError as error:
        execute('rpush', 'seen', str(error))
    execute(command='echo')
GB('StreamReader').foreach(lambda r: named(r)).foreach(lambda r: execute(command='ping')).register('s', name='s')
"""
    place.client.execute(source, session="test")
    place.add("s")
    work()
    assert "unexpected keyword argument 'other'" in place.seen(1)[0]
    info = place.wait_info("s", lambda info: info.last_error)
    assert "wrong number of arguments" in info.last_error


def test_data_of_any_bytes(work, place):
    """Names and values that are no UTF-8, empty ones, a field named as the id, and entries of all sizes."""
    source = """
def copy(r):
    fields = [text for name, value in r.items() if name != 'streamId' for text in (name, value)]
    types = sorted({type(text).__name__ for text in fields})
    execute('hset', 'copy:' + r['streamId'], 'types', ' '.join(types), *fields)
GB('StreamReader').foreach(copy).register('s')
"""
    (registration,) = place.client.execute(source, session="test").registered
    entries = [
        [ALL_BYTES, ALL_BYTES],
        [b"", b"", b"a", b"\xff"],
        [b"a", b"1", b"streamId", b"mine"],
        [b"a", b"1", b"a", b"2"],
        [b"large", b"x" * 1_000_000],
        [text for n in range(200) for text in (b"f%d" % n, b"\xe2\x82\xac")],
    ]
    for number, fields in enumerate(entries):
        place.add("s", *fields, entry_id=f"1-{number + 1}")
    work()
    place.wait_done(registration, len(entries))
    for number, fields in enumerate(entries):
        flat = place.link.call("HGETALL", f"copy:1-{number + 1}")
        copied = dict(zip(flat[::2], flat[1::2], strict=True))
        texts = list(map(to_text, fields))
        expected = {name: value for name, value in zip(texts[::2], texts[1::2], strict=True) if name != "streamId"}
        kinds = {type(text).__name__ for pair in expected.items() for text in pair}
        assert copied == {"types": " ".join(sorted(kinds)), **expected}


def test_events_of_keys(work, place):
    """Records are hashes there; commands that are put off follow them all the same."""
    source = """
def note(r):
    execute('rpush', 'seen', f"{r['key']} {r['event']} {r['value']['a']}")
GB('KeysReader').foreach(note).register('k:*', eventTypes=['hset'], name='keys')
"""
    place.client.execute(source, session="test")
    work()
    wait_for(lambda: place.link.call("PUBSUB", "NUMSUB", "__keyevent@0__:hset")[1] == 1)
    for number in range(50):
        place.link.call("HSET", f"k:{number}", "a", number)
    assert place.seen(50) == [f"k:{number} hset {number}" for number in range(50)]
    info = place.wait_info("keys", lambda info: info.triggered == 50)
    assert counters(info) == (50, 50, 0, 0, 0, 50)


CLUSTERED = """
from geartrain.runtime import streamKey
def effect(r):
    execute.later('rpush', f'seen:{{{streamKey()}}}', f"{r['n']} first")
    execute('rpush', r.get('key') or f'seen:{{{streamKey()}}}', f"{r['n']} second")
GB('StreamReader').foreach(effect).register('s:*', batch=10, onFailedPolicy='continue', name='all')
"""


def test_streams_over_tls(way, place, tls_port, certificate, start_worker):
    """Large replies too, which come in many pieces, and deferred commands, of which some are refused."""
    source = """
def effect(r):
    execute.later('rpush', r.get('key', 'seen'), f"{r['n']} {len(r['text'])}")
GB('StreamReader').foreach(effect).register('s', batch=10, onFailedPolicy='continue', name='all')
"""
    place.client.execute(source, session="test")
    place.link.call("SET", "text", "no list")
    text = "\N{STEAM LOCOMOTIVE}" * 5000
    more = {f"n{n}": ("text", text, *(("key", "text") if n == 33 else ())) for n in range(300)}
    add_all(place, "s", 300, **more)
    url = f"rediss://127.0.0.1:{tls_port}?ssl_ca_certs={certificate.path}"
    start_worker(url, FAST, {SWITCH: "0"} if way == "python" else {})
    info = place.wait_done("all", 30)
    assert counters(info) == (30, 29, 1, 0, 0, 290)
    assert "'n': '33'" in info.last_error
    assert place.link.call("LRANGE", "seen", 0, -1) == [f"{n} 5000" for n in range(300) if n != 33]


@pytest.mark.servers("valkey-9.1")
def test_streams_of_a_cluster(way, cluster_url, start_worker):
    """Each is read on its own shard; commands keep their order, and a refused one is named."""
    with Workplace(cluster_url) as place:
        place.client.execute(CLUSTERED, session="test")
        place.link.call("SET", "text", "no list")
        streams = [f"s:{number}" for number in range(6)]
        for stream in streams:
            add_all(place, stream, 50, **({"n13": ("key", "text")} if stream == "s:3" else {}))
        start_worker(cluster_url, FAST, {SWITCH: "0"} if way == "python" else {})
        info = place.wait_done("all", 30)
        assert counters(info) == (30, 29, 1, 0, 0, 290)
        assert "'n': '13'" in info.last_error
        assert "step 1, foreach(effect at " in info.last_error
        for stream in streams:
            expected = [f"{n} {word}" for n in range(50) for word in ("first", "second")]
            if stream == "s:3":
                expected.remove("13 second")
            assert place.link.call("LRANGE", f"seen:{{{stream}}}", 0, -1) == expected
