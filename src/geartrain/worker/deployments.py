"""The registrations of the registry, as far as they run in this process."""

from __future__ import annotations

import time

from geartrain.builder.requests import Mode
from geartrain.registry import Registration, Snapshot, Status
from geartrain.wire import Endpoint
from geartrain.worker.deployment import Deployment, Failed, Loader

_RETRY = 5.0
"""Seconds until code that could not be loaded for a passing reason is loaded again."""


class Deployments:
    """What is loaded, what is being loaded, and what cannot be.

    Args:
        endpoint: where the registry is.
        environment: this process's; registrations of others are not its business.

    Attributes:
        environment: as given.
        current: deployments by registration id.
        active: the registrations whose status is ACTIVE, by id: those that some worker should run. (Those of
            `mode='sync'` run in the server.)
    """

    def __init__(self, endpoint: Endpoint, environment: str = "") -> None:
        self.environment = environment
        self.current: dict[str, Deployment] = {}
        self.active: dict[str, Registration] = {}
        self._endpoint = endpoint
        self._failed: dict[str, tuple[Failed, float]] = {}
        self._trying_again: set[str] = set()
        self._loaders: list[Loader] = []
        self._loading: dict[str, int] = {}

    @property
    def loading(self) -> bool:
        """Whether some code is on its way."""
        return bool(self._loaders)

    @property
    def refused(self) -> list[str]:
        """Ids of active registrations that this process cannot run: not at all, or not before they are loaded."""
        return [item for item in self.active if item not in self.current]

    def why_not(self, registration: str) -> str | None:
        """Why a registration does not run here; None: it does, or will soon, or is unknown. From any thread."""
        failed = self._failed.get(registration)
        return None if failed is None else failed[0].message

    def follow(self, snapshot: Snapshot) -> None:
        """Take over what the registry says now; begin to load what is new."""
        self.active = {
            item: registration
            for item, registration in snapshot.registrations.items()
            if snapshot.status[item] is Status.ACTIVE
            and registration.mode is not Mode.SYNC
            and registration.environment == self.environment
        }
        for known in (self.current, self._failed, self._loading):
            for item in [item for item in known if item not in snapshot.registrations]:
                del known[item]
        for item, deployment in list(self.current.items()):
            if deployment.registration.since_ms != snapshot.registrations[item].since_ms:
                # No upgrade, but another registration of that name: the database was emptied, or it was removed in
                # between. Nothing of it runs by the code of the one before.
                del self.current[item]
        for item, (failed, _) in list(self._failed.items()):
            if failed.registration.code_version != snapshot.registrations[item].code_version:
                del self._failed[item]
        self._resume()
        self._load()

    def _resume(self) -> None:
        """What had ended, and is active with the code that is here, runs again."""
        for item, deployment in self.current.items():
            active = self.active.get(item)
            resumed = active is not None and active.code_version == deployment.registration.code_version
            if resumed and deployment.ended:
                deployment.aborted = deployment.ended = False

    def poll(self) -> list[Failed]:
        """Take over what has been loaded since the last call; what could not be."""
        failed: list[Failed] = []
        for loader in [loader for loader in self._loaders if loader.done]:
            self._loaders.remove(loader)
            for deployment in loader.ready:
                if self._wants(deployment.registration):
                    self.current[deployment.registration.id] = deployment
                    self._failed.pop(deployment.registration.id, None)
            for item in loader.failed:
                if self._wants(item.registration):
                    self._failed[item.registration.id] = (item, time.monotonic() + _RETRY)
                    self.current.pop(item.registration.id, None)
                    failed.append(item)
        now = time.monotonic()
        self._trying_again = {name for name, (item, at) in self._failed.items() if not item.final and at <= now}
        self._load()
        return failed

    def _wants(self, registration: Registration) -> bool:
        """Whether what a loader brought is what the registry still asks for."""
        name = registration.id
        if self._loading.get(name) != registration.code_version:
            return False
        del self._loading[name]
        wanted = self.active.get(name)
        return wanted is not None and wanted.code_version == registration.code_version

    def _load(self) -> None:
        by_session: dict[str, list[Registration]] = {}
        for name, registration in self.active.items():
            version = registration.code_version
            current = self.current.get(name)
            if current is not None and current.registration.code_version == version:
                continue
            may_load = name not in self._failed or name in self._trying_again
            if may_load and self._loading.get(name) != version:
                self._loading[name] = version
                by_session.setdefault(registration.session, []).append(registration)
        for registrations in by_session.values():
            loader = Loader(self._endpoint, registrations)
            self._loaders.append(loader)
            loader.start()
