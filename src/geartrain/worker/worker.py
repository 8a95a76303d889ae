"""The worker: one process's share of all registrations. This is where everything is joined.

    main thread      looks at the registry and the server module, beats, takes and gives up leases, writes statistics
    read threads     entries -> buffers of partitions; one for each shard                   (readings, reading)
    exec threads     buffer -> batch -> pipeline -> effects                                 (pool, partition)
    commit thread    finished batches -> offsets                                            (committer)
    discover thread  patterns -> streams                                                    (discovery)
    events thread    keyspace notifications -> buffers                                      (keyevents)
    tasks thread     jobs of run(), in a cluster                                            (tasks)
    environment-...  requirements -> an environment, and a worker process for it            (environments)
    loader threads   code -> deployments, one for each session that changed                 (deployment)

Each thread has a connection of its own. The main thread is the only one that adds and removes partitions; other threads
tell it what happened through `News`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable
from itertools import groupby

from geartrain.builder.requests import Reader
from geartrain.config import WorkerSettings
from geartrain.errors import CommandError, GeartrainError, ServerUnavailable
from geartrain.readers.entries import fields_of, id_parts
from geartrain.registry import Registration, Store
from geartrain.runtime import Context, current, install
from geartrain.text import shown, to_bytes
from geartrain.wire import Access, Endpoint, access, topology_of
from geartrain.worker.assignment import share
from geartrain.worker.batches import Hooks
from geartrain.worker.capture import Capture
from geartrain.worker.committer import Committer
from geartrain.worker.deployments import Deployments
from geartrain.worker.discovery import Discovery
from geartrain.worker.environments import Environments
from geartrain.worker.failures import FailureLog
from geartrain.worker.follower import Follower
from geartrain.worker.gears import Gears
from geartrain.worker.keyevents import KeyEvents
from geartrain.worker.leases import KEY_EVENTS, Leases, Renewal
from geartrain.worker.membership import Member, Membership, view
from geartrain.worker.news import Change, News
from geartrain.worker.ownership import Ownership
from geartrain.worker.partition import Partition
from geartrain.worker.policy import backoff
from geartrain.worker.pool import Pool
from geartrain.worker.readings import Readings
from geartrain.worker.replication import Replication
from geartrain.worker.reports import Reports
from geartrain.worker.shards import Shards
from geartrain.worker.tasks import Tasks

logger = logging.getLogger("geartrain.worker")

_MEMBER_TTL = 0.6
"""An entry in the list of workers counts this part of the lease time: a dead worker's share is assigned to others by
the time that its leases expire."""

_PATIENCE = 0.5
"""Seconds that a stop waits for running executions before it looks after the leases again."""

_EARLY = 0.9
"""A look at the registry that would be due within the rest of this part of the interval is made at once."""

_REPORT_PATIENCE = 1.0
"""Seconds that whoever wants the statistics now waits for them."""

_BUSY_PAUSE = 0.02
"""Seconds between two looks while code is being loaded or partitions are on their way out."""


class Worker:
    """One worker process's work.

    Args:
        endpoint: the server.
        settings: tunables.
        worker_id: unique among all workers, ever; None: one is made up.
        on_ready: called once, when every registration that was there at the start is live here as far as it is ours.
        environment: of this process's interpreter (`geartrain.environments`); '': sessions without requirements are its
            business, and it starts workers for the others.

    Attributes:
        id: as given, or made up.
        environment: as given.
    """

    _report_asked: threading.Event | None = None

    def __init__(
        self,
        endpoint: Endpoint,
        settings: WorkerSettings | None = None,
        worker_id: str | None = None,
        on_ready: Callable[[], None] | None = None,
        environment: str = "",
    ) -> None:
        self.id = worker_id or f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
        self._settings = settings = settings or WorkerSettings()
        self._endpoint, self._on_ready, self.environment = endpoint, on_ready, environment
        self._stopping, self._wake = threading.Event(), threading.Event()
        self._news = news = News(self._wake.set)
        self._link = self._connection("main")
        self._store = Store(self._link)
        self._membership = Membership(self._link, self.id, settings.lease_ttl * _MEMBER_TTL, environment)
        self._environments = Environments(endpoint, settings, environment, self._wake.set)
        self._reports = Reports(self._link, self.id, settings.history)
        self._pool = Pool(endpoint, settings.threads, time.monotonic)
        topology = topology_of(endpoint)
        self._shards = Shards(topology, settings.local)
        self._reading = Readings(endpoint, topology, self.id, settings, news.trouble, self._topology_doubtful)
        replication = Replication(settings.wait_replicas, settings.wait_timeout)
        self._committer = Committer(
            self._connection("commit"), self.id, settings.commit_interval, news.lost, news.gone, replication
        )
        self._discovery = Discovery(self._connection("discover"), settings.scan_interval, self._found)
        self._events = KeyEvents(self._connection("events"), news.trouble)
        self._tasks, self._deployments = Tasks(endpoint, self.id, environment), Deployments(endpoint, environment)
        self._capture = Capture(self._store, self._reports.trouble)
        self._failures = FailureLog(time.monotonic)
        self._gears = Gears(endpoint, self.id, self._deployments, self._look_again, self._report_now, settings.history)
        hooks = Hooks(
            self._committer.progressed, self._drained, news.aborted, self._failed, replication, self._gears.recorder
        )
        self._ownership = Ownership(settings, Leases(self._link, self.id, settings.lease_ttl), self._pool, hooks)
        self._follower = Follower(
            self._store,
            self._deployments,
            self._discovery,
            self._capture,
            self._environments,
            self._gears,
            self._ownership,
        )
        self._members: dict[str, Member] = {}
        self._beaten, self._reassign = 0.0, False
        self._assigned = self._away = False

    def _connection(self, purpose: str) -> Access:
        # A silent network is noticed within the lease time.
        timeout = max(1.0, self._settings.lease_ttl / 3)
        if self._settings.wait_replicas:
            timeout += self._settings.wait_timeout
        return access(self._endpoint, f"geartrain:{purpose}:{self.id}", timeout)

    # -- life ----------------------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Work until `stop` is called; then let running executions finish, commit, and give everything up.

        Returns:
            How many executions still run because they did not end within the stop deadline. Their leases are kept, so
            that nobody else executes their batches until they have expired: this process should end before.
        """
        install(self._endpoint)
        for part in (self._pool, self._committer, self._discovery, self._tasks):
            part.start()
        failures = 0
        while not self._stopping.is_set():
            try:
                self._tick()
                failures = 0
                wait = self._pause()
            except ServerUnavailable as error:
                failures += 1
                wait = backoff(failures)
                if self._shards.clustered:
                    # Other shards may be there, and leases on them to be kept.
                    wait = min(wait, self._settings.lease_ttl / 4)
                self._capture.soon()
                self._keep_leases()
                logger.warning("the server is away, next try in %.1f s: %s", wait, error)
            except GeartrainError as error:
                failures += 1
                wait = backoff(failures)
                logger.error("the server refuses what a worker needs, next try in %.1f s: %s", wait, error)  # noqa: TRY400
            self._wake.wait(wait)
            self._wake.clear()
        return self._finish()

    def _keep_leases(self) -> None:
        """What is needed may be away (the shard with the registry), and the shards with streams may not."""
        with contextlib.suppress(GeartrainError):
            self._check_renewals(self._ownership.renew())

    def stop(self) -> None:
        """Make `run` return soon; may be called more than once, from any thread.

        Not from a signal handler: it could interrupt this thread within the lock that it needs. Let a thread call it.
        """
        self._stopping.set()
        self._wake.set()

    def _report_now(self) -> None:
        """Have the main thread write the statistics, and wait for it, but not for long; from another thread."""
        asked = self._report_asked = self._report_asked or threading.Event()
        self._wake.set()
        asked.wait(_REPORT_PATIENCE)

    def _pause(self) -> float:
        busy = self._ownership.closing or self._deployments.loading
        return _BUSY_PAUSE if busy else self._settings.poll_interval

    def _tick(self) -> None:
        """One look at everything; each part does something only when it is time."""
        self._take_news()
        self._look_at_shards()
        self._beat()
        self._take_loaded()
        if self._capture.look():
            self._reassign = True
        if self._reassign:
            self._assign()
        opened, troubles = self._ownership.acquire()
        for registration, group in groupby(troubles, lambda trouble: trouble[0][0]):
            # One of them: of a thousand streams the others may well have the same.
            (((_, stream), reason), *others) = group
            more = f" (and {len(others)} more of its streams)" if others else ""
            self._reports.trouble(registration, f"{shown(stream)}: {reason}{more}")
        closed = self._ownership.release_closed()
        self._check_renewals(self._ownership.renew())
        if opened or closed:
            self._partitions_changed()
        partitions = self._note_finished()
        asked, self._report_asked = self._report_asked, None
        now = bool(closed) or asked is not None
        self._reports.write([*partitions, *closed, *self._gears.counted()], now=now)
        if asked is not None:
            asked.set()
        self._follower.clear_away()
        if self._on_ready is not None and self._ready():
            self._on_ready()
            self._on_ready = None

    def _note_finished(self) -> list[Partition]:
        """Have what is done noted where the batch after it takes long; all partitions that are open or closing."""
        partitions = self._ownership.everything()
        for partition in partitions:
            partition.note_finished()
        return partitions

    def _ready(self) -> bool:
        if self._deployments.loading or not self._environments.settled:
            return False
        return self._assigned and self._ownership.settled and self._events.ready

    def _finish(self) -> int:
        """A clean end: nothing new, running executions finish, commits, leases, and this worker's name; as `run`."""
        deadline = time.monotonic() + self._settings.stop_deadline
        self._environments.stop()
        self._discovery.stop()
        self._events.stop()
        self._reading.stop(deadline, self._link)
        for key in list(self._ownership.open):
            self._ownership.close(key)
        while not self._pool.stop(min(deadline, time.monotonic() + _PATIENCE)) and time.monotonic() < deadline:
            self._note_finished()
            self._quietly(self._ownership.renew)
        running = sum(item.running for item in self._ownership.everything()) + (not self._tasks.stop(deadline))
        running += self._gears.stop(deadline)
        if running:
            text = "%d executions still run after %g s; their batches will run again when their leases have expired"
            logger.warning(text, running, self._settings.stop_deadline)
        self._committer.stop(max(deadline, time.monotonic() + 1))
        self._environments.wait(max(deadline, time.monotonic() + 1) + 1)
        self._quietly(lambda: self._reports.write([*self._ownership.everything(), *self._gears.counted()], now=True))
        self._quietly(self._ownership.release_all)
        self._quietly(self._follower.clear_all_away)
        self._quietly(self._membership.leave)
        self._link.close()
        return running

    def _quietly(self, action: Callable[[], object]) -> None:
        """Do it, if the server is still there: what is not given up to it expires."""
        if self._away:
            return
        try:
            action()
        except ServerUnavailable as error:
            self._away = True
            logger.warning("while stopping: %s", error)
        except GeartrainError as error:
            logger.warning("while stopping: %s", error)

    # -- the registry and the other workers ----------------------------------------------------------------------------

    def _beat(self) -> None:
        now = time.monotonic()
        if now < self._beaten + self._settings.poll_interval * _EARLY:
            return
        if self._follower.version < 0:
            # Before the others count on this worker they have to know what it has not loaded yet.
            self._follow()
        members, version = self._membership.beat(self._deployments.refused, self._shards.local)
        self._beaten = now
        if view(members) != view(self._members):
            self._members = members
            self._reassign = True
        if version != self._follower.version:
            self._follow()

    def _follow(self) -> None:
        self._follower.follow()
        self._reassign = True

    def _look_again(self) -> None:
        """Look at the registry soon; from any thread."""
        self._beaten = -self._settings.poll_interval
        self._wake.set()

    def _take_loaded(self) -> None:
        before = set(map(id, self._deployments.current.values()))
        failures = self._deployments.poll()
        for failed in failures:
            self._reports.trouble(failed.registration.id, failed.message, failed.trace)
        if failures or set(map(id, self._deployments.current.values())) != before:
            self._gears.loaded()
        if set(map(id, self._deployments.current.values())) != before:
            # The others have to know what runs here, and so has `_assign`.
            self._beaten = -self._settings.poll_interval
            self._beat()
            self._reassign = True

    def _assign(self) -> None:
        """Work out which partitions are ours."""
        # First, not last: what the discover thread finds meanwhile asks for it again.
        self._reassign = False
        active = self._deployments.active
        streams = {name: self._streams(registration) for name, registration in active.items()}
        owned, unowned = share(active, streams, self._members.values(), self.id, self._shards.primary_of)
        current = self._deployments.current
        mine = {key: current[key[0]] for key in owned if key[0] in current}
        self._ownership.want(mine, unowned)
        self._partitions_changed()
        self._assigned = None not in streams.values()

    def _streams(self, registration: Registration) -> Iterable[bytes] | None:
        if registration.reader is Reader.KEYS:
            return self._capture.streams(registration)
        if registration.reader in {Reader.COMMAND, Reader.TIME}:
            return ()
        return self._discovery.streams(to_bytes(registration.pattern))

    def _partitions_changed(self) -> None:
        streams: list[Partition] = []
        events: list[Partition] = []
        for key, partition in self._ownership.open.items():
            (events if key[1] == KEY_EVENTS else streams).append(partition)
        self._reading.set_partitions(streams, self._link)
        listening = [item for item in self._deployments.active.values() if item.reader is Reader.KEYS]
        self._events.set_partitions(events, listening)

    def _look_at_shards(self) -> None:
        if self._shards.look():
            if any(member.local for member in self._members.values()):
                self._beaten = -self._settings.poll_interval
                self._reassign = True
            self._capture.soon()
            self._discovery.soon()
            self._gears.look_at_shards()
            self._partitions_changed()

    def _topology_doubtful(self) -> None:
        topology_of(self._endpoint).suspect()
        self._wake.set()

    # -- news of partitions --------------------------------------------------------------------------------------------

    def _drained(self, partition: Partition) -> None:
        context = current()
        if partition.key[1] != KEY_EVENTS and isinstance(context, Context):
            self._reading.wake(context.link)

    def _found(self) -> None:
        self._reassign = True
        self._wake.set()

    def _failed(self, partition: Partition, outcome: str, message: str, trace: str) -> None:
        self._failures.failed(partition.key[0], shown(partition.name or "key events"), outcome, message, trace)

    def _take_news(self) -> None:
        for registration, reason in self._news.troubles():
            self._reports.trouble(registration, reason)
        for failure in self._environments.failures():
            for name in self._environments.concerned(failure.environment):
                self._reports.trouble(name, failure.message, failure.output)
        self._news.each(self._changed)

    def _changed(self, change: Change, partition: Partition) -> None:
        if change is Change.LOST:
            # Perhaps because the registration was removed: look at the registry before taking it again.
            self._beaten = -self._settings.poll_interval
            self._ownership.drop(partition)
        elif change is Change.GONE:
            self._ownership.close(partition.key)
        else:
            self._follower.end(partition)
            self._reassign = True

    def _check_renewals(self, renewals: list[tuple[Partition, Renewal]]) -> None:
        for partition, renewal in renewals:
            if renewal is Renewal.LOST:
                self._news.lost(partition)
            elif renewal is Renewal.NO_GROUP and not self._made_again(partition):
                self._committer.progressed(partition)
            elif renewal is Renewal.NO_GROUP or partition.done[0] != "0-0":
                # The stream was deleted, or made again with lower ids: begin anew with what is there.
                self._ownership.close(partition.key)

    def _made_again(self, partition: Partition) -> bool:
        """Whether the stream is another than the one that was read: its last id is before what we have done."""
        try:
            flat = self._link.call("XINFO", "STREAM", partition.key[1])
        except CommandError:
            return True
        last = fields_of(flat)["last-generated-id"]
        return id_parts(last) < id_parts(partition.done[0])
