"""Sessions and registrations, their code, status, statistics and history, in keys of the database."""

from __future__ import annotations

from geartrain.registry.code import Parcel, open_parcel, seal
from geartrain.registry.modules import Hook, Module, Modules
from geartrain.registry.records import Code, Delivery, Registration, Status, ids_for
from geartrain.registry.sessions import Session, Submitted, Terms
from geartrain.registry.statistics import Execution, Statistics
from geartrain.registry.store import Snapshot, Store

__all__ = [
    "Code",
    "Delivery",
    "Execution",
    "Hook",
    "Module",
    "Modules",
    "Parcel",
    "Registration",
    "Session",
    "Snapshot",
    "Statistics",
    "Status",
    "Store",
    "Submitted",
    "Terms",
    "ids_for",
    "open_parcel",
    "seal",
]
