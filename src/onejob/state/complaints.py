"""Complaints, each stored once however often it is told, with the deployments that they follow.

What is told of a ticket may come twice and out of order: each word carries its time, and an older one than the newest
known changes nothing. So a ticket that is gone stays on record, without its customer and its text, to be gone for good.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, delete, exists, insert, literal, select, tuple_
from sqlalchemy import update as change
from sqlalchemy.dialects.postgresql import insert as insert_postgresql
from sqlalchemy.dialects.sqlite import insert as insert_sqlite

from onejob.model.complaint import Complaint, Followed, Told, Withdrawn
from onejob.state.database import Database
from onejob.state.errors import NotTheirsError
from onejob.state.paging import Page, decode_cursor, encode_cursor
from onejob.state.tables import complaint_deployments, complaints, deployments

_C = complaints.c
_SHOWN = tuple(
    _C[name]
    for name in (
        "id", "source", "reference", "customer", "at", "summary", "url", "service", "is_closed", "received_at",
    )
)  # fmt: skip
_OF_DEPLOYMENT = ("service", "environment", "version")
_GONE: dict[str, Any] = {"customer": "", "summary": "", "reference": "", "url": None, "service": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplaintFilter:
    """What a list shows; None means all. `since` and `until` bound when they were made: [since, until)."""

    customer: str | None = None
    deployment_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


class Complaints:
    """The complaints in the database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def tell(self, told: Told, now: datetime, *, only_of: str | None = None) -> tuple[Complaint, bool]:
        """Store what a ticket says now; whether it is new. An older word than the newest one changes nothing.

        `only_of` a service: NotTheirsError if the ticket is here as another's, or was withdrawn.
        """
        row_id = complaint_id(told.source, told.external_id)
        values = asdict(told)
        row = values | {"id": row_id, "received_at": now, "withdrawn_at": None}
        with self._database.write() as connection:
            is_new = self._add(connection, row)
            if not is_new:
                if only_of is not None:
                    _check_it_is_of(connection, row_id, only_of)
                is_due = (_C.id == row_id, _C.told_at <= told.told_at)
                connection.execute(change(complaints).where(*is_due).values(values | {"withdrawn_at": None}))
            return _one(connection, row_id), is_new

    def withdraw(self, gone: Withdrawn, now: datetime) -> bool:
        """Its customer and text are deleted. Whether it was on record until now.

        One that was deleted before it was heard of is kept in mind: what is told of it late must not bring it back.
        """
        row_id = complaint_id(gone.source, gone.external_id)
        empty = {**_GONE, "told_at": gone.told_at, "withdrawn_at": now}
        row = {"id": row_id, "source": gone.source, "external_id": gone.external_id, "at": gone.told_at}
        is_due = (_C.id == row_id, _C.told_at <= gone.told_at)
        with self._database.write() as connection:
            there = select(_C.id).where(*is_due, _C.withdrawn_at.is_(None))
            was_there = connection.execute(there).first() is not None
            connection.execute(change(complaints).where(*is_due).values(empty))
            if was_there:
                _match(connection, row_id, ())
            elif gone.is_deleted:
                self._add(connection, row | empty | {"is_closed": True, "received_at": now})
        return was_there

    def remove(self, row_id: str, now: datetime) -> bool:
        """As `withdraw`, by its id; only what is told of the ticket later brings it back."""
        with self._database.write() as connection:
            there = (_C.id == row_id, _C.withdrawn_at.is_(None))
            removed = connection.execute(
                change(complaints).where(*there).values({**_GONE, "told_at": now, "withdrawn_at": now})
            )
            if removed.rowcount:
                _match(connection, row_id, ())
            return removed.rowcount > 0

    def follow(self, matches: Mapping[str, Sequence[str]]) -> None:
        """Store which deployments complaints follow, the latest first; those that are gone follow none."""
        with self._database.write() as connection:
            for row_id, followed in matches.items():
                is_there = select(_C.id).where(_C.id == row_id, _C.withdrawn_at.is_(None))
                _match(connection, row_id, followed if connection.execute(is_there).first() else ())

    def get(self, row_id: str) -> Complaint | None:
        """The complaint with this id, unless it was withdrawn."""
        with self._database.read() as connection:
            found = _complaints(connection, _list(ComplaintFilter()).where(_C.id == row_id))
        return found[0] if found else None

    def page(self, wanted: ComplaintFilter, *, limit: int = 50, cursor: str | None = None) -> Page[Complaint]:
        """Newest first; BadCursorError for a cursor that was never handed out."""
        query = _list(wanted).limit(limit + 1)
        if cursor is not None:
            at, row_id = decode_cursor(cursor)
            query = query.where(tuple_(_C.at, _C.id) < tuple_(literal(at, _C.at.type), literal(row_id, _C.id.type)))
        with self._database.read() as connection:
            found = _complaints(connection, query)
        last = found[limit - 1] if len(found) > limit else None
        return Page(tuple(found[:limit]), encode_cursor(last.at, last.id) if last else None)

    def recent(self, since: datetime, received_since: datetime, limit: int) -> list[Complaint]:
        """Made since then or received since then, the newest first: what may still follow another deployment."""
        query = _list(ComplaintFilter()).where((_C.at >= since) | (_C.received_at >= received_since)).limit(limit)
        with self._database.read() as connection:
            return _complaints(connection, query)

    def forget(self, customers: Collection[str]) -> int:
        """Delete all that these customers said, for good; how many."""
        return self._delete(_C.customer.in_(sorted(customers)) & _C.withdrawn_at.is_(None))

    def forget_before(self, before: datetime) -> int:
        """Delete those of whom nothing was heard since; how many."""
        return self._delete((_C.received_at < before) & (_C.told_at < before))

    def _delete(self, chosen: ColumnElement[bool]) -> int:
        rows = select(_C.id).where(chosen)
        with self._database.write() as connection:
            connection.execute(delete(complaint_deployments).where(complaint_deployments.c.complaint_id.in_(rows)))
            return connection.execute(delete(complaints).where(chosen)).rowcount

    def _add(self, connection: Connection, row: Mapping[str, Any]) -> bool:
        """False if it is there."""
        make = insert_sqlite if self._database.is_sqlite else insert_postgresql
        statement = make(complaints).values(row).on_conflict_do_nothing(index_elements=["id"])
        return connection.execute(statement.returning(_C.id)).first() is not None


def complaint_id(source: str, external_id: str) -> str:
    """The same for the same ticket.

    >>> complaint_id("jira", "https://acme.atlassian.net/10040")
    'cmp_2b58fabb27dbe75537e7'
    """
    named = "\x00".join((source, external_id))
    return "cmp_" + hashlib.sha256(named.encode("utf-8", "replace")).hexdigest()[:20]


def _check_it_is_of(connection: Connection, row_id: str, service: str) -> None:
    is_theirs = (_C.id == row_id, _C.service == service, _C.withdrawn_at.is_(None))
    if connection.execute(select(_C.id).where(*is_theirs)).first() is None:
        raise NotTheirsError(f"That ticket is not known as one about {service}.")


def _match(connection: Connection, row_id: str, followed: Sequence[str]) -> None:
    links = complaint_deployments.c
    connection.execute(delete(complaint_deployments).where(links.complaint_id == row_id))
    if followed:
        rows = [{"complaint_id": row_id, "deployment_id": one, "place": place} for place, one in enumerate(followed)]
        connection.execute(insert(complaint_deployments), rows)


def _list(wanted: ComplaintFilter) -> Select[Any]:
    conditions: list[ColumnElement[bool]] = [_C.withdrawn_at.is_(None)]
    if wanted.customer is not None:
        conditions.append(_C.customer == wanted.customer)
    if wanted.deployment_id is not None:
        links = complaint_deployments.c
        conditions.append(exists().where(links.complaint_id == _C.id, links.deployment_id == wanted.deployment_id))
    if wanted.since is not None:
        conditions.append(_C.at >= wanted.since)
    if wanted.until is not None:
        conditions.append(_C.at < wanted.until)
    return select(*_SHOWN).where(*conditions).order_by(_C.at.desc(), _C.id.desc())


def _one(connection: Connection, row_id: str) -> Complaint:
    return _complaints(connection, select(*_SHOWN).where(_C.id == row_id))[0]


def _complaints(connection: Connection, query: Select[Any]) -> list[Complaint]:
    rows = connection.execute(query).mappings().all()
    links, ids = complaint_deployments.c, [row["id"] for row in rows]
    columns = (links.complaint_id, links.deployment_id, *(deployments.c[name] for name in _OF_DEPLOYMENT))
    joined = complaint_deployments.join(deployments, deployments.c.id == links.deployment_id)
    followed = select(*columns).select_from(joined).where(links.complaint_id.in_(ids))
    by_complaint: dict[str, list[Followed]] = {}
    for row_id, *one in connection.execute(followed.order_by(links.complaint_id, links.place)).all():
        named = dict(zip(("deployment_id", *_OF_DEPLOYMENT), one, strict=True))
        by_complaint.setdefault(row_id, []).append(Followed(**named))
    return [Complaint(**dict(row), deployments=tuple(by_complaint.get(row["id"], ()))) for row in rows]
