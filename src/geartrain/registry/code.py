"""Code to bytes and back: pickled by value, signed where there is a secret, checked before it is unpickled.

All registrations of a session are pickled together, so that they share their script's globals in every process: what
`onRegistered` puts in a global, the steps find there.
"""

from __future__ import annotations

import hmac
import io
import os
import pickle
import sys
from collections import ChainMap
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, ModuleType
from typing import Any, ClassVar

import cloudpickle

from geartrain.errors import BadSignature, CodeError, PythonMismatch
from geartrain.registry.records import Code

SECRET_VARIABLE = "GEARTRAIN_SECRET"  # noqa: S105 - the variable's name, not a secret
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A session's code, as it is kept.

    Attributes:
        session: its session; part of what is signed, so that code cannot be moved to another one.
        blob: the pickled tuple of `Code`, one for each registration.
        python: the minor version of Python that pickled it.
        signature: hex HMAC-SHA256, or '' where there was no secret.
        version: the `code_version` of the registrations that it was submitted with; 0: not submitted yet.
        requirements: the packages that it needs; part of what is signed, because installing them runs code too.
    """

    session: str
    blob: bytes
    python: str
    signature: str
    version: int = 0
    requirements: tuple[str, ...] = ()


def seal(
    session: str, codes: Iterable[Code], by_value: Iterable[ModuleType] = (), requirements: tuple[str, ...] = ()
) -> Parcel:
    """Pickle and sign.

    Args:
        session: the session's name.
        codes: the code of its registrations.
        by_value: modules of the script's own that workers may not have: their functions travel with the code.
        requirements: the packages that it needs.

    Raises:
        CodeError: something in it cannot be pickled.
    """
    try:
        blob = dumps(tuple(codes), by_value)
    except Exception as error:
        raise CodeError(
            f"session {session!r}: its functions cannot be pickled: {error}. What cannot travel to another process"
            " (a connection, a lock, an open file) belongs in onRegistered"
        ) from error
    signed = signature(session, PYTHON, blob, requirements)
    return Parcel(session=session, blob=blob, python=PYTHON, signature=signed, requirements=requirements)


def dumps(value: object, by_value: Iterable[ModuleType] = ()) -> bytes:
    """Pickle anything, functions of the modules `by_value` and of scripts too; raises what the pickler raises."""
    buffer = io.BytesIO()
    with _pickled_by_value(by_value):
        _Pickler(buffer).dump(value)
    return buffer.getvalue()


def _reduce_code(code: CodeType) -> tuple[Callable[..., CodeType], tuple[Any, ...]]:
    factory, arguments = cloudpickle.Pickler.dispatch_table[CodeType](code)
    return _code_of_file, (code.co_filename, factory, arguments)


def _code_of_file(file: str, factory: Callable[..., CodeType], arguments: tuple[Any, ...]) -> CodeType:
    return factory(*arguments).replace(co_filename=file)


class _Pickler(cloudpickle.Pickler):  # type: ignore[misc] # it ships no types
    """cloudpickle's, but functions keep the names of their files, which tracebacks show (3.1.3 drops them)."""

    dispatch_table: ClassVar = ChainMap({CodeType: _reduce_code}, cloudpickle.Pickler.dispatch_table)


def open_parcel(parcel: Parcel) -> tuple[Code, ...]:
    """Check and unpickle.

    Raises:
        PythonMismatch: another minor version of Python pickled it.
        BadSignature: there is a secret, and the code was not signed with it.
        CodeError: it cannot be unpickled here.
    """
    check(parcel)
    try:
        codes: tuple[Code, ...] = pickle.loads(parcel.blob)  # noqa: S301 - what `check` is for
    except Exception as error:
        raise CodeError(
            f"session {parcel.session!r}: its code cannot be loaded here: {type(error).__name__}: {error}."
            " Modules that the script imports must be installed where workers run"
        ) from error
    return codes


def check(parcel: Parcel) -> None:
    """Raise PythonMismatch or BadSignature where the code must not be unpickled here, or its requirements installed."""
    expected = signature(parcel.session, parcel.python, parcel.blob, parcel.requirements)
    if expected and not hmac.compare_digest(expected, parcel.signature):
        how = "is signed with another secret" if parcel.signature else "is not signed"
        raise BadSignature(
            f"session {parcel.session!r}: {SECRET_VARIABLE} is set here, and the code {how}; register it again with the"
            " same secret"
        )
    if parcel.python != PYTHON:
        raise PythonMismatch(
            f"session {parcel.session!r}: registered with Python {parcel.python}, and this is Python {PYTHON};"
            f" register it again with Python {PYTHON}, or run workers with Python {parcel.python}"
        )


def signature(session: str, python: str, blob: bytes, requirements: Iterable[str] = ()) -> str:
    """Hex HMAC-SHA256 of code and what it belongs to; '' where there is no secret."""
    secret = os.environ.get(SECRET_VARIABLE)
    if not secret:
        return ""
    mac = hmac.new(secret.encode(), digestmod="sha256")
    for part in (session.encode(), python.encode(), blob, *map(str.encode, requirements)):
        mac.update(b"%d:" % len(part) + part)
    return mac.hexdigest()


@contextmanager
def _pickled_by_value(modules: Iterable[ModuleType]) -> Iterator[None]:
    registered = []
    try:
        for module in modules:
            cloudpickle.register_pickle_by_value(module)
            registered.append(module)
        yield
    finally:
        for module in registered:
            cloudpickle.unregister_pickle_by_value(module)
