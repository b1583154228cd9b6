"""Requests that were acknowledged and that the engine refuses: kept, so that they can be looked at and tried again.

They lie in the spool's file, so that moving one there and back is one transaction: it is in exactly one place, whatever
dies. Each remembers the token of its last try. Should the engine have kept a part of it after all, the same token makes
the next try complete it instead of doubling it. A request that fills several tables was refused by one of them: only
that one is tried again.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from onejob.model.telemetry import Kind

if TYPE_CHECKING:
    from onejob.ingest.spool import SpooledRequest

log = logging.getLogger(__name__)

MOST_KEPT = 1000
_RESTORED = "Restored from a backup: if the engine had kept a part of it, a replay stores that part twice. "
REQUESTS: Mapping[Kind, type[Message]] = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the engine had against a request, under which token, and for which of its tables (a bit)."""

    error: str
    token: str
    table: int = 1


Refusals = Mapping[int, Sequence[Refusal]]  # by the request's id


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """`id` is another one after each time it died; `items` are spans, log records or data points, as `kind` says."""

    id: int
    died_at: datetime
    kind: Kind
    items: int
    size_bytes: int
    error: str


def keep(connection: sqlite3.Connection, kind: Kind, requests: Sequence[SpooledRequest], refused: Refusals) -> None:
    """Those of the requests that were refused, by their id. The oldest go when there are too many."""
    sql = "INSERT INTO dead_letters (died_at, spans, error, payload, token, kind, tables) VALUES (?, ?, ?, ?, ?, ?, ?)"
    for request in requests:
        for refusal in refused.get(request.id, ()):
            what = (request.items, refusal.error, request.payload, refusal.token, kind, refusal.table)
            connection.execute(sql, (time.time(), *what))
    too_many = count(connection) - MOST_KEPT
    if refused and too_many > 0:
        oldest = "SELECT id FROM dead_letters ORDER BY id LIMIT ?"
        connection.execute(f"DELETE FROM dead_letters WHERE id IN ({oldest})", (too_many,))  # noqa: S608
        log.error("%d dead letters were given up: only the last %d are kept.", too_many, MOST_KEPT)


def revive(connection: sqlite3.Connection, letter_id: int) -> bool:
    """Back among the requests; False if it is not here (any more)."""
    connection.execute(
        "INSERT INTO requests (received_at, spans, size, payload, token, kind, tables) "
        "SELECT ?, spans, length(payload), payload, token, kind, tables FROM dead_letters WHERE id = ?",
        (time.time(), letter_id),
    )
    return connection.execute("DELETE FROM dead_letters WHERE id = ?", (letter_id,)).rowcount == 1


def listed(connection: sqlite3.Connection) -> list[DeadLetter]:
    """The oldest first."""
    sql = "SELECT id, died_at, kind, spans, length(payload), error FROM dead_letters ORDER BY id"
    return [
        DeadLetter(
            id=row[0],
            died_at=datetime.fromtimestamp(row[1], UTC),
            kind=row[2],
            items=row[3],
            size_bytes=row[4],
            error=row[5],
        )
        for row in connection.execute(sql)
    ]


def count(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM dead_letters").fetchone()[0])


def forget(connection: sqlite3.Connection, attribute: str, value: str) -> int:
    """Delete those in which the attribute has the value, or that cannot be read; how many."""
    rows = connection.execute("SELECT id, kind, payload FROM dead_letters").fetchall()
    naming = [(letter_id,) for letter_id, kind, payload in rows if _names(kind, payload, attribute, value)]
    connection.executemany("DELETE FROM dead_letters WHERE id = ?", naming)
    return len(naming)


def tell_restored(connection: sqlite3.Connection) -> None:
    """The engine they are in front of now knows none of their tokens: whoever replays one is told what that means."""
    sql = "UPDATE dead_letters SET error = ? || error WHERE error NOT LIKE ?"
    connection.execute(sql, (_RESTORED, f"{_RESTORED}%"))


def _names(kind: Kind, payload: bytes, attribute: str, value: str) -> bool:
    if attribute.encode() not in payload:
        return False
    try:
        request = REQUESTS[kind].FromString(payload)
    except DecodeError:
        return True
    return any(pair.key == attribute and _text(pair.value) == value for pair in _pairs(request))


def _pairs(message: Message) -> Iterator[KeyValue]:
    """All attributes in it, however deep."""
    if isinstance(message, KeyValue):
        yield message
    for field, held in message.ListFields():
        if field.message_type is not None:
            for inner in held if isinstance(held, Sequence) else (held,):
                yield from _pairs(inner)


def _text(value: AnyValue) -> str:
    """As the tables have a value that is no array, map or bytes."""
    member = value.WhichOneof("value")
    held = getattr(value, member) if member else ""
    return str(held).lower() if isinstance(held, bool) else str(held)
