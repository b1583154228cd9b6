"""How often something was tried lately, counted for all servers of one database together.

A key's window begins with its first try. Of several servers at once each counts: a row is locked while it is changed.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, case, delete, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from onejob.state.database import Database
from onejob.state.tables import tries

WINDOW = timedelta(minutes=15)
PROVEN_LASTS = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Tried:
    """`is_proven`: what was tried here was right once."""

    count: int
    until: datetime
    is_proven: bool


class _FullError(Exception):
    """Nothing is counted."""


class TryCounts:
    """Those in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def find(self, keys: Collection[str], now: datetime) -> Mapping[str, Tried]:
        """Of those among these that were tried, or proven, lately."""
        with self._database.read() as connection:
            rows = connection.execute(select(tries).where(tries.c.key.in_(keys))).mappings().all()
        return {row["key"]: _tried(row, now) for row in rows}

    def add(self, most: Mapping[str, int], now: datetime) -> bool:
        """One more try under each key; False, and nothing is counted, if one of them has had its most."""
        try:
            with self._database.write() as connection:
                for key in sorted(most):  # in one order everywhere, or two servers could wait for each other
                    if connection.execute(self._one_more(key, now)).scalar_one() > most[key]:
                        raise _FullError
        except _FullError:
            return False
        return True

    def prove(self, key: str, now: datetime) -> None:
        """What was tried is right: it starts anew."""
        row = {"since": now, "count": 0, "is_told": False, "proven_at": now}
        upsert = self._insert(key, row).on_conflict_do_update(index_elements=["key"], set_=row)
        with self._database.write() as connection:
            connection.execute(upsert)

    def tell(self, key: str) -> bool:
        """Whether nobody was told yet that there were too many."""
        told = update(tries).where(tries.c.key == key, tries.c.is_told.is_(False)).values(is_told=True)
        with self._database.write() as connection:
            return connection.execute(told).rowcount == 1

    def clean(self, now: datetime) -> None:
        """Take away what counts no more. It waits for nobody, so that nobody waits for it in turn."""
        is_unproven = or_(tries.c.proven_at.is_(None), tries.c.proven_at <= now - PROVEN_LASTS)
        old = select(tries.c.key).where(_is_over(now), is_unproven).with_for_update(skip_locked=True)
        with self._database.write() as connection:
            connection.execute(delete(tries).where(tries.c.key.in_(old)))

    def _one_more(self, key: str, now: datetime) -> Any:
        over = _is_over(now)
        changed = {
            "since": case((over, literal(now, tries.c.since.type)), else_=tries.c.since),
            "count": case((over, 1), else_=tries.c.count + 1),
            "is_told": case((over, False), else_=tries.c.is_told),
        }
        first = self._insert(key, {"since": now, "count": 1, "is_told": False})
        return first.on_conflict_do_update(index_elements=["key"], set_=changed).returning(tries.c.count)

    def _insert(self, key: str, row: Mapping[str, Any]) -> Any:
        make = insert_sqlite if self._database.is_sqlite else insert_postgresql
        return make(tries).values(key=key, **row)


def _is_over(now: datetime) -> ColumnElement[bool]:
    return tries.c.since <= now - WINDOW


def _tried(row: Mapping[Any, Any], now: datetime) -> Tried:
    until = row["since"] + WINDOW
    proven_at = row["proven_at"]
    is_proven = proven_at is not None and proven_at > now - PROVEN_LASTS
    return Tried(row["count"] if until > now else 0, until, is_proven)
