"""Telemetry of the past, request after request, through the same door as that of the present.

Two things are different. A file may be imported again after months, so its requests are recognised for good. And what
is older than the retention would be stored and then vanish without a word: spans whose counts would not be kept either,
and log records and data points, are left out, and all are counted, for whoever imports to be told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from onejob.ingest.bodies import too_large
from onejob.ingest.door import Door
from onejob.ingest.errors import BadRequest, TryLater
from onejob.ingest.kind_of import kind_of_json, kind_of_protobuf
from onejob.ingest.rules import keep
from onejob.ingest.validate import JSON_CHECKS, PROTOBUF_CHECKS, RULES, Accepted, Check
from onejob.model.telemetry import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The request at this place among those sent was not taken, and why."""

    index: int
    why: str


@dataclass(slots=True, kw_only=True)
class Taken:
    """What became of the requests sent.

    `requests` is how many were dealt with; the rest is to be sent again after `wait_s`. `empty` of them hold nothing.
    The others count what is in them: `spans`, `log_records` and `data_points` are on disk now; `repeated` were there
    before; `invalid` cannot be. `expired` are older than any retention and were left out; `fading` are spans that are
    stored, but older than the retention of spans: their counts stay, they themselves do not.
    """

    requests: int = 0
    empty: int = 0
    spans: int = 0
    log_records: int = 0
    data_points: int = 0
    repeated: int = 0
    invalid: int = 0
    expired: int = 0
    fading: int = 0
    refused: list[Refused] = field(default_factory=list)
    wait_s: int | None = None
    wait_why: str = ""

    def count(self, kind: Kind, items: int) -> None:
        if kind == "traces":
            self.spans += items
        elif kind == "logs":
            self.log_records += items
        else:
            self.data_points += items


@dataclass(frozen=True, slots=True)
class Retention:
    """How long spans, the counts made of them, log records and data points are kept."""

    traces: timedelta
    counts: timedelta
    logs: timedelta
    metrics: timedelta

    def of(self, kind: Kind) -> timedelta:
        """Until nothing is left of it."""
        return {"traces": self.counts, "logs": self.logs, "metrics": self.metrics}[kind]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A request on its way to the disk."""

    accepted: Accepted
    fading: int
    done: Future[bool]


@dataclass(frozen=True, slots=True)
class Backfill:
    """Takes requests of the past."""

    door: Door
    retention: Retention
    clock: Callable[[], datetime]

    def take(self, form: str, bodies: Sequence[bytes]) -> Taken:
        """`form` is `json` or `protobuf`. Returns when all that was taken is on disk."""
        taken, waiting = Taken(), list[_Waiting]()
        for index, body in enumerate(bodies):
            try:
                waiting += self._take(_check_of(form, body), body, taken)
            except TryLater as error:
                taken.wait_s, taken.wait_why = error.retry_after_s, str(error)
                break
            except BadRequest as error:
                taken.refused.append(Refused(index=index, why=str(error)))
            taken.requests += 1
        return _on_disk(waiting, taken)

    def _take(self, check: Check, body: bytes, taken: Taken) -> list[_Waiting]:
        if len(body) > self.door.max_request_bytes:
            raise too_large(self.door.max_request_bytes)
        counted = Taken()

        def without_expired(data: bytes) -> Accepted:
            accepted = check(data)
            counted.invalid = accepted.rejected
            return self._without_expired(accepted, counted)

        accepted, done = self.door.check_and_spool(body, without_expired, through="import", for_good=True)
        taken.empty += accepted.items + counted.invalid + counted.expired == 0
        taken.invalid += counted.invalid
        taken.expired += counted.expired
        return [_Waiting(accepted, counted.fading, done)] if done is not None else []

    def _without_expired(self, accepted: Accepted, counted: Taken) -> Accepted:
        now, time_of = self.clock(), _TIME_OF[accepted.kind]
        oldest_ns, oldest_span_ns = _ns(now - self.retention.of(accepted.kind)), _ns(now - self.retention.traces)
        request = RULES[accepted.kind].request.FromString(accepted.payload)
        for items in _LISTS_OF[accepted.kind](request):
            kept = [item for item in items if time_of(item) >= oldest_ns]
            if accepted.kind == "traces":
                counted.fading += sum(span.start_time_unix_nano < oldest_span_ns for span in kept)
            counted.expired += len(items) - len(kept)
            keep(items, kept)
        if not counted.expired:
            return accepted
        return replace(accepted, payload=request.SerializeToString(), items=accepted.items - counted.expired)


def _check_of(form: str, body: bytes) -> Check:
    return JSON_CHECKS[kind_of_json(body)] if form == "json" else PROTOBUF_CHECKS[kind_of_protobuf(body)]


def _spans(request: Any) -> Iterator[Any]:
    for of_resource in request.resource_spans:
        yield from (of_scope.spans for of_scope in of_resource.scope_spans)


def _log_records(request: Any) -> Iterator[Any]:
    for of_resource in request.resource_logs:
        yield from (of_scope.log_records for of_scope in of_resource.scope_logs)


def _data_points(request: Any) -> Iterator[Any]:
    for of_resource in request.resource_metrics:
        for of_scope in of_resource.scope_metrics:
            for metric in of_scope.metrics:
                if kind := metric.WhichOneof("data"):
                    yield getattr(metric, kind).data_points


_LISTS_OF: dict[Kind, Callable[[Any], Iterator[Any]]] = {
    "traces": _spans,
    "logs": _log_records,
    "metrics": _data_points,
}
_TIME_OF: dict[Kind, Callable[[Any], int]] = {
    "traces": lambda span: span.end_time_unix_nano,
    "logs": lambda record: record.time_unix_nano or record.observed_time_unix_nano,
    "metrics": lambda point: point.time_unix_nano,
}


def _on_disk(waiting: Sequence[_Waiting], taken: Taken) -> Taken:
    """The same, with what reached the disk. Did anything not, all are to be sent again: the others are recognised."""
    for request in waiting:
        kind, items = request.accepted.kind, request.accepted.items
        try:
            is_new = request.done.result()
        except TryLater as error:
            taken = replace(_stored_of(taken), wait_s=error.retry_after_s, wait_why=str(error))
        else:
            taken.count(kind, items if is_new else 0)
            taken.fading += request.fading if is_new else 0
            taken.repeated += 0 if is_new else items
    return taken


def _stored_of(taken: Taken) -> Taken:
    return Taken(spans=taken.spans, log_records=taken.log_records, data_points=taken.data_points)


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 10**9
