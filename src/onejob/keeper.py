"""Keeps the projects running that the state database lists, each with parts of its own.

Problem: projects come and go while the server runs, of several servers any may be told so, and one whose database is
broken must not stop the others. Solution: every server looks at the list every few seconds, and at once when it
changed the list itself; what should run is begun, what should not is ended. What fails is told, and tried again.

    list in the state database --look--> begin: database, facts, way in, parts     end: the same, backwards
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from starlette.types import ASGIApp

from onejob.backup.telemetry import sweep
from onejob.ingest.errors import IntakeError
from onejob.ingest.service import Intake
from onejob.model.project import Project
from onejob.own_spans import OwnSpans
from onejob.parts import Ground, start_parts
from onejob.seldom import Seldom
from onejob.state.codec import iso
from onejob.state.database import Database, state_url
from onejob.state.errors import StateError
from onejob.state.projects import Projects
from onejob.state.schemas import drop_schema, make_schema, schema_of
from onejob.store.databases import drop_database, open_database
from onejob.store.engine import Engine
from onejob.store.errors import StoreError
from onejob.store.hash_key import KEY_FILE, hash_key
from onejob.tenancy import folder_of, settings_of
from onejob.web.app import create_app
from onejob.web.nothing import Nothing
from onejob.web.services import Services

log = logging.getLogger(__name__)

EVERY_S = 2.0
_AGAIN_AFTER = timedelta(seconds=30)  # what could not be begun
_ALL_NOTICED_AFTER = timedelta(seconds=15)  # a removed project, by all servers
_MADE = "made"  # when the project of the folder was made: another of the same name is another one
_TROUBLE = (StoreError, StateError, IntakeError, OSError)


@dataclass(frozen=True, slots=True)
class Shared:
    """What all projects of a server have in common: the services of `default`, the engine, the doors, and the spans of
    its own work.
    """

    default: Services
    engine: Engine
    intake: Intake
    holder: str
    spans: OwnSpans


@dataclass(frozen=True, slots=True)
class _Running:
    project: Project
    services: Services
    app: ASGIApp
    stack: ExitStack


class Keeper:
    """Call `start` and `stop` once each. `app`, `running` and `troubles` wait for nothing."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._projects = Projects(shared.default.database)
        self._running: dict[str, _Running] = {}
        self._troubles: dict[str, str] = {}
        self._tried_at: dict[str, datetime] = {}
        self._nothing = Nothing(shared.default)
        self._may_have_missed = True  # that a project was removed
        self._lock = threading.Lock()
        self._seldom = Seldom(log)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="projects", daemon=True)

    def start(self) -> None:
        """Begin all there are, and look from now on."""
        self._look_or_say()
        self._thread.start()

    def stop(self) -> None:
        """End all."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            for name in list(self._running):
                self._end(name)

    def app(self, name: str) -> ASGIApp:
        """Where requests to `/p/NAME` go: where there is no such project, to what has nothing for anybody."""
        found = self._running.get(name)
        return found.app if found is not None else self._nothing.at(name, self._troubles.get(name))

    def running(self) -> Mapping[str, Services]:
        """By name."""
        return {name: one.services for name, one in sorted(dict(self._running).items())}

    def troubles(self) -> Mapping[str, str]:
        """Why one does not run, or is not gone yet; by name."""
        return dict(sorted(dict(self._troubles).items()))

    def look(self) -> None:
        """Begin, change and end what is to be begun, changed and ended, at once. Raises StateError."""
        with self._lock:
            if self._stopping.is_set():
                return
            listed = {project.name: project for project in self._projects.all()}
            for name in [*self._running, *self._troubles]:
                if name not in listed:  # another server was asked to remove it, and has
                    self._attempt(name, partial(self._end, name))
                    self._may_have_missed = True
            if self._may_have_missed:
                self._remove_missed()
            for project in listed.values():
                if not self._stopping.is_set():
                    self._see_to(project)

    def _see_to(self, project: Project) -> None:
        name = project.name
        if project.removed_at is not None:
            self._attempt(name, partial(self._remove, project))
            return
        found = self._running.get(name)
        if found is not None and found.project == project:
            return
        now, tried_at = self._shared.default.clock(), self._tried_at.get(name)
        if found is None and tried_at is not None and now - tried_at < _AGAIN_AFTER:
            return
        self._tried_at[name] = now
        self._end(name)
        self._attempt(name, partial(self._begin, project))

    def _attempt(self, name: str, what: Callable[[], None]) -> None:
        try:
            what()
        except _TROUBLE as error:
            self._troubles[name] = str(error)
            self._seldom.warning(name, "project %s: %s", name, error)
        except Exception as error:
            self._troubles[name] = f"{type(error).__name__}: see the server's log"
            log.exception("project %s could not be seen to; it is tried again", name)
        else:
            self._troubles.pop(name, None)

    def _begin(self, project: Project) -> None:
        name, shared = project.name, self._shared
        settings = settings_of(shared.default.settings, project)
        self._make_folder(project)
        with ExitStack() as stack:
            engine = open_database(shared.engine, settings, name)
            stack.callback(engine.close)
            sweep(engine, settings)
            database = self._open_facts(project, state_url(settings))
            stack.callback(database.close)
            intake = shared.intake.open(name, settings, engine)
            stack.callback(shared.intake.close, name)
            access = shared.default.access.of_project(name)
            spans = shared.spans.of_project(name)
            services = start_parts(Ground(settings, engine, database, intake, access, shared.holder, spans), stack)
            stack.callback(services.events.close)
            app = create_app(services)
            self._running[name] = _Running(project, services, app, stack.pop_all())
        self._tried_at.pop(name, None)
        log.info("project %s runs", name)

    def _make_folder(self, project: Project) -> None:
        """What a project of the same name left here, which was removed while this server was down, is nobody's."""
        server = self._shared.default.settings
        folder = folder_of(server, project.name)
        made, when = folder / _MADE, iso(project.created_at)
        if made.exists() and made.read_text() != when:
            self._delete_here(project.name)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        made.write_text(when)
        key = folder / KEY_FILE  # the one engine hashes with one key, by which a customer is found again
        key.touch(mode=0o600)
        key.write_text(f"{hash_key(server.data_dir)}\n")

    def _open_facts(self, project: Project, url: str) -> Database:
        if not self._shared.default.database.is_sqlite:
            make_schema(self._shared.default.database, schema_of(project.name))
        database = Database(url)
        try:
            database.migrate()
        except BaseException:
            database.close()
            raise
        return database

    def _remove(self, project: Project) -> None:
        """Others that share a database must not store what is left in their spools once it is dropped; an embedded
        engine is shared with nobody, so each server drops what its own has.
        """
        shared, database = self._shared, self._shared.default.database
        self._leave(project.name)
        since = project.removed_at or shared.default.clock()
        have_all_noticed = database.is_sqlite or shared.default.clock() - since >= _ALL_NOTICED_AFTER
        if have_all_noticed or shared.default.settings.store_url is None:
            drop_database(shared.engine, project.name)
        if not have_all_noticed:
            return
        if not database.is_sqlite:
            drop_schema(database, schema_of(project.name))
        self._projects.forget(project.name)
        log.info("project %s is removed", project.name)

    def _remove_missed(self) -> None:
        """What others removed while this server did not run, or did not reach the list. The folder says which project
        of its name it is of: that one is known to be removed, or nothing is touched.
        """
        here = [name for name, created_at in self._projects.removed() if self._is_here(name, created_at)]
        for name in here:
            self._attempt(name, partial(self._delete_here, name))
        self._may_have_missed = any(name in self._troubles for name in here)

    def _is_here(self, name: str, created_at: datetime) -> bool:
        made = folder_of(self._shared.default.settings, name) / _MADE
        return made.exists() and made.read_text() == iso(created_at)

    def _delete_here(self, name: str) -> None:
        """A database that servers share is not this server's: who removed the project has dropped it."""
        self._end(name)
        if self._shared.default.settings.store_url is None:
            drop_database(self._shared.engine, name)
        self._leave(name)

    def _leave(self, name: str) -> None:
        self._end(name)
        self._tried_at.pop(name, None)
        folder = folder_of(self._shared.default.settings, name)
        if folder.exists():
            _delete_folder(folder)

    def _end(self, name: str) -> None:
        found = self._running.pop(name, None)
        if found is not None:
            found.stack.close()

    def _run(self) -> None:
        while not self._stopping.wait(EVERY_S):
            self._look_or_say()

    def _look_or_say(self) -> None:
        try:
            self.look()
        except StateError as error:
            self._seldom.warning("list", "projects stay as they are: %s", error)


def _delete_folder(folder: Path) -> None:
    """What tells whose it is goes last: a deletion that is cut off is made up for."""
    for inside in folder.iterdir():
        if inside.is_dir() and not inside.is_symlink():
            shutil.rmtree(inside)
        elif inside.name != _MADE:
            inside.unlink()
    shutil.rmtree(folder)
