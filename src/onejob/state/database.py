"""The connection to the state database, SQLite or PostgreSQL.

Problem: the judge, the rollout controller and web requests write at the same time from threads of their own. SQLite
answers "database is locked" when a reading transaction turns into a writing one, whatever its timeout. Solution: who
is going to write says so at once (`write()` begins IMMEDIATE, one writer of this process at a time); everyone else
reads a snapshot (`read()`) without waiting.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import QueuePool

from onejob.config import Settings
from onejob.sqlite_log import truncate_log
from onejob.state.errors import CutOffRestorationError, SchemaTooNewError, StateError, StateUnavailableError
from onejob.state.trouble import translated

_BUSY_TIMEOUT_S = 15
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY", "secure_delete=ON")
_MIGRATION_LOCK = 0x6F6E656A6F62  # "onejob": any number will do, as long as nobody else's advisory lock has it
_IS_WRITE = "onejob_is_write"
RESTORING = "onejob_restoring"  # a table that is there while a backup is restored


class Database:
    """A pool of connections; thread-safe. `url` is SQLAlchemy's: `sqlite:////path/state.db`, `postgresql+psycopg://...`."""

    def __init__(self, url: str) -> None:
        self.url = _parsed(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.engine = _sqlite_engine(self.url) if self.is_sqlite else _postgres_engine(self.url)
        self._one_writer = threading.Lock()
        self._unread = self._unwritten = ""

    @property
    def trouble(self) -> str:
        """Why nothing can be stored or read now, and what to do; empty from the next time that it can."""
        return self._unwritten or self._unread

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that sees one state of the database and changes nothing."""
        try:
            with translated(self.url), self.engine.connect() as connection, connection.begin():
                yield connection
        except StateUnavailableError as error:
            self._unread = str(error)
            raise
        self._unread = ""

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that is on disk when the block ends, or has not happened when it raises."""
        try:
            with translated(self.url), self._writer() as connection:
                yield connection
        except StateUnavailableError as error:
            self._unwritten = str(error)
            raise
        self._unwritten = ""

    def wipe(self) -> bool:
        """Leave nothing of what was deleted in SQLite's log; False while somebody reads it."""
        if not self.is_sqlite:
            return True
        with translated(self.url), self._one_writer, self.engine.connect() as connection:
            raw: Any = connection.connection.driver_connection
            return truncate_log(raw)

    @contextmanager
    def _writer(self) -> Iterator[Connection]:
        if not self.is_sqlite:
            with self.engine.begin() as connection:
                yield connection
            return
        with self._one_writer, self.engine.connect() as connection:
            connection.execution_options(**{_IS_WRITE: True})
            with connection.begin():
                yield connection

    @contextmanager
    def frozen(self) -> Iterator[Connection]:
        """As `read`, and also on PostgreSQL all its statements see the moment of the first one."""
        options = {} if self.is_sqlite else {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        with translated(self.url), self.engine.connect().execution_options(**options) as connection, connection.begin():
            yield connection

    def migrate(self, revision: str = "head", *, is_restored: bool = False) -> None:
        """Bring the tables to this version's, or to an earlier one; safe to call from several processes at once.

        `is_restored`: it is being filled from a backup.
        """
        with self.write() as connection:
            if not self.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            config = _alembic()
            config.attributes["connection"] = connection
            _refuse_newer(connection, ScriptDirectory.from_config(config))
            if not is_restored and inspect(connection).has_table(RESTORING):
                raise CutOffRestorationError(
                    "A restoration of the state database was cut off: run the same `onejob restore` again, which "
                    "begins anew."
                )
            command.upgrade(config, revision)

    def ping(self) -> None:
        """Raise StateUnavailableError unless the database answers."""
        with self.read() as connection:
            connection.execute(text("SELECT 1"))

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()


def state_url(settings: Settings) -> str:
    """Where the settings say that the facts are."""
    if settings.state_url is not None:
        return settings.state_url.get_secret_value()
    return f"sqlite:///{(settings.data_dir / 'state.db').resolve()}"


def revision_of(connection: Connection) -> str | None:
    """Of the tables that are there; None where there are none."""
    return MigrationContext.configure(connection).get_current_revision()


def known_revisions() -> set[str]:
    """Those that this version of onejob can migrate from."""
    return {script.revision for script in ScriptDirectory.from_config(_alembic()).walk_revisions()}


def _alembic() -> Config:
    config = Config()
    config.set_main_option("script_location", "onejob.state:migrations")
    return config


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise StateError(_WHICH_URLS) from error
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise StateError(_WHICH_URLS)
    return parsed.set(drivername="postgresql+psycopg") if parsed.drivername == "postgresql" else parsed


_WHICH_URLS = (
    "The state database must be SQLite (sqlite:////var/lib/onejob/state.db) or PostgreSQL "
    "(postgresql+psycopg://user:password@host/database): check ONEJOB_STATE_URL."
)


def _refuse_newer(connection: Connection, scripts: ScriptDirectory) -> None:
    current = revision_of(connection)
    if current is not None and current not in {script.revision for script in scripts.walk_revisions()}:
        raise SchemaTooNewError(
            f"The state database is at revision {current}, which this version of onejob does not know. "
            "Start the newer onejob that wrote it, or restore a backup from before."
        )


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(
        url,
        poolclass=QueuePool,  # also for a database in memory, which would get one connection per thread
        pool_size=16,
        max_overflow=48,
        connect_args={"timeout": _BUSY_TIMEOUT_S, "check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _on_connect(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None  # the driver's own BEGINs come too late: see `_on_begin`
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        is_write = connection.get_execution_options().get(_IS_WRITE, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_write else "BEGIN")

    return engine


def _postgres_engine(url: URL) -> Engine:
    return create_engine(url, pool_size=16, max_overflow=16, pool_pre_ping=True, connect_args={"connect_timeout": 10})
