"""What runs a step, as far as `execute` and its like see it, and as far as deferred commands see a pipeline."""

from __future__ import annotations

from collections.abc import Iterable
from types import CodeType
from typing import TYPE_CHECKING, Any, Protocol

from geartrain.errors import StepError
from geartrain.extension import extension
from geartrain.wire import Argument, Endpoint

if TYPE_CHECKING:
    import _geartrain_records


class CallSites(frozenset[tuple[int, int]]):
    """Pairs (identity of a code object, offset of the call): code objects themselves take 2 us to hash.

    Attributes:
        native: the same for the extension; None: there is none, or no call.
    """

    native: _geartrain_records.Sites | None = None


class Surroundings(Protocol):
    """What `execute` and its like need of whoever runs a step: a `Context` here, or its counterpart in the server.

    Attributes:
        stream: the name of the stream that the running execution's records come from, or None.
        tail_calls: the call sites whose reply nobody can notice.
    """

    stream: str | bytes | None
    tail_calls: CallSites

    def execute(self, command: str | bytes, args: tuple[Argument, ...]) -> Any:
        """Run a command now; its reply."""

    def defer(self, command: str | bytes, args: tuple[Argument, ...]) -> None:
        """Run a command before the batch counts as done."""

    def hashtag(self) -> str:
        """A tag of the shard that this runs on."""

    def hold(self, seconds: float) -> None:
        """Let nobody else use the server, or this shard of it, until `let_go`, for that long at the most."""

    def let_go(self) -> None:
        """End what `hold` began."""

    @property
    def can_wait(self) -> bool:
        """Whether a step may wait for what others do meanwhile."""

    @property
    def endpoint(self) -> Endpoint | None:
        """Where it executes; None: in this very process."""


class Attribution(Protocol):
    """A pipeline, as far as an error of a deferred command needs it."""

    def step_error(self, step_number: int, record: object, cause: BaseException) -> StepError:
        """The error of that step on that record."""


def call_sites(calls: Iterable[tuple[CodeType, int]]) -> CallSites:
    """The form in which a running call is looked up; valid for as long as the code objects live."""
    sites = CallSites((id(code), offset) for code, offset in calls)
    if sites and extension is not None:
        sites.native = extension.Sites(tuple(sites))
    return sites
