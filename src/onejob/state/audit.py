"""The audit log in the database: entries are added and read, never changed.

Two that are written at once must not both follow the same entry: writers wait for one another, on SQLite as all writers
do, on PostgreSQL by a lock that ends with the transaction.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, insert, select, text

from onejob.model.audit import START, AuditEntry, Head, digest
from onejob.state.database import Database
from onejob.state.tables import audit

_LOCK = 0x6F6E656A6F62_61  # any number that nobody else's advisory lock has
_MOST_CHARACTERS = 300


class Audit:
    """Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, at: datetime, *, actor: str, action: str, object: str, source: str, detail: str = "") -> None:
        """Add an entry. It is on disk when this returns; StateUnavailableError if it is not."""
        with self._database.write() as connection:
            if not self._database.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            before = _head(connection)
            said = {"actor": actor, "action": action, "object": object, "source": source, "detail": detail}
            row: dict[str, Any] = {name: _plain(value) for name, value in said.items()}
            row |= {"seq": before.seq + 1, "at": at, "previous": before.hash}
            connection.execute(insert(audit).values(row | {"hash": digest(**row)}))

    def after(self, seq: int, limit: int) -> list[AuditEntry]:
        """Entries in the order they were written, from the one after `seq` on."""
        return self._some(select(audit).where(audit.c.seq > seq).order_by(audit.c.seq).limit(limit))

    def before(self, seq: int | None, limit: int) -> list[AuditEntry]:
        """Entries with the newest first, from the one before `seq` on."""
        query = select(audit).order_by(audit.c.seq.desc()).limit(limit)
        return self._some(query if seq is None else query.where(audit.c.seq < seq))

    def head(self) -> Head:
        """Where the log ends now."""
        with self._database.read() as connection:
            return _head(connection)

    def _some(self, query: Any) -> list[AuditEntry]:
        with self._database.read() as connection:
            return [_entry(row) for row in connection.execute(query).mappings()]


def _head(connection: Connection) -> Head:
    last = connection.execute(select(audit.c.seq, audit.c.hash).order_by(audit.c.seq.desc()).limit(1)).one_or_none()
    return START if last is None else Head(last.seq, last.hash)


def _entry(row: RowMapping) -> AuditEntry:
    return AuditEntry(**row)


def _plain(value: str) -> str:
    """What both databases keep as it is: no NUL, no half of a surrogate pair; bounded, as names come from strangers."""
    shown = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in value)
    return shown if len(shown) <= _MOST_CHARACTERS else f"{shown[: _MOST_CHARACTERS - 1]}…"
