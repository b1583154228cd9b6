"""The errors and log messages that telemetry has shown: what is known of each, and what people said of it.

Who reads telemetry hands in what to store together with how far it read, in one transaction: after a crash, everything
or nothing of a look is there. What a look found is weighed against what is known inside of it (`decide`).
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, case, delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from onejob.model.known_error import ErrorKind, KnownError, SeenIn, StatusChange
from onejob.state import readings
from onejob.state.database import Database
from onejob.state.errors import NotFoundError
from onejob.state.tables import known_error_changes, known_error_versions, known_errors

_MOST_BOUND = 500  # values in one statement


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnt:
    """What to store of a look: errors as they are known now, by which versions they were shown, and what that changed.

    Versions and changes are named with the id of their error.
    """

    errors: Sequence[KnownError] = ()
    seen_in: Sequence[tuple[str, SeenIn]] = ()
    changes: Sequence[tuple[str, StatusChange]] = ()


Decide = Callable[[Mapping[str, KnownError]], Learnt]
Change = Callable[[KnownError], tuple[KnownError, StatusChange]]


class KnownErrors:
    """The errors in the database. Lists are `state/error_lists.py`'s."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def learn(self, reading: readings.Reading, ids: Collection[str], decide: Decide) -> Learnt:
        """Store what a look found; ConflictError if another one has read what it read. `decide` gets those of `ids`."""
        with self._database.write() as connection:
            readings.advance(connection, reading, self._database.is_sqlite)
            learnt = decide(_some(connection, ids, to_change=True))
            self._store(connection, learnt)
        return learnt

    def get(self, error_id: str) -> KnownError | None:
        """The error with this id."""
        with self._database.read() as connection:
            return _some(connection, [error_id]).get(error_id)

    def change(self, error_id: str, change: Change) -> KnownError:
        """Store what a person says of one; NotFoundError if there is none."""
        with self._database.write() as connection:
            found = _some(connection, [error_id], to_change=True).get(error_id)
            if found is None:
                raise NotFoundError(f"There is no error {error_id}: GET /api/v1/errors lists what there is.")
            changed, what = change(found)
            self._store(connection, Learnt(errors=[changed], changes=[(error_id, what)]))
        return changed

    def seen_in(self, error_id: str) -> list[SeenIn]:
        """By which versions it was shown, the latest first."""
        of_error = known_error_versions.c.error_id == error_id
        newest = (known_error_versions.c.last_seen_at.desc(), known_error_versions.c.version)
        columns = [known_error_versions.c[one.name] for one in fields(SeenIn)]
        with self._database.read() as connection:
            rows = connection.execute(select(*columns).where(of_error).order_by(*newest)).mappings()
            return [SeenIn(**row) for row in rows]

    def history(self, error_id: str) -> list[StatusChange]:
        """What people and telemetry said of it, the oldest first."""
        columns = [known_error_changes.c[one.name] for one in fields(StatusChange)]
        query = select(*columns).where(known_error_changes.c.error_id == error_id).order_by(known_error_changes.c.id)
        with self._database.read() as connection:
            return [StatusChange(**row) for row in connection.execute(query).mappings()]

    def first_shown(self, service: str, environment: str) -> dict[str, datetime]:
        """When each version of a service first showed any error."""
        here = (known_errors.c.service == service, known_errors.c.environment == environment)
        versions = known_error_versions.c
        joined = known_error_versions.join(known_errors, known_errors.c.id == versions.error_id)
        columns = (versions.version, func.min(versions.first_seen_at, type_=versions.first_seen_at.type))
        query = select(*columns).select_from(joined).where(*here).group_by(versions.version)
        with self._database.read() as connection:
            return {row.version: row[1] for row in connection.execute(query)}

    def count_of(self, service: str, environment: str) -> int:
        """How many of a service are known."""
        here = (known_errors.c.service == service, known_errors.c.environment == environment)
        with self._database.read() as connection:
            return connection.execute(select(func.count()).select_from(known_errors).where(*here)).scalar_one()

    def forget(self, before: datetime) -> int:
        """Delete what was not seen since; how many."""
        old = select(known_errors.c.id).where(known_errors.c.last_seen_at < before)
        with self._database.write() as connection:
            for table in (known_error_versions, known_error_changes):
                connection.execute(delete(table).where(table.c.error_id.in_(old)))
            return connection.execute(delete(known_errors).where(known_errors.c.last_seen_at < before)).rowcount

    def _store(self, connection: Connection, learnt: Learnt) -> None:
        make = insert_sqlite if self._database.is_sqlite else insert_postgresql
        if learnt.errors:
            statement = make(known_errors)
            renewed = {one.name: one for one in statement.excluded if one.name != "id"}
            rows = [_to_row(error) for error in learnt.errors]
            connection.execute(statement.on_conflict_do_update(index_elements=["id"], set_=renewed), rows)
        if learnt.seen_in:
            statement = make(known_error_versions)
            known, said = known_error_versions.c, statement.excluded
            first = case((said.first_seen_at < known.first_seen_at, said.first_seen_at), else_=known.first_seen_at)
            last = case((said.last_seen_at > known.last_seen_at, said.last_seen_at), else_=known.last_seen_at)
            merged = statement.on_conflict_do_update(
                index_elements=["error_id", "version"], set_={"first_seen_at": first, "last_seen_at": last}
            )
            connection.execute(merged, _named(learnt.seen_in))
        if learnt.changes:
            connection.execute(insert(known_error_changes), _named(learnt.changes))


def _named(parts: Iterable[tuple[str, SeenIn | StatusChange]]) -> list[dict[str, Any]]:
    return [{"error_id": of, **{one.name: getattr(part, one.name) for one in fields(part)}} for of, part in parts]


def _some(connection: Connection, ids: Collection[str], *, to_change: bool = False) -> dict[str, KnownError]:
    found, ordered = {}, sorted(ids)
    for start in range(0, len(ordered), _MOST_BOUND):
        query = select(known_errors).where(known_errors.c.id.in_(ordered[start : start + _MOST_BOUND]))
        rows = connection.execute(query.with_for_update() if to_change else query).mappings()
        found.update({row["id"]: error_from_row(row) for row in rows})
    return found


def error_from_row(row: RowMapping) -> KnownError:
    """The error in a row with all columns."""
    values: dict[str, Any] = dict(row)
    return KnownError(**values | {"kind": ErrorKind(values["kind"])})


def _to_row(error: KnownError) -> dict[str, Any]:
    values = {one.name: getattr(error, one.name) for one in fields(error)}
    return values | {"kind": error.kind.value}
