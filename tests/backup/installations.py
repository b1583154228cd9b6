"""What an installation holds, whichever engines it is on; and a backup of one without a server around it."""

import io
import json
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onejob import tenancy
from onejob.backup import facts
from onejob.backup.archive import written
from onejob.backup.pieces import unpacked
from onejob.backup.snapshot import Place, snapshot
from onejob.config import Settings
from onejob.model.project import DEFAULT_PROJECT
from onejob.model.telemetry import POINTS
from onejob.state.database import Database, state_url
from onejob.state.projects import Projects
from onejob.store.engine import Engine, open_engine
from onejob.web.services import Services
from servers import RunningServer
from state.builders import NOW

TABLES = ("otel_traces", "otel_logs", *(f"otel_metrics_{kind}" for kind in POINTS), "error_counts")
ROLLUPS = ("operation_rollup", "customer_rollup", "clock_skew")


class HeldStill:
    """An intake that somebody else has paused."""

    @contextmanager
    def paused(self, timeout_s: float) -> Iterator[bool]:
        yield True


@dataclass(frozen=True)
class Made:
    """A backup over the API, the server it is of, and what it had when it was made."""

    server: RunningServer
    backup: bytes
    kept: Any
    deployment_id: str


@dataclass(frozen=True)
class Opened:
    """An installation without a server."""

    settings: Settings
    engine: Engine
    database: Database

    @contextmanager
    def places(self) -> Iterator[list[Place]]:
        """Of all projects."""
        with ExitStack() as stack:
            found = [Place(DEFAULT_PROJECT, self.settings, self.database, self.engine, HeldStill())]
            for project in Projects(self.database).all():
                settings = tenancy.settings_of(self.settings, project)
                engine = self.engine.upon(self.engine.database_of(project.name))
                stack.callback(engine.close)
                database = Database(state_url(settings))
                stack.callback(database.close)
                found.append(Place(project.name, settings, database, engine, HeldStill()))
            yield found

    @property
    def kept(self) -> Any:
        """Telemetry and facts of each project."""
        with self.places() as places:
            return kept_in(places)

    def backup(self) -> bytes:
        with self.places() as places, snapshot(self.settings, places, NOW) as held:
            return b"".join(written(held.members, held.told))


@contextmanager
def opened(settings: Settings) -> Iterator[Opened]:
    with ExitStack() as stack:
        engine = open_engine(settings)
        stack.callback(engine.close)
        database = Database(state_url(settings))
        stack.callback(database.close)
        database.migrate()
        yield Opened(settings, engine, database)


def kept_in(places: list[Place]) -> Any:
    """By project."""
    return {place.name: (telemetry_of(place.engine), facts_of(place.database)) for place in places if place.engine}


def kept_by(services: Services) -> Any:
    """The same, of a running server."""
    found = services.with_projects().items()
    return kept_in([Place(name, its.settings, its.database, its.engine, None) for name, its in found])


def telemetry_of(engine: Engine) -> dict[str, Any]:
    """All rows of all tables, whatever their order; rollups are merged as they are read."""
    rows = {}
    for table in (*TABLES, *ROLLUPS):
        final = " FINAL" if table in ROLLUPS else ""
        kept = " WHERE Timestamp > '2000-01-01'" if table == "otel_traces" else ""  # older ones expire as we look
        found = engine.query(f"SELECT * FROM {table}{final}{kept}").to_pylist()  # noqa: S608
        rows[table] = sorted(json.dumps(row, default=str, sort_keys=True) for row in found)
    return rows


def facts_of(database: Database) -> list[tuple[str, Any]]:
    """All rows of all tables but of those that a server writes by itself as it starts and runs."""
    with database.frozen() as connection:
        found = [(table, json.loads(unpacked(piece))) for table, piece in facts.pieces(connection)]
    return [(table, rows) for table, rows in found if table not in ("leases", "audit", "reading_positions")]


def rows_of(database: Path) -> dict[str, list[Any]]:
    with closing(sqlite3.connect(database)) as connection:
        names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in names}  # noqa: S608


def as_file(backup: bytes) -> io.BytesIO:
    return io.BytesIO(backup)
