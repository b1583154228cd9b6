"""One moment of a running server, held still for as long as it takes to be copied.

While nothing is moved from the spool into the engine, the parts of all tables are frozen (hard links; a part never
changes), and the spool and the state database are copied: a batch is in the engine or in the spool, and in no case in
both. Telemetry is acknowledged meanwhile.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from onejob import __version__
from onejob.backup.errors import BackupError, NotOursToBackUp
from onejob.config import Settings
from onejob.state.codec import iso
from onejob.store.chdb import ChdbEngine
from onejob.store.engine import Engine
from onejob.store.forgetting import PREFIX
from onejob.store.hash_key import KEY_FILE
from onejob.store.sql import quote_name

PAUSE_WAIT_S = 60.0
_NAME = "backup_"
_ONE_AT_A_TIME = threading.Lock()
_VIEW = "MaterializedView"


class SpoolPause(Protocol):
    """What of the intake this needs."""

    def paused(self, timeout_s: float) -> AbstractContextManager[bool]:
        """While it is open nothing is stored; False if what is under way takes longer than that."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`files` are names in the archive, and where each is."""

    files: tuple[tuple[str, Path], ...]
    facts: dict[str, Any]


@contextlib.contextmanager
def snapshot(settings: Settings, engine: Engine | None, intake: SpoolPause | None, now: datetime) -> Iterator[Snapshot]:
    """Raises BackupError, StoreError."""
    _refuse_others(settings)
    if not isinstance(engine, ChdbEngine) or intake is None:
        raise BackupError("This process keeps no telemetry: ask the server that telemetry is sent to.")
    if not _ONE_AT_A_TIME.acquire(blocking=False):
        raise BackupError("A backup is being made already: wait until it is.")
    try:
        sweep(settings)
        yield _take(settings, engine, intake, now)
    finally:
        sweep(settings)
        _ONE_AT_A_TIME.release()


def sweep(settings: Settings) -> None:
    """Delete what a backup that was cut off has left: it keeps the room of parts that are merged since."""
    for folder in (settings.data_dir, _shadows(settings)):
        for left in folder.glob(f"{_NAME}*"):
            shutil.rmtree(left, ignore_errors=True)


def _take(settings: Settings, engine: ChdbEngine, intake: SpoolPause, now: datetime) -> Snapshot:
    data_dir, name = settings.data_dir.resolve(), f"{_NAME}{secrets.token_hex(8)}"
    copies, tables = data_dir / name, _tables(engine)
    databases = ("spool/spool.db", "state.db")
    try:
        copies.mkdir(mode=0o700)
        with intake.paused(PAUSE_WAIT_S) as is_paused:
            if not is_paused:
                raise BackupError(
                    "The engine does not finish what it stores: try again once `onejob doctor` is content."
                )
            for table in tables:
                if table["engine"] != _VIEW:
                    engine.execute(f"ALTER TABLE {quote_name(table['name'])} FREEZE WITH NAME '{name}'")
            for database in databases:
                _copy_database(data_dir / database, copies / Path(database).name)
    except (OSError, sqlite3.Error) as error:
        raise BackupError(
            f"{copies} cannot be written ({error}): make room for copies of {' and '.join(databases)}."
        ) from error
    files = [(database, copies / Path(database).name) for database in databases]
    if (data_dir / KEY_FILE).exists():
        files.append((KEY_FILE, data_dir / KEY_FILE))
    files += _parts(_shadows(settings) / name, tables)
    return Snapshot(tuple(files), _facts(settings, tables, now))


def _shadows(settings: Settings) -> Path:
    return settings.data_dir.resolve() / "engine" / "chdb" / "shadow"


def _refuse_others(settings: Settings) -> None:
    if settings.store_url is not None:
        raise NotOursToBackUp(
            "The telemetry is in a ClickHouse (ONEJOB_STORE_URL): back it up with its BACKUP statement."
        )
    if settings.state_url is not None:
        raise NotOursToBackUp("The facts are in a PostgreSQL (ONEJOB_STATE_URL): back it up with pg_dump.")


def _tables(engine: ChdbEngine) -> list[dict[str, str]]:
    """Name, engine, definition and place of each; views last, as they need the tables."""
    sql = (
        "SELECT name, engine, create_table_query AS definition, data_paths[1] AS place FROM system.tables "
        "WHERE database = currentDatabase() AND NOT startsWith(name, {left_out:String}) "
        "ORDER BY engine = {last:String}, name"
    )
    rows: list[dict[str, str]] = engine.query(sql, {"left_out": PREFIX, "last": _VIEW}).to_pylist()
    return rows


def _parts(shadow: Path, tables: list[dict[str, str]]) -> Iterator[tuple[str, Path]]:
    for table in tables:
        if table["engine"] == _VIEW:  # what it points to is another table's
            continue
        for folder in sorted(shadow.glob(f"store/*/{Path(table['place']).name}/*")):
            for file in sorted(path for path in folder.rglob("*") if path.is_file()):
                yield f"engine/{table['name']}/{folder.name}/{file.relative_to(folder)}", file


def _copy_database(source: Path, target: Path) -> None:
    """As it is at one moment, whatever is written meanwhile."""
    with contextlib.closing(sqlite3.connect(source)) as old, contextlib.closing(sqlite3.connect(target)) as new:
        old.backup(new)
    target.chmod(0o600)


def _facts(settings: Settings, tables: list[dict[str, str]], now: datetime) -> dict[str, Any]:
    told = [{key: table[key] for key in ("name", "engine", "definition")} for table in tables]
    return {"onejob": __version__, "made_at": iso(now), "bin_width_s": settings.bin_width_s, "tables": told}
