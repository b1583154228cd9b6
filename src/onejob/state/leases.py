"""Leases: of several processes on one database, one does the judging."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, or_
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from onejob.state.database import Database
from onejob.state.tables import leases


class Leases:
    """The leases in the database. Clocks of several hosts must agree to well within a lease's time."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._clock = clock

    def acquire(self, name: str, holder: str, ttl_s: float) -> bool:
        """Take or prolong the lease; False while somebody else holds it."""
        now = self._clock()
        values = {"holder": holder, "expires_at": now + timedelta(seconds=ttl_s)}
        make = insert_sqlite if self._database.is_sqlite else insert_postgresql
        statement = (
            make(leases)
            .values(name=name, **values)
            .on_conflict_do_update(
                index_elements=["name"],
                set_=values,
                where=or_(leases.c.holder == holder, leases.c.expires_at <= now),
            )
            .returning(leases.c.holder)
        )
        with self._database.write() as connection:
            return connection.execute(statement).scalar_one_or_none() is not None

    def release(self, name: str, holder: str) -> None:
        """Give the lease back before it runs out."""
        with self._database.write() as connection:
            connection.execute(delete(leases).where(leases.c.name == name, leases.c.holder == holder))
