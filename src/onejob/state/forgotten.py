"""When a customer was forgotten last, so that nothing that was read before is kept afterwards.

Problem: a look at telemetry takes seconds, a replay of history minutes, on any of several servers. What they found may
name a customer who is forgotten meanwhile. Solution: whoever is about to read asks `as_of` when first. The transaction
that keeps what was found looks again (`refuse_if_older`), and keeps nothing if somebody was forgotten since: who was
refused reads anew.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, select, text
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from onejob.state.database import Database
from onejob.state.errors import ForgottenMeanwhileError
from onejob.state.tables import reading_positions

_NAME = "evidence"  # beside the positions of readers, under the name that it had when it was about evidence alone
_LOCK = "SELECT pg_advisory_xact_lock{shared}(hashtext(current_schema() || '.forgotten'))"  # a project has its schema


@dataclass(frozen=True, slots=True)
class AsOf:
    """What was read after this moment, and before anybody else was forgotten; None: nobody ever was."""

    moment: datetime | None


def as_of(database: Database) -> AsOf:
    """To be asked before anything is read that may name customers."""
    with database.read() as connection:
        return AsOf(_stands(connection))


def refuse_if_older(connection: Connection, read: AsOf | None) -> None:
    """Raise ForgottenMeanwhileError if somebody was forgotten since. None: what is kept names nobody."""
    if read is None:
        return
    _lock(connection, shared="_shared")
    if _stands(connection) != read.moment:
        raise ForgottenMeanwhileError(
            "A customer's data was deleted while this was being read, so nothing of it is kept: read it again."
        )


def nothing_older(database: Database, now: datetime) -> None:
    """From here on nothing is kept that was read before. What is being kept at this moment is there when this ends."""
    with database.write() as connection:
        _lock(connection)
        before = _stands(connection)
        moment = now if before is None else max(now, before + timedelta(microseconds=1))  # a clock may be set back
        values = {"name": _NAME, "read_until": moment}
        statement = (insert_sqlite if database.is_sqlite else insert_postgresql)(reading_positions).values(values)
        connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=values))


def _stands(connection: Connection) -> datetime | None:
    query = select(reading_positions.c.read_until).where(reading_positions.c.name == _NAME)
    return connection.execute(query).scalar_one_or_none()


def _lock(connection: Connection, *, shared: str = "") -> None:
    """SQLite has one writer at a time anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(_LOCK.format(shared=shared)))
