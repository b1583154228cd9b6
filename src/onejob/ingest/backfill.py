"""Telemetry of the past, request after request, through the same door as that of the present.

Two things are different. A file may be imported again after months, so its requests are recognised for good. And what
is older than the retention would be stored and then vanish without a word: spans whose counts would not be kept either
are left out, and both kinds are counted, for whoever imports to be told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from onejob.ingest.bodies import too_large
from onejob.ingest.door import Door
from onejob.ingest.errors import BadRequest, TryLater
from onejob.ingest.validate import Accepted, accept_json, accept_protobuf

_CHECKS = {"json": accept_json, "protobuf": accept_protobuf}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The request at this place among those sent was not taken, and why."""

    index: int
    why: str


@dataclass(slots=True, kw_only=True)
class Taken:
    """What became of the requests sent.

    `requests` is how many were dealt with; the rest is to be sent again after `wait_s`. `empty` of them hold no spans.
    The others count spans: `spans` are on disk now;
    `repeated` were there before; `invalid` have ids that cannot be. `expired` are older than any retention and were
    left out; `fading` are stored, but older than the retention of spans: their counts stay, they themselves do not.
    """

    requests: int = 0
    empty: int = 0
    spans: int = 0
    repeated: int = 0
    invalid: int = 0
    expired: int = 0
    fading: int = 0
    refused: list[Refused] = field(default_factory=list)
    wait_s: int | None = None
    wait_why: str = ""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long spans, and the counts made of them, are kept."""

    traces: timedelta
    counts: timedelta


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

    def take(self, kind: str, bodies: Sequence[bytes]) -> Taken:
        """`kind` is `json` or `protobuf`. Returns when all that was taken is on disk."""
        taken, waiting = Taken(), list[_Waiting]()
        for index, body in enumerate(bodies):
            try:
                waiting += self._take(_CHECKS[kind], body, taken)
            except TryLater as error:
                taken.wait_s, taken.wait_why = error.retry_after_s, str(error)
                break
            except BadRequest as error:
                taken.refused.append(Refused(index=index, why=str(error)))
            taken.requests += 1
        return _on_disk(waiting, taken)

    def _take(self, check: Callable[[bytes], Accepted], body: bytes, taken: Taken) -> list[_Waiting]:
        if len(body) > self.door.max_request_bytes:
            raise too_large(self.door.max_request_bytes)
        counted = Taken()

        def without_expired(data: bytes) -> Accepted:
            accepted = check(data)
            counted.invalid = accepted.rejected
            return self._without_expired(accepted, counted)

        accepted, done = self.door.check_and_spool(body, without_expired, for_good=True)
        taken.empty += accepted.spans + counted.invalid + counted.expired == 0
        taken.invalid += counted.invalid
        taken.expired += counted.expired
        return [_Waiting(accepted, counted.fading, done)] if done is not None else []

    def _without_expired(self, accepted: Accepted, counted: Taken) -> Accepted:
        now = self.clock()
        oldest_ns, oldest_span_ns = (_ns(now - kept) for kept in (self.retention.counts, self.retention.traces))
        request = ExportTraceServiceRequest.FromString(accepted.payload)
        for scope_spans in (scoped for of_resource in request.resource_spans for scoped in of_resource.scope_spans):
            kept = [span for span in scope_spans.spans if span.end_time_unix_nano >= oldest_ns]
            counted.fading += sum(span.start_time_unix_nano < oldest_span_ns for span in kept)
            if len(kept) < len(scope_spans.spans):
                counted.expired += len(scope_spans.spans) - len(kept)
                del scope_spans.spans[:]
                scope_spans.spans.extend(kept)
        if not counted.expired:
            return accepted
        return replace(accepted, payload=request.SerializeToString(), spans=accepted.spans - counted.expired)


def _on_disk(waiting: Sequence[_Waiting], taken: Taken) -> Taken:
    """The same, with what reached the disk. Did anything not, all are to be sent again: the others are recognised."""
    for request in waiting:
        try:
            is_new = request.done.result()
        except TryLater as error:
            taken = Taken(spans=taken.spans, wait_s=error.retry_after_s, wait_why=str(error))
        else:
            taken.spans += request.accepted.spans if is_new else 0
            taken.fading += request.fading if is_new else 0
            taken.repeated += 0 if is_new else request.accepted.spans
    return taken


def _ns(moment: datetime) -> int:
    return int(moment.timestamp()) * 10**9
