"""Fixtures for all tests: real servers, the command line, reproducible chance.

    server          every flavour in turn (`@pytest.mark.servers("valkey-9.1", ...)` narrows it); it is empty
    flavour         the name of `server`'s flavour; a test that asks for it alone runs once for each
    url, link       the address of `server`, and a connection to it
    valkey          Valkey 9.1 only, empty: for what does not depend on the server
    fresh_server    makes servers that the test may kill and restart
    module_server   a server of the test's own with the server module, of each flavour that can load it
    module_flavour  the name of `module_server`'s flavour; narrowed as `flavour` is
    cluster         three primaries, of each flavour of CLUSTER_FLAVOURS in turn, narrowed as `server` is; it is empty
    cluster_flavour the name of `cluster`'s flavour; a test that asks for it alone runs once for each
    cluster_url     the address of `cluster`: all its nodes
    make_cluster    makes clusters that the test may kill nodes of, and move slots in
    start_worker    starts worker processes
    cli             starts `geartrain ...` processes
    seed            a random.Random that a failed run can be repeated with

`server`, `valkey` and `cluster` are shared, one after the other, by all tests: nobody stops them.
"""

from __future__ import annotations

import os
import random
import signal
from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

import hypothesis
import pytest

from geartrain.server import EmbeddedCluster, EmbeddedServer
from geartrain.wire import Endpoint, Link
from support.clusters import CLUSTER_FLAVOURS, ClusterPool
from support.processes import GEARTRAIN, CapturedProcess
from support.sanitizers import check_reports, sanitized
from support.servers import FLAVOURS, MODULE_FLAVOURS, VALKEY, ServerPool, require_module, required, stable_port
from support.workers import HASTY, WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping
    from pathlib import Path

    from geartrain.config import WorkerSettings

SEED_VARIABLE = "GEARTRAIN_TEST_SEED"

# A deadline for one example would measure the machine's load; pytest-timeout bounds the whole test.
# So does the check that says how fast examples are made. Few examples, as each run has others, by a seed of its own.
hypothesis.settings.register_profile(
    "geartrain",
    deadline=None,
    print_blob=True,
    max_examples=50,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
# For processes that are slower than others by much: under sanitizers.
hypothesis.settings.register_profile("quick", hypothesis.settings.get_profile("geartrain"), max_examples=20)
hypothesis.settings.load_profile("geartrain")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """One seed for the whole run, Hypothesis included; SIGINT as in a terminal."""
    # A shell's background jobs ignore SIGINT, and so would the processes that tests start and interrupt.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    run_seed = int(os.environ.get(SEED_VARIABLE) or random.SystemRandom().randrange(2**32))
    config.stash[_RUN_SEED] = run_seed
    if config.getoption("hypothesis_seed", None) is None:
        config.option.hypothesis_seed = str(run_seed)


_RUN_SEED = pytest.StashKey[int]()


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable() -> Generator[None, object, object]:
    """Let a report reach the process that collects them: it takes UTF-8 only, and our tests' data are any bytes."""
    return _utf8((yield))


def _utf8(data: object) -> object:
    """The same data; what is no UTF-8 in its strings is shown escaped."""
    match data:
        case str():
            return data.encode("utf-8", "backslashreplace").decode()
        case dict():
            return {_utf8(key): _utf8(value) for key, value in data.items()}
        case list():
            return [_utf8(item) for item in data]
        case tuple():
            return tuple(_utf8(item) for item in data)
        case _:
            return data


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how to repeat this run's chance."""
    terminalreporter.write_line(f"{SEED_VARIABLE}={config.stash[_RUN_SEED]}")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that uses `flavour` or `server` once for each flavour that it is meant for."""
    marker = metafunc.definition.get_closest_marker("servers")
    for fixture, flavours in (
        ("flavour", FLAVOURS),
        ("module_flavour", MODULE_FLAVOURS),
        ("cluster_flavour", CLUSTER_FLAVOURS),
    ):
        if fixture in metafunc.fixturenames:
            metafunc.parametrize(fixture, marker.args if marker else flavours)


@pytest.fixture(scope="session")
def server_pool() -> Iterator[ServerPool]:
    """The servers that tests share."""
    pool = ServerPool()
    yield pool
    pool.stop()


@pytest.fixture
def server(flavour: str, server_pool: ServerPool) -> EmbeddedServer:
    """An empty server of each flavour in turn."""
    return server_pool.take(flavour)


@pytest.fixture
def valkey(server_pool: ServerPool) -> EmbeddedServer:
    """An empty Valkey 9.1."""
    return server_pool.take(VALKEY)


@pytest.fixture
def url(server: EmbeddedServer) -> str:
    """The address of `server`."""
    return server.url


@pytest.fixture
def link(server: EmbeddedServer) -> Iterator[Link]:
    """A connection to `server`."""
    with Link(Endpoint(server.url)) as link:
        yield link


class MakeServer(Protocol):
    """What the fixture `fresh_server` is."""

    def __call__(
        self,
        flavour: str = VALKEY,
        *,
        aof: str | None = None,
        options: Mapping[str, str] | None = None,
        module: Mapping[str, object] | None = None,
        directory: Path | None = None,
    ) -> EmbeddedServer:
        """Start a server of this test's own.

        Args:
            flavour: one of support.servers.FLAVOURS.
            aof: `always` or `everysec`: its data survive `kill` and `restart`; None: they are temporary.
            options: further settings.
            module: loads the server module with these options (`{}`: none); None: without it.
            directory: that of a server before it, whose data it takes over; with `aof`. None: a new one.
        """


@pytest.fixture
def fresh_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeServer]:
    """Makes servers that this test may kill and restart; they are stopped after it."""
    with ExitStack() as stack:

        def make(
            flavour: str = VALKEY,
            *,
            aof: str | None = None,
            options: Mapping[str, str] | None = None,
            module: Mapping[str, object] | None = None,
            directory: Path | None = None,
        ) -> EmbeddedServer:
            binary = required(flavour)
            if module is not None:
                require_module()
            server = EmbeddedServer.start(
                port=stable_port(),
                binary=sanitized(binary, tmp_path_factory.mktemp("binary")),
                directory=directory or (tmp_path_factory.mktemp("server") if aof else None),
                options={**({"appendfsync": aof} if aof else {}), **(options or {})},
                module=module is not None,
                module_options=module or {},
            )
            return stack.enter_context(server)

        yield make
    check_reports()


@pytest.fixture
def module_server(module_flavour: str, fresh_server: MakeServer) -> EmbeddedServer:
    """An empty server of this test's own with the server module, of each flavour in turn that can load it."""
    return fresh_server(module_flavour, module={})


@pytest.fixture(scope="session")
def cluster_pool() -> Iterator[ClusterPool]:
    """The clusters that tests share."""
    pool = ClusterPool()
    yield pool
    pool.stop()


@pytest.fixture
def cluster(cluster_flavour: str, cluster_pool: ClusterPool) -> EmbeddedCluster:
    """An empty cluster of three primaries, of each flavour in turn. Its nodes and slots stay as they are."""
    return cluster_pool.take(cluster_flavour)


@pytest.fixture
def cluster_url(cluster: EmbeddedCluster) -> str:
    """The address of `cluster`."""
    return cluster.url


class MakeCluster(Protocol):
    """What the fixture `make_cluster` is."""

    def __call__(
        self,
        flavour: str = VALKEY,
        *,
        shards: int = 3,
        replicas: int = 0,
        aof: str | None = None,
        options: Mapping[str, str] | None = None,
        module: Mapping[str, object] | None = None,
        directory: Path | None = None,
    ) -> EmbeddedCluster:
        """Start a cluster of this test's own; the arguments are those of `fresh_server`, and its size."""


@pytest.fixture
def make_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MakeCluster]:
    """Makes clusters that this test may kill nodes of, and move slots in; they are stopped after it."""
    with ExitStack() as stack:

        def make(
            flavour: str = VALKEY,
            *,
            shards: int = 3,
            replicas: int = 0,
            aof: str | None = None,
            options: Mapping[str, str] | None = None,
            module: Mapping[str, object] | None = None,
            directory: Path | None = None,
        ) -> EmbeddedCluster:
            binary = required(flavour)
            if module is not None:
                require_module()
            cluster = EmbeddedCluster.start(
                shards=shards,
                replicas=replicas,
                binary=sanitized(binary, tmp_path_factory.mktemp("binary")),
                directory=directory or (tmp_path_factory.mktemp("cluster") if aof else None),
                options={**({"appendfsync": aof} if aof else {}), **(options or {})},
                module=module is not None,
                module_options=module or {},
            )
            return stack.enter_context(cluster)

        yield make
    check_reports()


class StartCli(Protocol):
    """What the fixture `cli` is."""

    def __call__(
        self, *arguments: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> CapturedProcess:
        """Start `geartrain ARGUMENTS` and return while it runs."""


@pytest.fixture
def cli() -> Iterator[StartCli]:
    """Starts `geartrain` processes; those that still run after the test are killed."""
    with ExitStack() as stack:

        def start(
            *arguments: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
        ) -> CapturedProcess:
            process = CapturedProcess(GEARTRAIN, *arguments, env=env, cwd=cwd)
            stack.callback(process.kill)
            return process

        yield start


@pytest.fixture
def seed(request: pytest.FixtureRequest) -> random.Random:
    """Chance that can be repeated: of its own for each test, from the run's seed, which is printed."""
    run_seed = request.config.stash[_RUN_SEED]
    print(f"{SEED_VARIABLE}={run_seed}")
    return random.Random(f"{run_seed} {request.node.nodeid}")


class StartWorker(Protocol):
    """What the fixture `start_worker` is."""

    def __call__(
        self, url: str, settings: WorkerSettings = HASTY, env: Mapping[str, str] | None = None
    ) -> WorkerProcess:
        """Start a worker process and return while it runs."""


@pytest.fixture
def start_worker() -> Iterator[StartWorker]:
    """Starts worker processes; those that still run after the test are killed, and what they said is printed."""
    with ExitStack() as stack:

        def start(url: str, settings: WorkerSettings = HASTY, env: Mapping[str, str] | None = None) -> WorkerProcess:
            process = WorkerProcess(url, settings, env)
            stack.callback(_show, process)
            stack.callback(process.kill)
            return process

        yield start


def _show(process: WorkerProcess) -> None:
    if process.stdout or process.stderr:
        print(process)
