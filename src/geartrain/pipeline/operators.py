"""What generated code calls for what is not worth a line of its own per record."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

_IMMUTABLE = (int, float, complex, bool, str, bytes, type(None))


def zero_maker(zero: Any) -> Callable[[], Any]:
    """A function that gives a fresh copy of an accumulator's first value, so that none is ever shared."""
    if type(zero) in _IMMUTABLE:
        return lambda: zero
    return lambda: copy.deepcopy(zero)


def pairs(groups: Mapping[Any, Any]) -> list[dict[str, Any]]:
    """Groups as the records that grouping steps give."""
    return [{"key": key, "value": value} for key, value in groups.items()]


def reduced(
    groups: Mapping[Any, list[Any]], reducer: Callable[[Any, list[Any]], Any], past: Callable[[Any], Any] = iter
) -> list[dict[str, Any]]:
    """Each group's records, reduced; `past` tells the progress (`Progress.past`)."""
    return [{"key": key, "value": reducer(key, records)} for key, records in past(groups.items())]


def combined(
    groups: Mapping[Any, Any],
    zero: Callable[[], Any],
    combine: Callable[[Any, Any], Any],
    past: Callable[[Any], Any] = iter,
) -> list[dict[str, Any]]:
    """Each group's one part, combined as the parts of several shards would be; `past` as in `reduced`."""
    return [{"key": key, "value": combine(zero(), part)} for key, part in past(groups.items())]


def raise_it(error: BaseException) -> NoReturn:
    """What a failure does where nobody collects them."""
    raise error


def flattened(values: Iterable[Any]) -> list[Any]:
    """The items of the lists among the values, and the other values."""
    return [item for value in values for item in (value if isinstance(value, list) else (value,))]


def kept(records: Iterable[Any], verdicts: Iterable[Any]) -> list[Any]:
    """The records whose verdict is true."""
    return [record for record, verdict in zip(records, verdicts, strict=True) if verdict]


def newcomer() -> Callable[[Any], bool]:
    """A function that says whether it sees a record for the first time.

    Unhashable records are compared among each other: those made of plain dicts, lists, sets and tuples by hashing
    what they hold, any others one by one.
    """
    seen: set[Any] = set()
    frozen: set[Any] = set()
    others: list[Any] = []

    def is_new(record: Any) -> bool:
        pool, form = seen, record
        try:
            hash(record)
        except TypeError:
            pool = frozen
            try:
                form = _frozen(record)
            except TypeError:
                return _add_unequal(others, record)
        before = len(pool)
        pool.add(form)
        return len(pool) > before

    return is_new


def _add_unequal(records: list[Any], record: Any) -> bool:
    if record in records:
        return False
    records.append(record)
    return True


def _frozen(value: Any) -> Any:
    """A hashable value that is equal for equal values; TypeError where there is none."""
    kind = type(value)
    if kind is dict:
        return dict, frozenset((key, _frozen(item)) for key, item in value.items())
    if kind is list or kind is tuple:
        return kind, tuple(_frozen(item) for item in value)
    if kind is set:
        return set, frozenset(value)
    hash(value)
    return value
