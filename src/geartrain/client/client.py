"""`Client`: what programs, and the command line, do with a server's registrations."""

from __future__ import annotations

import os
import re
import sys
import tokenize
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Self

from geartrain.builder import RunRequest, hosted
from geartrain.client.host import SessionHost
from geartrain.client.info import RegistrationDetails, RegistrationInfo, all_infos, details
from geartrain.client.needs import Needs, needs_of
from geartrain.client.outcome import Outcome
from geartrain.client.scripts import Script, executed, modules_of, own_modules
from geartrain.client.submitting import SessionTerms, prepared
from geartrain.client.warnings import Installed, warnings_of
from geartrain.config import DEFAULT_URL, URL_VARIABLE, Dialect
from geartrain.errors import ArgumentError, CommandError, ScriptError, UnknownRegistration
from geartrain.registry import Status, Store, hooks
from geartrain.registry.sequence import new_id
from geartrain.registry.store import unknown
from geartrain.registry.submission import check
from geartrain.runtime import Context, enter
from geartrain.text import shown
from geartrain.wire import Endpoint, access

_NAME = re.compile(r"[^\s{}]{1,200}")
_BY_PROGRAM = "-"
_SESSION = "client"


class Client:
    """Access to the registrations of one server. Connects when it is first needed. For one thread; a context manager.

    Args:
        url: the server (`redis://`, `rediss://`, `unix://`, `redis+sentinel://`); None: the environment variable
            GEARTRAIN_URL, or redis://127.0.0.1:6379.

    Every method may raise ServerUnavailable, and CommandError where the server refuses what it needs.

    Raises:
        ArgumentError: the URL is not one of a server.
    """

    def __init__(self, url: str | None = None) -> None:
        self.endpoint = Endpoint(url or os.environ.get(URL_VARIABLE) or DEFAULT_URL)
        self._made: Store | None = None

    # -- scripts -------------------------------------------------------------------------------------------------------

    def submit_file(
        self,
        path: str | os.PathLike[str],
        session: str | None = None,
        dialect: Dialect = Dialect.GEARTRAIN,
        terms: SessionTerms | None = None,
        *,
        requirements: Iterable[str] = (),
        reinstall: bool = False,
    ) -> Outcome:
        """Run a script in this process and submit what it registers.

        Args:
            path: the script.
            session: the session's name; None: the script's name without directory and extension.
            dialect: the record format and the defaults that the script expects.
            terms: a description, and what becomes of a session that is there already; None: it is upgraded.
            requirements, reinstall: as `execute`.

        Raises:
            ArgumentError: there is no such file, or the name is none for a session; the terms do not allow it.
            ScriptError, NeedsModule, CodeError, RequirementsError: as `execute`.
        """
        source = _read(path)
        name = session if session is not None else session_name(path)
        terms = self._with_needs(terms, requirements, reinstall=reinstall)
        return self.execute(source, session=name, path=os.fspath(path), dialect=dialect, terms=terms)

    def execute(
        self,
        source: str,
        *,
        session: str | None = None,
        path: str = "<client>",
        dialect: Dialect = Dialect.GEARTRAIN,
        terms: SessionTerms | None = None,
        on_run: Callable[[RunRequest], None] | None = None,
        requirements: Iterable[str] = (),
        reinstall: bool = False,
        traceback: bool = True,
    ) -> Outcome:
        """Run a script's source in this process; its `run()` calls execute, what it registers is submitted.

        In the dialect redisgears-1.2 one `run()` is executed, when the script has ended and what it registers is
        submitted; a step that raises drops its record, and the error is one of the outcome's.

        Nothing is submitted where it registers nothing, or where it raises.

        Args:
            source: the script's text. The names of the specification (`GearsBuilder`, `execute`, ...) are in scope.
            session: the session's name; None: `client`, or in the dialect redisgears-1.2 a new one, as
                `0000000000000000000000000000000000000000-1`.
            path: the script's path as tracebacks show it; in angle brackets where it is no file.
            dialect: the record format and the defaults that the script expects.
            terms: a description, and what becomes of a session that is there already; None: it is upgraded.
            on_run: called before each `run()` is executed.
            requirements: packages that its functions import, as pip takes them (`requests>=2`). Workers get an
                environment that has them (docs/howto/requirements.md); the script itself runs here, and imports what is
                installed here.
            reinstall: these packages are to be installed anew, in their latest versions; other sessions keep theirs.
            traceback: the outcome's errors are told with their tracebacks; otherwise their last lines alone.

        Raises:
            ScriptError: the script raised; its `trace` is the script's traceback.
            NeedsModule: it asked for what only the server module can do.
            CodeError: what it registers cannot be pickled.
            ArgumentError: the name is none for a session; the terms do not allow it; pip would not understand the
                requirements.
            RequirementsError: `mode='sync'`, and the server's Python lacks some of the requirements.
        """
        dialect, terms = Dialect(dialect), self._with_needs(terms, requirements, reinstall=reinstall)
        script = Script(source, path)
        host = self._host(self._named(session, dialect), dialect, lambda: modules_of(script), terms, on_run)
        host.traceback = traceback
        check(self._store.link, host.outcome.session, terms.terms)
        with self._in_place(host) as context, executed(script) as modules:
            context.flush()
            self._submit(host, modules, script, terms)
            host.finish()
        return host.outcome

    @contextmanager
    def session(
        self,
        name: str,
        dialect: Dialect = Dialect.GEARTRAIN,
        by_value: Iterable[ModuleType] = (),
        requirements: Iterable[str] = (),
    ) -> Iterator[Outcome]:
        """Submit what this block registers as the session `name`; `run()` and `execute()` work in it too.

            with Client().session("orders") as outcome:
                GearsBuilder("StreamReader").foreach(handle).register("orders:*")

        When the block ends, its registrations are submitted, and `outcome.submitted` says what that changed. Where it
        raises, or registers nothing, nothing is submitted.

        Args:
            name: the session's name; submitting it again upgrades it.
            dialect: the record format and the defaults of the block.
            by_value: modules that workers do not have: their functions travel with the code. Those in the directory of
                the running program are among them anyway.
            requirements: as `execute`.

        Raises:
            NeedsModule: the block asked for what only the server module can do.
            CodeError: what it registers cannot be pickled.
            ArgumentError, RequirementsError: as `execute`.
        """
        lacking, terms = list(by_value), self._with_needs(None, requirements)
        host = self._host(name, dialect, lambda: _modules_of_program(lacking), terms)
        with self._in_place(host) as context:
            yield host.outcome
            context.flush()
            self._submit(host, _modules_of_program(lacking), Script("", _BY_PROGRAM), terms)
            host.finish()

    # -- registrations -------------------------------------------------------------------------------------------------

    def registrations(self) -> list[RegistrationInfo]:
        """All registrations, by id, and how they fare."""
        return all_infos(self._store)

    def show(self, registration: str) -> RegistrationDetails:
        """All that is known about a registration.

        Raises:
            UnknownRegistration: there is none of that id.
        """
        return details(self._store, registration)

    def pause(self, *registrations: str) -> None:
        """Stop registrations, all of them or none, after their running executions; they keep their offsets.

        With the server module, the key events of a paused KeysReader registration are captured all the same, and wait.
        The function of `mode='sync'` is not called for what happens meanwhile.

        Raises:
            UnknownRegistration: there is none of one of these ids.
        """
        self._store.set_status(Status.PAUSED, *registrations)
        self._install()

    def resume(self, *registrations: str) -> None:
        """Let paused or aborted registrations, all of them or none, go on where they stopped.

        Raises:
            UnknownRegistration: there is none of one of these ids.
        """
        # First what a function in the server may have said of itself: it must not be taken for news of the resumed one.
        self._install()
        self._store.set_status(Status.ACTIVE, *registrations)
        self._install()

    def unregister(self, registration: str) -> None:
        """Remove a registration with what it left: consumer groups, leases, events that wait, statistics.

        Raises:
            UnknownRegistration: there is none of that id.
        """
        self._store.unregister(registration)
        self._install()

    def unregister_session(self, session: str) -> list[str]:
        """Remove all registrations of a session; their ids.

        Raises:
            UnknownRegistration: there is no such session.
        """
        records = self._store.snapshot().registrations.values()
        ids = sorted(record.id for record in records if record.session == session)
        if not ids:
            raise UnknownRegistration(f"there is no session {session!r}; `geartrain ls` shows those that there are")
        for registration in ids:
            self._store.unregister(registration)
        self._install()
        return ids

    def find(self, text: str) -> str:
        """The id that is `text`, or the only one that it is a part of.

        Raises:
            UnknownRegistration: there is none.
            ArgumentError: there are several.
        """
        ids = self._store.snapshot().registrations
        if text in ids:
            return text
        found = sorted(item for item in ids if text in item)
        if not found:
            raise unknown(text)
        if len(found) > 1:
            raise ArgumentError(f"{text!r} is a part of {len(found)} ids: {', '.join(found)}; write more of the id")
        return found[0]

    # -- life ----------------------------------------------------------------------------------------------------------

    @property
    def _store(self) -> Store:
        if self._made is None:
            self._made = Store(access(self.endpoint, "geartrain:client"))
        return self._made

    def close(self) -> None:
        """Close the connection, if there is one; the client can be used again."""
        if self._made is not None:
            self._made.link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- inside --------------------------------------------------------------------------------------------------------

    def _named(self, session: str | None, dialect: Dialect) -> str:
        if session is not None:
            return session
        return new_id(self._store.link) if dialect is Dialect.REDISGEARS_1_2 else _SESSION

    def _host(
        self,
        session: str,
        dialect: Dialect,
        modules: Callable[[], Iterable[ModuleType]],
        terms: SessionTerms,
        on_run: Callable[[RunRequest], None] | None = None,
    ) -> SessionHost:
        if not isinstance(session, str) or not _NAME.fullmatch(session):
            raise ArgumentError(f"session: {session!r} is no name: write 1 to 200 characters without spaces and braces")
        needs = Needs(terms.requirements, terms.environment)
        return SessionHost(session, self.endpoint, Dialect(dialect), modules, on_run, needs, terms.terms)

    def _with_needs(
        self, terms: SessionTerms | None, requirements: Iterable[str], *, reinstall: bool = False
    ) -> SessionTerms:
        terms = terms or SessionTerms()
        needs = needs_of(requirements, lambda: self._store.environments(), reinstall=reinstall)  # noqa: PLW0108 - connects
        if not needs.requirements:
            return terms
        return replace(terms, requirements=needs.requirements, environment=needs.environment)

    @contextmanager
    def _in_place(self, host: SessionHost) -> Iterator[Context]:
        """Make `register()`, `run()`, `execute()` and so on of this thread reach `host` and this server."""
        context = Context(self.endpoint, "geartrain:script")
        before = enter(context)
        try:
            with hosted(host):
                yield context
        finally:
            enter(before)
            context.close()

    def _submit(self, host: SessionHost, modules: Iterable[ModuleType], script: Script, terms: SessionTerms) -> None:
        outcome = host.outcome
        if not host.requests:
            if terms.empties:
                self._remove(terms.terms.sessions(outcome.session))
            return
        session, records, parcel = prepared(host, modules, script, terms, terms.user or self._user())
        outcome.submitted, outcome.registered = self._store.submit(session, records, parcel, script.source, terms.terms)
        named = [replace(item, id=name) for item, name in zip(records, outcome.registered, strict=True)]
        outcome.warnings += warnings_of(self._install(), named)

    def _remove(self, sessions: Iterable[str]) -> None:
        """Remove these sessions, as far as they are there."""
        for session in sessions:
            with suppress(UnknownRegistration):
                self.unregister_session(session)

    def _user(self) -> str:
        """The ACL user who registers."""
        try:
            return shown(self._store.link.call("ACL", "WHOAMI"))
        except CommandError:
            return "default"

    def _install(self) -> Installed:
        """Let the server module know what has changed, where there is one: at once, rather than when a worker looks."""
        try:
            done = hooks.reconcile(self._store)
        except CommandError as error:
            return Installed(None, hooks.forbidden(error) if hooks.is_forbidden(error) else str(error))
        return Installed(done.modules, None, done.failed)


def _modules_of_program(by_value: Iterable[ModuleType]) -> list[ModuleType]:
    """Modules in the directory of the running program, and others that its user names; each once."""
    main = getattr(sys.modules["__main__"], "__file__", None)
    own = own_modules(Path(main).resolve().parent) if main else []
    return list({module.__name__: module for module in (*own, *by_value)}.values())


def session_name(path: str | os.PathLike[str]) -> str:
    """The name of a script's session: its own, without directory and extension."""
    return re.sub(r"[\s{}]+", "-", Path(path).stem)


def _read(path: str | os.PathLike[str]) -> str:
    try:
        with tokenize.open(os.fspath(path)) as file:
            return file.read()
    except OSError as error:
        raise ArgumentError(f"script: {os.fspath(path)!r} cannot be read: {error.strerror}") from error
    except (SyntaxError, UnicodeDecodeError) as error:
        raise ScriptError(f"{os.fspath(path)} is no Python source: {error}") from error
