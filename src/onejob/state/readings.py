"""How far telemetry was read, and what a reader needs to go on there: log templates learnt so far.

Both move on in the transaction that stores what was read. Whoever moves a position says where it stood; if it stands
elsewhere by now, somebody else has read the same, and nothing of the look is stored.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from onejob.state.database import Database
from onejob.state.errors import ConflictError
from onejob.state.forgotten import AsOf, as_of, refuse_if_older
from onejob.state.tables import log_templates, reading_positions

Place = tuple[str, str]  # service, environment


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """`name` has read to `until`, from `since` on; None if it never had read before.

    `templates` are the log templates of services as they are now, as bytes that only the reader understands. `read` is
    from before it began.
    """

    name: str
    since: datetime | None
    until: datetime
    templates: Mapping[Place, bytes] = field(default_factory=dict)
    read: AsOf | None = None


class Readings:
    """The positions in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def as_of(self) -> AsOf:
        """For what is read from now on."""
        return as_of(self._database)

    def position(self, name: str) -> datetime | None:
        """How far it was read."""
        query = select(reading_positions.c.read_until).where(reading_positions.c.name == name)
        with self._database.read() as connection:
            return connection.execute(query).scalar_one_or_none()

    def templates(self, place: Place) -> bytes | None:
        """The log templates of a service in an environment."""
        here = (log_templates.c.service == place[0], log_templates.c.environment == place[1])
        with self._database.read() as connection:
            return connection.execute(select(log_templates.c.document).where(*here)).scalar_one_or_none()


def advance(connection: Connection, reading: Reading, is_sqlite: bool) -> None:
    """ConflictError if somebody else has; see also `forgotten`."""
    refuse_if_older(connection, reading.read)
    insert: Any = insert_sqlite if is_sqlite else insert_postgresql
    positions = reading_positions
    moved: Any
    if reading.since is None:
        moved = insert(positions).values(name=reading.name, read_until=reading.until).on_conflict_do_nothing()
    else:
        stands = (positions.c.name == reading.name, positions.c.read_until == reading.since)
        moved = update(positions).where(*stands).values(read_until=reading.until)
    if connection.execute(moved.returning(positions.c.name)).scalar_one_or_none() is None:
        raise ConflictError(f"{reading.name} were read on by somebody else: what this look found is theirs as well.")
    for (service, environment), document in reading.templates.items():
        values = {"service": service, "environment": environment, "document": document}
        statement = insert(log_templates).values(values)
        connection.execute(statement.on_conflict_do_update(index_elements=["service", "environment"], set_=values))
