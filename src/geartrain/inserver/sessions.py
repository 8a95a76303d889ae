"""The code of sessions: loaded once for each version, so that its registrations share their script's globals."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field

import _geartrain
from geartrain.errors import RegistryError
from geartrain.registry import Code, Parcel, Registration, open_parcel
from geartrain.registry.hooks import digest

PATIENCE = 10
"""Loading code and `onRegistered` may take this many times `sync-timeout`; the server waits for them."""


@dataclass(frozen=True, slots=True)
class Definition:
    """A hook's definition: one registration with its session's code."""

    registration: Registration
    parcel: Parcel

    @classmethod
    def from_json(cls, text: bytes) -> Definition:
        """From what `GEARTRAIN.HOOK SET ... definition` was given.

        Raises:
            RegistryError: the code is not as it was sent.
            ValueError, TypeError, KeyError: it is no definition.
        """
        data = json.loads(text)
        blob = base64.b64decode(data["blob"], validate=True)
        if data["digest"] != digest(blob):
            raise RegistryError(f"session {data['session']!r}: its code was damaged on its way to the server's module")
        parcel = Parcel(
            session=data["session"],
            blob=blob,
            python=data["python"],
            signature=data["signature"],
            version=int(data["version"]),
            requirements=tuple(data.get("requirements", ())),
        )
        return cls(Registration.from_json(data["registration"]), parcel)


@dataclass(slots=True)
class Loaded:
    """A session's code, loaded.

    Attributes:
        parcel: what it was loaded from.
        codes: one for each registration of the session.
        registered: ids of those whose `onRegistered` was called.
    """

    parcel: Parcel
    codes: tuple[Code, ...]
    registered: set[str] = field(default_factory=set)


class Sessions:
    """The sessions whose code is loaded: the last version of each.

    A hook that goes and comes again with the same code (paused and resumed, say) finds it here.
    """

    def __init__(self) -> None:
        self._loaded: dict[tuple[int, str], Loaded] = {}

    def load(self, handle: _geartrain.Handle, db: int, parcel: Parcel) -> Loaded:
        """A session's code.

        Raises:
            RegistryError: it must not, or cannot, be loaded here.
        """
        place = (db, parcel.session)
        loaded = self._loaded.get(place)
        if loaded is None or loaded.parcel != parcel:
            loaded = Loaded(parcel, _geartrain.guarded(handle, PATIENCE, open_parcel, parcel))
            self._loaded[place] = loaded
        return loaded

    def register(self, handle: _geartrain.Handle, loaded: Loaded, registration: Registration) -> None:
        """Call `onRegistered`, once for each version of the registration in this process."""
        if registration.id in loaded.registered:
            return
        function = loaded.codes[registration.position].on_registered
        if function is not None:
            _geartrain.guarded(handle, PATIENCE, function)
        loaded.registered.add(registration.id)
