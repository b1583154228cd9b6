"""Opens the spool's file, and rescues what can be read out of a damaged one."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
import time
import uuid
from importlib import resources
from pathlib import Path

log = logging.getLogger(__name__)

_TABLES = ("identity", "requests", "batches", "dead_letters", "imported")
_KIND, _TABLES_FILLED = "TEXT NOT NULL DEFAULT 'traces'", "INTEGER NOT NULL DEFAULT 1"
_ADDED = (  # to files of earlier releases
    ("requests", "token", "TEXT"),
    ("dead_letters", "token", "TEXT"),
    ("requests", "kind", _KIND),
    ("requests", "tables", _TABLES_FILLED),
    ("batches", "kind", _KIND),
    ("dead_letters", "kind", _KIND),
    ("dead_letters", "tables", _TABLES_FILLED),
)
# What waits is asked for by kind, and in files of earlier releases that comes after the payload: none is read this way.
_INDEX = "CREATE INDEX IF NOT EXISTS requests_kind ON requests (kind)"
_ID_GAP = 1_000_000  # ids handed out after what was rescued: a token must never be used for two batches


def open_spool(path: Path) -> sqlite3.Connection:
    """A connection for the one writer. A damaged file is put aside, and what it still tells is taken over."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    damaged = path.exists() and not _is_sound(path)
    if damaged:
        aside = _put_aside(path)
    connection = _connect(path)
    if damaged:
        rescued = _rescue(aside, connection)
        log.error("The spool was damaged. %d requests were rescued; the damaged file is kept as %s.", rescued, aside)
    if connection.execute("SELECT count(*) FROM identity").fetchone()[0] == 0:
        connection.execute("INSERT INTO identity VALUES (?)", (uuid.uuid4().hex,))
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A second connection; WAL lets it read while the writer commits."""
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)


def _for_its_owner_only(path: Path) -> None:
    """It has requests as they were sent. SQLite gives the files beside it the rights of this one."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    for suffix in ("", "-wal", "-shm"):
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.chmod(0o600)


def _connect(path: Path) -> sqlite3.Connection:
    _for_its_owner_only(path)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
    connection.execute("PRAGMA page_size = 16384")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # every commit is on disk before it returns
    connection.execute("PRAGMA wal_autocheckpoint = 1000")
    connection.executescript(resources.files("onejob.ingest").joinpath("schema.sql").read_text())
    for table, column, kind in _ADDED:
        if column not in {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}:
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
    connection.execute(_INDEX)
    return connection


def _is_sound(path: Path) -> bool:
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=30)) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.DatabaseError:
        return False


def _put_aside(path: Path) -> Path:
    aside = path.with_name(f"{path.stem}-damaged-{int(time.time())}{path.suffix}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


def _rescue(aside: Path, into: sqlite3.Connection) -> int:
    """Row by row, so that one bad page costs only what is on it."""
    last = 0
    with contextlib.closing(sqlite3.connect(aside)) as damaged:
        into.execute("BEGIN")
        for table in _TABLES:
            try:
                rows = damaged.execute(f"SELECT * FROM {table}")  # noqa: S608  our own table names
                columns, holes = ", ".join(c[0] for c in rows.description), ", ".join("?" * len(rows.description))
                for row in rows:
                    into.execute(f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({holes})", row)  # noqa: S608
                    last = max(last, row[0] if isinstance(row[0], int) else 0)
            except sqlite3.DatabaseError as error:
                log.error("The damaged spool's table %s could be read in part only: %s", table, error)
        for table in ("requests", "batches"):
            into.execute("DELETE FROM sqlite_sequence WHERE name = ?", (table,))
            into.execute("INSERT INTO sqlite_sequence VALUES (?, ?)", (table, last + _ID_GAP))
        into.execute("COMMIT")
    return int(into.execute("SELECT count(*) FROM requests").fetchone()[0])
