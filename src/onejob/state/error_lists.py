"""Lists of known errors: filtered, searched, a page at a time."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Column, ColumnElement, and_, exists, func, literal, or_, select, tuple_

from onejob.model.known_error import NEW_FOR, ErrorStatus, KnownError
from onejob.state.database import Database
from onejob.state.deployments import escaped
from onejob.state.known_errors import error_from_row
from onejob.state.paging import Page, decode_cursor, encode_cursor
from onejob.state.tables import known_error_versions, known_errors

Order = Literal["last_seen", "first_seen"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorFilter:
    """What a list shows; None means all. `version`: shown by it; `new_in`: shown by it before any other.

    `text` is looked for in title, message, id, service and the stack trace or line that is shown, each word by itself.
    `least_severity` is OpenTelemetry's number; messages without one (0) are left out by any other than 0.
    """

    service: str | None = None
    environment: str | None = None
    version: str | None = None
    new_in: str | None = None
    status: ErrorStatus | None = None
    kind: str | None = None
    least_severity: int = 0
    text: str | None = None


def page(
    database: Database,
    wanted: ErrorFilter,
    now: datetime,
    *,
    limit: int = 50,
    cursor: str | None = None,
    order: Order = "last_seen",
) -> Page[KnownError]:
    """Newest first. `now` is what `new` is measured from."""
    column = known_errors.c.first_seen_at if order == "first_seen" else known_errors.c.last_seen_at
    query = select(known_errors).where(*_conditions(wanted, now)).order_by(column.desc(), known_errors.c.id.desc())
    if cursor is not None:
        query = query.where(tuple_(column, known_errors.c.id) < _place(column, *decode_cursor(cursor)))
    with database.read() as connection:
        rows = connection.execute(query.limit(limit + 1)).mappings().all()
    found = tuple(error_from_row(row) for row in rows[:limit])
    last = rows[limit - 1] if len(rows) > limit else None
    return Page(found, encode_cursor(last[column.name], last["id"]) if last is not None else None)


def how_many(database: Database, wanted: ErrorFilter, now: datetime) -> int:
    """That a list of all pages would show."""
    query = select(func.count()).select_from(known_errors).where(*_conditions(wanted, now))
    with database.read() as connection:
        return connection.execute(query).scalar_one()


def services(database: Database) -> list[tuple[str, str]]:
    """(service, environment) of which any is known, sorted."""
    columns = (known_errors.c.service, known_errors.c.environment)
    with database.read() as connection:
        return [(row[0], row[1]) for row in connection.execute(select(*columns).distinct().order_by(*columns))]


def _place(column: Column[Any], at: datetime, row_id: str) -> Any:
    """With the columns' types, so that SQLite compares microseconds with microseconds."""
    return tuple_(literal(at, column.type), literal(row_id, known_errors.c.id.type))


def _conditions(wanted: ErrorFilter, now: datetime) -> list[ColumnElement[bool]]:
    errors = known_errors.c
    equal = {
        errors.service: wanted.service,
        errors.environment: wanted.environment,
        errors.first_version: wanted.new_in,
        errors.kind: wanted.kind,
    }
    conditions: list[ColumnElement[bool]] = [column == value for column, value in equal.items() if value is not None]
    if wanted.version is not None:
        shown = (known_error_versions.c.error_id == errors.id, known_error_versions.c.version == wanted.version)
        conditions.append(exists().where(*shown))
    if wanted.status is not None:
        conditions.append(_has_status(wanted.status, now))
    if wanted.least_severity > 0:
        conditions.append(errors.severity >= wanted.least_severity)
    return [*conditions, *(_contains(word) for word in (wanted.text or "").split())]


def _has_status(status: ErrorStatus, now: datetime) -> ColumnElement[bool]:
    """As KnownError.status_at has it."""
    errors = known_errors.c
    if status is ErrorStatus.REGRESSED:
        return errors.regressed_at.is_not(None)
    if status is ErrorStatus.RESOLVED:
        return and_(errors.regressed_at.is_(None), errors.resolved_at.is_not(None))
    is_new = errors.first_seen_at > now - NEW_FOR
    is_open = and_(errors.regressed_at.is_(None), errors.resolved_at.is_(None))
    return and_(is_open, is_new if status is ErrorStatus.NEW else errors.first_seen_at <= now - NEW_FOR)


def _contains(word: str) -> ColumnElement[bool]:
    pattern = f"%{escaped(word)}%"
    errors = known_errors.c
    searched = (errors.title, errors.message, errors.id, errors.service, errors.sample)
    return or_(*(column.ilike(pattern, escape="\\") for column in searched))
