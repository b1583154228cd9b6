"""Versions that came back and may be rollbacks, while that cannot be told; what is known of each is opaque here."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, and_, delete, insert, select

from onejob.state.database import Database
from onejob.state.tables import waiting_returns

Key = tuple[str, str, str]  # service, environment, version


class WaitingReturns:
    """Those in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[bytes]:
        """What is known of each."""
        with self._database.read() as connection:
            return list(connection.execute(select(waiting_returns.c.document)).scalars())

    def put(self, key: Key, document: bytes) -> None:
        """A newer return of a version takes the place of an older one."""
        with self._database.write() as connection:
            connection.execute(delete(waiting_returns).where(_is(key)))
            row = dict(zip(("service", "environment", "version"), key, strict=True)) | {"document": document}
            connection.execute(insert(waiting_returns).values(row))

    def drop(self, keys: Collection[Key]) -> None:
        """These wait no more."""
        if not keys:
            return
        with self._database.write() as connection:
            for key in keys:
                connection.execute(delete(waiting_returns).where(_is(key)))


def _is(key: Key) -> ColumnElement[bool]:
    columns = (waiting_returns.c.service, waiting_returns.c.environment, waiting_returns.c.version)
    return and_(*(column == value for column, value in zip(columns, key, strict=True)))
