"""Requests that were acknowledged and that the engine refuses: kept, so that they can be looked at and tried again.

They lie in the spool's file, so that moving one there and back is one transaction: it is in exactly one place, whatever
dies. Each remembers the token of its last try. Should the engine have kept a part of it after all, the same token makes
the next try complete it instead of doubling it. A request that fills several tables was refused by one of them: only
that one is tried again.

They take room of the spool until somebody has them tried again or deletes them. None makes way for another: when they
leave no room, nothing more is acknowledged.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from onejob.ingest.letter_contents import Contents, contents_of, has_attribute
from onejob.model.telemetry import Kind

if TYPE_CHECKING:
    from onejob.ingest.spool import SpooledRequest

MOST_LISTED = 1000
_READ_BYTES = 16 * 2**20  # of all that are listed at once: of the others it is not said what is in them
_MOST_ERROR_CHARS = 2000
_PAGE = 100
_ROOM = "length(payload) + length(error)"  # that one takes
_RESTORED = "Restored from a backup: if the engine had kept a part of it, a replay stores that part twice. "


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the engine had against a request, under which token, and for which of its tables (a bit)."""

    error: str
    token: str
    table: int = 1


Refusals = Mapping[int, Sequence[Refusal]]  # by the request's id


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """`id` is another one after each time it died; `items` are spans, log records or data points, as `kind` says.

    `services` are those that sent it, and `first_name` is what its first span or metric is called; of a log record, its
    event or its logger. Of very large ones, and behind many others, neither is looked up.
    """

    id: int
    died_at: datetime
    kind: Kind
    items: int
    size_bytes: int
    error: str
    services: tuple[str, ...] = ()
    first_name: str | None = None


@dataclass(frozen=True, slots=True)
class Extent:
    """How many, and the bytes of the spool's room that they take."""

    letters: int = 0
    bytes: int = 0

    def __add__(self, other: Extent) -> Extent:
        return Extent(self.letters + other.letters, self.bytes + other.bytes)

    def __neg__(self) -> Extent:
        return Extent(-self.letters, -self.bytes)


@dataclass(frozen=True, slots=True)
class Replayable:
    """One that may be tried again; `size` of its payload."""

    id: int
    kind: Kind
    items: int
    size: int


def keep(connection: sqlite3.Connection, kind: Kind, requests: Sequence[SpooledRequest], refused: Refusals) -> Extent:
    """Those of the requests that were refused, by their id."""
    sql = "INSERT INTO dead_letters (died_at, spans, error, payload, token, kind, tables) VALUES (?, ?, ?, ?, ?, ?, ?)"
    kept = Extent()
    for request in requests:
        for refusal in refused.get(request.id, ()):
            error = refusal.error[:_MOST_ERROR_CHARS].replace("\0", "\ufffd")  # SQLite's texts end there
            what = (request.items, error, request.payload, refusal.token, kind, refusal.table)
            connection.execute(sql, (time.time(), *what))
            kept += Extent(1, len(request.payload) + len(error))
    return kept


def revive(connection: sqlite3.Connection, letter_id: int) -> Extent | None:
    """Back among the requests; None if it is not here (any more)."""
    was = _extent(connection, "id = ?", letter_id)
    connection.execute(
        "INSERT INTO requests (received_at, spans, size, payload, token, kind, tables) "
        "SELECT ?, spans, length(payload), payload, token, kind, tables FROM dead_letters WHERE id = ?",
        (time.time(), letter_id),
    )
    connection.execute("DELETE FROM dead_letters WHERE id = ?", (letter_id,))
    return was if was.letters else None


def delete(connection: sqlite3.Connection, ids: Collection[int]) -> Extent:
    """Those of these that are here; what they took."""
    return _delete(connection, "SELECT value FROM json_each(?)", json.dumps(list(ids)))


def expire(connection: sqlite3.Connection, before: float) -> Extent:
    """Delete those that died before, a thousand at most; what they took."""
    sql = "SELECT id FROM dead_letters WHERE died_at < ? ORDER BY died_at, id LIMIT 1000"
    return _delete(connection, sql, before)


def total(connection: sqlite3.Connection) -> Extent:
    """Reads through all of them."""
    return _extent(connection, "1")


def listed(connection: sqlite3.Connection) -> list[DeadLetter]:
    """The oldest first, a thousand at most."""
    sql = "SELECT id, died_at, kind, spans, length(payload), error FROM dead_letters ORDER BY id LIMIT ?"
    left, found = _READ_BYTES, []
    for letter_id, died_at, kind, items, size, error in connection.execute(sql, (MOST_LISTED,)).fetchall():
        contents = Contents()
        if size <= left:
            left -= size
            contents = _contents(connection, letter_id, kind)
        letter = DeadLetter(
            id=letter_id,
            died_at=datetime.fromtimestamp(died_at, UTC),
            kind=kind,
            items=items,
            size_bytes=size,
            error=error,
            services=contents.services,
            first_name=contents.first_name,
        )
        found.append(letter)
    return found


def replayable(
    connection: sqlite3.Connection, ids: Collection[int] | None, most_bytes: int
) -> Iterator[list[Replayable]]:
    """All that are here now, or those of these; so many at once as have these bytes together, but one at least."""
    (last,) = connection.execute("SELECT ifnull(max(id), 0) FROM dead_letters").fetchone()
    wanted, after = None if ids is None else json.dumps(list(ids)), 0
    sql = (
        "SELECT id, kind, spans, length(payload) FROM dead_letters WHERE id > ? AND id <= ? "
        "AND (? IS NULL OR id IN (SELECT value FROM json_each(?))) ORDER BY id LIMIT ?"
    )
    while rows := connection.execute(sql, (after, last, wanted, wanted, _PAGE)).fetchall():
        page: list[Replayable] = []
        for letter in (Replayable(*row) for row in rows):
            if page and sum(one.size for one in page) + letter.size > most_bytes:
                break
            page.append(letter)
        after = page[-1].id
        yield page


def naming(connection: sqlite3.Connection, attribute: str, value: str) -> list[int]:
    """Ids of those in which the attribute has the value, or that cannot be read."""
    found, letter_id = [], 0
    # One at a time: they may be more than memory holds, and an open statement keeps its connection in the past.
    sql = "SELECT id, kind, payload FROM dead_letters WHERE id > ? ORDER BY id LIMIT 1"
    while row := connection.execute(sql, (letter_id,)).fetchone():
        letter_id, kind, payload = row
        if has_attribute(kind, payload, attribute, value):
            found.append(letter_id)
    return found


def tell_restored(connection: sqlite3.Connection) -> None:
    """The engine they are in front of now knows none of their tokens: whoever replays one is told what that means."""
    sql = "UPDATE dead_letters SET error = ? || error WHERE error NOT LIKE ?"
    connection.execute(sql, (_RESTORED, f"{_RESTORED}%"))


def _contents(connection: sqlite3.Connection, letter_id: int, kind: Kind) -> Contents:
    row = connection.execute("SELECT payload FROM dead_letters WHERE id = ?", (letter_id,)).fetchone()
    return contents_of(kind, row[0]) if row else Contents()


def _extent(connection: sqlite3.Connection, where: str, *values: object) -> Extent:
    sql = f"SELECT count(*), ifnull(sum({_ROOM}), 0) FROM dead_letters WHERE {where}"  # noqa: S608  our own words
    return Extent(*connection.execute(sql, values).fetchone())


def _delete(connection: sqlite3.Connection, ids: str, *values: object) -> Extent:
    gone = _extent(connection, f"id IN ({ids})", *values)
    if gone.letters:
        connection.execute(f"DELETE FROM dead_letters WHERE id IN ({ids})", values)  # noqa: S608  our own words
    return gone
