"""Submit scripts, and look after registrations: what the command line and programs call."""

from __future__ import annotations

from geartrain.client.client import Client, session_name
from geartrain.client.info import Partition, RegistrationDetails, RegistrationInfo
from geartrain.client.lags import ShardLag
from geartrain.client.needs import Needs, needs_of
from geartrain.client.outcome import Outcome, RunResult
from geartrain.client.submitting import SessionTerms

__all__ = [
    "Client",
    "Needs",
    "Outcome",
    "Partition",
    "RegistrationDetails",
    "RegistrationInfo",
    "RunResult",
    "SessionTerms",
    "ShardLag",
    "needs_of",
    "session_name",
]
