"""Opens the spool's file, and rescues what can be read out of a damaged one.

Damage is a page that is no page of SQLite's, a request that is not what was acknowledged (its digest says so), or a log
that SQLite would not read to its end (`spool_log`). The file is then put aside and a new one takes over all that can be
read, request by request. What cannot is counted and told, and its digest is forgotten: should its client not have been
told that it was here, it is taken when it is sent again. What is stored already is not taken over, and what was being
stored keeps its token (`spool_progress`).
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

from onejob.ingest import dead_letters, spool_log
from onejob.ingest.spool_progress import NAME as PROGRESS
from onejob.ingest.spool_progress import SpoolProgress
from onejob.model.telemetry import Kind
from onejob.words import plural

log = logging.getLogger(__name__)

Row = dict[str, Any]

DAMAGED = "spool-damaged-*.db"  # names of files put aside
# Equal bytes of two kinds are two requests. Spans have none, as in files of earlier releases.
_PERSON: dict[Kind, bytes] = {"traces": b"", "logs": b"logs", "metrics": b"metrics"}
_BESIDE = ("batches", "dead_letters", "imported", "digests")  # tables that are rescued besides the requests
_KIND, _TABLES_FILLED = "TEXT NOT NULL DEFAULT 'traces'", "INTEGER NOT NULL DEFAULT 1"
_ADDED = (  # to files of earlier releases
    ("requests", "token", "TEXT"),
    ("dead_letters", "token", "TEXT"),
    ("requests", "kind", _KIND),
    ("requests", "tables", _TABLES_FILLED),
    ("requests", "digest", "BLOB"),
    ("batches", "kind", _KIND),
    ("batches", "token", "TEXT"),
    ("dead_letters", "kind", _KIND),
    ("dead_letters", "tables", _TABLES_FILLED),
)
# What waits is asked for by kind, and in files of earlier releases that comes after the payload: none is read this way.
# It also says what a page of payloads held that cannot be read any more.
_INDEX = "CREATE INDEX IF NOT EXISTS requests_by_kind ON requests (kind, id, digest)"
_ID_GAP = 1_000_000  # ids handed out after what was rescued: a new request must not come into the range of an old batch
_TOKENS_OF_EARLIER = "UPDATE batches SET token = (SELECT name FROM identity) || '-' || id WHERE token IS NULL"


def digest_of(payload: bytes, kind: Kind) -> bytes:
    """What a request is recognised by, when it comes again and when it is read again."""
    return hashlib.blake2b(payload, digest_size=16, person=_PERSON[kind]).digest()


def open_spool(path: Path, progress: SpoolProgress) -> sqlite3.Connection:
    """A connection for the one writer. A damaged file is put aside, and what it still tells is taken over."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    rescued = path.with_name(f"{path.stem}-rescued{path.suffix}")
    if path.exists():
        _delete(rescued)  # begun, and not done
    elif rescued.exists():
        rescued.rename(path)
    damage = _damage(path)
    if damage:
        _replace(path, rescued, damage, progress)
    connection = _connect(path)
    _go_on_from(connection, progress)
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A second connection; WAL lets it read while the writer commits."""
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)


def tell_restored(path: Path) -> None:
    """That it comes out of a backup; of a spool that nobody has open."""
    (path.parent / PROGRESS).unlink(missing_ok=True)  # of another spool
    with contextlib.closing(_connect(path)) as connection:
        dead_letters.tell_restored(connection)


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
    connection.execute(f"PRAGMA page_size = {spool_log.PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")  # every commit is on disk before it returns
    connection.execute("PRAGMA wal_autocheckpoint = 1000")
    connection.execute("PRAGMA temp_store = MEMORY")  # no copy of what was sent outside of this directory
    connection.executescript(resources.files("onejob.ingest").joinpath("schema.sql").read_text())
    for table, column, kind in _ADDED:
        if column not in _columns(connection, table):
            connection.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")
    if _columns(connection, "identity"):
        connection.execute(_TOKENS_OF_EARLIER)
    connection.execute("DROP INDEX IF EXISTS requests_kind")  # of earlier releases
    connection.execute(_INDEX)
    return connection


def _columns(connection: sqlite3.Connection, table: str) -> set[str]:
    return {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}


def _go_on_from(connection: sqlite3.Connection, progress: SpoolProgress) -> None:
    """Where it was, if the spool is older than that: its log may have lost its end. No number is given out twice."""
    connection.execute("BEGIN IMMEDIATE")
    for kind, reached in progress.kinds.items():
        connection.execute("DELETE FROM requests WHERE kind = ? AND id <= ?", (kind, reached.done))
        connection.execute("DELETE FROM batches WHERE kind = ? AND last_request <= ?", (kind, reached.done))
        here = (kind, reached.first, reached.last)
        waits = "SELECT 1 FROM requests WHERE kind = ? AND id BETWEEN ? AND ? LIMIT 1"
        if reached.token and connection.execute(waits, here).fetchone():
            others = "DELETE FROM batches WHERE kind = ? AND last_request >= ? AND first_request <= ?"
            connection.execute(others, here)
            batch = "INSERT INTO batches (kind, first_request, last_request, token) VALUES (?, ?, ?, ?)"
            connection.execute(batch, (*here, reached.token))
    last = max(max(reached.done, reached.last) for reached in progress.kinds.values())
    (known,) = connection.execute("SELECT ifnull(max(seq), 0) FROM sqlite_sequence WHERE name = 'requests'").fetchone()
    if known < last:
        connection.execute("DELETE FROM sqlite_sequence WHERE name = 'requests'")
        connection.execute("INSERT INTO sqlite_sequence VALUES ('requests', ?)", (last + _ID_GAP,))
    connection.execute("COMMIT")


def _damage(path: Path) -> str:
    """What is wrong with it; empty where nothing is, or it is not there."""
    if not path.exists():
        return ""
    if spool_log.is_damaged(_log_of(path)):  # before SQLite reads it, and deletes it
        return "its log ends before its last transactions"
    try:
        with contextlib.closing(sqlite3.connect(path, timeout=30)) as connection:
            found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
            if found == "ok" and not _all_are_what_they_were(connection):
                return "a request is not what was acknowledged"
    except sqlite3.DatabaseError as error:
        return str(error)
    return "" if found == "ok" else found.replace("\n", " ")


def _all_are_what_they_were(connection: sqlite3.Connection) -> bool:
    if "digest" not in _columns(connection, "requests"):
        return True
    rows = connection.execute("SELECT kind, digest, payload FROM requests WHERE digest IS NOT NULL")
    return all(_is_what_it_was(*row) for row in rows)


def _is_what_it_was(kind: object, digest: object, payload: object) -> bool:
    return kind in _PERSON and isinstance(payload, bytes) and digest_of(payload, kind) == digest


def _log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def _delete(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _replace(path: Path, rescued: Path, damage: str, progress: SpoolProgress) -> None:
    """Whenever this ends midway, the next start finds either the damaged file or all that was rescued."""
    if spool_log.is_damaged(_log_of(path)):
        spool_log.mend(_log_of(path))
    with contextlib.closing(_connect(rescued)) as into, contextlib.closing(sqlite3.connect(path)) as damaged:
        count, lost = _rescue(damaged, into, progress)
    aside = path.with_name(f"{path.stem}-damaged-{time.time_ns()}{path.suffix}")
    path.rename(aside)
    if _log_of(path).exists():
        _log_of(path).rename(_log_of(aside))
    rescued.rename(path)
    log.error(
        "The spool was damaged (%s). Of what had been acknowledged and waited to be stored, %s could be read and %s "
        "could not: these are lost. The damaged file is kept as %s. Look at the disk.",
        damage, plural(count, "request"), plural(lost, "request"), aside,
    )  # fmt: skip


def _rescue(damaged: sqlite3.Connection, into: sqlite3.Connection, progress: SpoolProgress) -> tuple[int, int]:
    """How many requests could be read, and how many could not."""
    damaged.text_factory = lambda data: data.decode(errors="replace")
    into.execute("BEGIN")
    for table in _BESIDE:
        for order in ("ASC", "DESC"):  # up to a bad page, from either end
            for row in _rows(damaged, f"{table} ORDER BY 1 {order}"):
                if row.get("kind", "traces") in _PERSON:
                    _insert(into, table, row)
    into.execute("UPDATE digests SET seen_at = 0")  # now, on the new file's clock
    found = _requests(damaged, progress)
    lost = [digest for request_id, digest in sorted(found.items()) if not _copy_request(damaged, into, request_id)]
    for table in ("digests", "imported"):
        into.executemany(f"DELETE FROM {table} WHERE digest = ?", [(digest,) for digest in lost])  # noqa: S608
    into.execute("DELETE FROM batches WHERE typeof(first_request) || typeof(last_request) != 'integerinteger'")
    (last,) = into.execute("SELECT ifnull(max(last_request), 0) FROM batches").fetchone()
    into.execute("DELETE FROM sqlite_sequence WHERE name = 'requests'")
    into.execute("INSERT INTO sqlite_sequence VALUES ('requests', ?)", (max(last, *found, 0) + _ID_GAP,))
    into.execute("COMMIT")
    return len(found) - len(lost), len(lost)


def _requests(damaged: sqlite3.Connection, progress: SpoolProgress) -> dict[int, Any]:
    """The digests of all that are not stored, by id: of the table and of its index, each as far as it can be read from
    either end.
    """
    found: dict[int, Any] = {}
    stored = set[int]()
    for source in ("INDEXED BY requests_by_kind ORDER BY kind {0}, id {0}", "NOT INDEXED ORDER BY id {0}"):
        for order in ("ASC", "DESC"):
            for row in _rows(damaged, f"requests {source.format(order)}", "id, kind, digest"):
                found.setdefault(row["id"], row["digest"])
                if _is_stored(row, progress):
                    stored.add(row["id"])
    for row in _rows(damaged, "requests ORDER BY id", "id") if not found else ():  # of an earlier release
        found[row["id"]] = None
    return {one: digest for one, digest in found.items() if isinstance(one, int) and one not in stored}


def _is_stored(row: Row, progress: SpoolProgress) -> bool:
    kind = row["kind"]
    return kind in _PERSON and isinstance(row["id"], int) and row["id"] <= progress.kinds[kind].done


def _copy_request(damaged: sqlite3.Connection, into: sqlite3.Connection, request_id: int) -> bool:
    for row in _rows(damaged, f"requests NOT INDEXED WHERE id = {request_id}"):
        if _is_whole(row) and _insert(into, "requests", row):
            if row.get("digest") is not None:  # which may have been on a bad page where it is looked for
                _insert(into, "digests", {"digest": row["digest"], "seen_at": 0})
            return True
    return False


def _is_whole(row: Row) -> bool:
    kind, payload, digest = row.get("kind", "traces"), row["payload"], row.get("digest")
    if not isinstance(payload, bytes) or not isinstance(row["spans"], int) or row["size"] != len(payload):
        return False
    return kind in _PERSON if digest is None else _is_what_it_was(kind, digest, payload)


def _rows(damaged: sqlite3.Connection, source: str, columns: str = "*") -> Iterator[Row]:
    """By the names of their columns, until one cannot be read."""
    with contextlib.suppress(sqlite3.DatabaseError):
        found = damaged.execute(f"SELECT {columns} FROM {source}")  # noqa: S608  our own words
        names = [column[0] for column in found.description]
        for row in found:
            yield dict(zip(names, row, strict=True))


def _insert(into: sqlite3.Connection, table: str, row: Row) -> bool:
    holes = ", ".join("?" * len(row))
    sql = f"INSERT OR IGNORE INTO {table} ({', '.join(row)}) VALUES ({holes})"  # noqa: S608  our own names
    return into.execute(sql, tuple(row.values())).rowcount == 1
