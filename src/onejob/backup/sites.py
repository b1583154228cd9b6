"""Where a backup goes: the databases of the server and of its projects, opened as they are filled.

A project other than `default` is one that the facts of `default` list; its settings and places follow from there.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Self

from onejob.config import Settings
from onejob.model.project import DEFAULT_PROJECT
from onejob.state import restoring as state_restoring
from onejob.state.database import Database, state_url
from onejob.state.projects import Projects
from onejob.state.schemas import make_schema, schema_of
from onejob.store import restoring as store_restoring
from onejob.store.databases import make_database
from onejob.store.engine import Engine, start_engine
from onejob.tenancy import settings_of


class Site:
    """One project's."""

    database: Database

    def __init__(self, name: str, settings: Settings, stack: ExitStack, default: Site | None) -> None:
        self.name = name
        self.settings = settings
        self._stack = stack
        self._default = default
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if default is not None and not default.database.is_sqlite:
            make_schema(default.database, schema_of(name))
        self.database = Database(state_url(settings))
        stack.callback(self.database.close)

    @cached_property
    def engine(self) -> Engine:
        """Opened when it is asked for: the key of the hashes must be there."""
        if self._default is not None:
            engine = make_database(self._default.engine, self.name)
        else:
            engine = start_engine(self.settings, on_close=lambda: None)
        self._stack.callback(engine.close)
        return engine

    @property
    def spool(self) -> Path:
        return self.settings.data_dir.resolve() / "spool" / "spool.db"

    def unmark(self) -> None:
        """It is whole."""
        state_restoring.end(self.database)
        store_restoring.end(self.engine)


class Sites:
    """Of a server. Leaving it closes them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = ExitStack()
        self._opened: dict[str, Site] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def of(self, name: str) -> Site:
        """Raises NotFoundError for one that the facts of `default` do not list."""
        if name not in self._opened:
            self._opened[name] = self._open(name)
        return self._opened[name]

    def _open(self, name: str) -> Site:
        if name == DEFAULT_PROJECT:
            return Site(name, self._settings, self._stack, None)
        default = self.of(DEFAULT_PROJECT)
        return Site(name, settings_of(self._settings, Projects(default.database).get(name)), self._stack, default)
