"""Telemetry with errors in it, and a look at it over a real engine and a real state database."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from onejob.config import Settings
from onejob.known.catalogue import Catalogue
from onejob.known.lifecycle import learnt
from onejob.known.look import NAME, ErrorLook
from onejob.model.known_error import ErrorKind, KnownError, Occurrence
from onejob.state.database import Database
from onejob.state.error_lists import ErrorFilter
from onejob.state.known_errors import KnownErrors, Learnt
from onejob.state.readings import Reading, Readings
from onejob.state.versions import KnownVersion, KnownVersions
from onejob.store.engine import Engine
from otlp_builders import a_log_request, a_payload, a_record, a_span, attributes_of

NOW = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=1)
BEGUN = NOW - timedelta(minutes=25)  # what was before has been read
_tokens = iter(range(10**9))


def stack(function: str = "price", line: int = 42, at: str = "/app") -> str:
    """Of Python, in a package."""
    file = f'File "{at}/checkout/pricing.py"'
    return f"Traceback (most recent call last):\n  {file}, line {line}, in {function}\nKeyError: 1"


def ns(at: datetime) -> int:
    return int(at.timestamp()) * 10**9


def a_failing_span(at: datetime, text: str = "", kind: str = "KeyError", message: str = "'sku-1'") -> Span:
    """A request that ended at that moment, with an exception."""
    span = a_span("POST /orders", start_ns=ns(at) - 250_000_000, error=True)
    said = {"exception.type": kind, "exception.message": message, "exception.stacktrace": text}
    span.events.add(name="exception", time_unix_nano=ns(at), attributes=attributes_of(said))
    return span


def a_line(at: datetime, body: str, severity: int = 9, **said: str) -> LogRecord:
    """A line of a log."""
    attributes = attributes_of({name.replace("__", "."): value for name, value in said.items()})
    return a_record(body, time_ns=ns(at), severity_number=severity, attributes=attributes)


class Store:
    """An engine with spans and lines of one service, and looks at it."""

    def __init__(self, engine: Engine, database: Database, service: str, **settings: Any) -> None:
        self.engine = engine
        self.database = database
        self.service = service
        self.now = NOW
        self.errors = KnownErrors(database)
        self.catalogue = Catalogue(database, engine, lambda: self.now)
        self.settings = Settings(watermark_s=1, **settings)
        if Readings(database).position(NAME) is None:  # a day in steps of ten minutes takes its time
            self.errors.learn(Reading(name=NAME, since=None, until=BEGUN), (), lambda _: Learnt())

    def spans(self, *spans: Span, version: str = "1", **resource: str) -> None:
        resource = {"service.version": version} | {name.replace("__", "."): value for name, value in resource.items()}
        payload = a_payload(*spans, service=self.service, resource=resource)
        self.engine.insert_traces(payload, f"errors-{next(_tokens)}-{time.time()}")

    def lines(self, *records: LogRecord, version: str = "1") -> None:
        request = a_log_request(*records, service=self.service, resource={"service.version": version})
        self.engine.insert("otel_logs", request.SerializeToString(), f"errors-{next(_tokens)}-{time.time()}")

    def serves(self, version: str, since: datetime) -> None:
        """The detector has seen it."""
        known = KnownVersion(
            service=self.service, environment="production", version=version, builds=(), first_seen_at=since,
            last_seen_at=since, rate_per_s=1.0,
        )  # fmt: skip
        KnownVersions(self.database).save([known])

    def watcher(self) -> ErrorLook:
        return ErrorLook(self.engine, self.errors, Readings(self.database), KnownVersions(self.database), self.settings)

    def look(self, at: datetime | None = None) -> None:
        """Look at all there is, until then."""
        self.now = at or self.now
        looking = self.watcher()
        while looking.look(self.now):
            pass

    def wanted(self, **more: Any) -> ErrorFilter:
        """Errors of the service."""
        return ErrorFilter(service=self.service, **more)

    def found(self, **wanted: Any) -> list[KnownError]:
        """The known errors of the service."""
        return list(self.catalogue.page(self.wanted(**wanted)).page.items)

    def only(self) -> KnownError:
        (error,) = self.found()
        return error

    def count(self, error: KnownError) -> dict[str, int]:
        """How often it came, by version."""
        totals: dict[str, int] = {}
        for one in self.catalogue.detail(error.id).counts or ():
            totals[one.version] = totals.get(one.version, 0) + one.count
        return totals


def an_occurrence(**said: Any) -> Occurrence:
    """A KeyError of checkout 1, at NOW."""
    at = said.get("first_at", said.get("last_at", NOW))
    made_up: dict[str, Any] = {
        "service": "checkout",
        "environment": "production",
        "kind": ErrorKind.ERROR,
        "fingerprint": "f1",
        "title": "KeyError in price (checkout/pricing.py)",
        "message": "'sku-1'",
        "severity": 17,
        "version": "1",
        "bin_start": int(at.timestamp()) // 60 * 60,
        "first_at": at,
        "last_at": at,
        "count": 1,
        "sample": stack(),
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "span_id": "00f067aa0ba902b7",
    }
    return Occurrence(**(made_up | said))


def see(database: Database, *occurrences: Occurrence) -> None:
    """A look that found them."""
    errors = KnownErrors(database)
    since = Readings(database).position(NAME)
    reading = Reading(name=NAME, since=since, until=(since or NOW) + timedelta(seconds=1))
    ids = {one.error_id for one in occurrences}
    shown = lambda place: errors.first_shown(*place)  # noqa: E731
    errors.learn(reading, ids, lambda known: learnt(known, occurrences, shown, lambda _: 100))


def titles(errors: Iterable[KnownError]) -> set[str]:
    return {error.title for error in errors}
