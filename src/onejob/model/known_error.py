"""An error or a log message that telemetry has shown: one of a kind, however often it came."""

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

NEW_FOR = timedelta(days=1)  # the day after it was first seen somebody has looked, or it is part of the place


class ErrorKind(StrEnum):
    """An exception with its fingerprint, or a log message with its template."""

    ERROR = "error"
    LOG_TEMPLATE = "log_template"


class ErrorStatus(StrEnum):
    """What is to be done about it."""

    NEW = "new"
    ONGOING = "ongoing"
    RESOLVED = "resolved"
    REGRESSED = "regressed"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownError:
    """Of one service in one environment; `fingerprint` is what all its occurrences have in common.

    `title` says it in a line: type and function, or the template with `<*>` for what differs. `message` and `sample` (a
    stack, or a line) are of its first occurrence that is known, as are `trace_id` and `span_id` where it had any.
    `severity` is OpenTelemetry's number, the highest seen; 17 for exceptions on spans, which have none.
    `resolved_in` is the version it is resolved in; None with `resolved_at`: in whichever comes after that moment.
    `regressed_at`: when it was seen again afterwards, in `regressed_in`.
    """

    id: str
    service: str
    environment: str
    kind: ErrorKind
    fingerprint: str
    title: str
    message: str
    severity: int
    first_seen_at: datetime
    last_seen_at: datetime
    first_version: str
    last_version: str
    sample: str
    trace_id: str
    span_id: str
    resolved_at: datetime | None = None
    resolved_by: str | None = None
    resolved_in: str | None = None
    regressed_at: datetime | None = None
    regressed_in: str | None = None

    def status_at(self, now: datetime) -> ErrorStatus:
        """As of `now`."""
        if self.regressed_at is not None:
            return ErrorStatus.REGRESSED
        if self.resolved_at is not None:
            return ErrorStatus.RESOLVED
        return ErrorStatus.NEW if now - self.first_seen_at < NEW_FOR else ErrorStatus.ONGOING


@dataclass(frozen=True, slots=True, kw_only=True)
class Occurrence:
    """What was seen of one error in one version during one minute, which begins at `bin_start` (Unix seconds).

    `count` is of traces that threw it, and of log records without a trace.
    """

    service: str
    environment: str
    kind: ErrorKind
    fingerprint: str
    title: str
    message: str
    severity: int
    version: str
    bin_start: int
    first_at: datetime
    last_at: datetime
    count: int
    sample: str
    trace_id: str
    span_id: str

    @property
    def error_id(self) -> str:
        """Of the error it is one of."""
        return error_id(self.service, self.environment, self.kind, self.fingerprint)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenIn:
    """When a version showed an error."""

    version: str
    first_seen_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusChange:
    """`what` is `resolved`, `reopened` or `regressed`; `actor` is nobody's name where telemetry itself says so."""

    at: datetime
    what: str
    actor: str | None
    version: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorCount:
    """How often an error was seen in a version, in a step that begins at `bin_start` (Unix seconds)."""

    version: str
    bin_start: int
    count: int


def error_id(service: str, environment: str, kind: str, fingerprint: str) -> str:
    """The same for the same error, whoever asks: verdicts name fingerprints only.

    >>> error_id("checkout", "production", "error", "0123456789abcdef")
    'err_6a9b8fecaffb906b9428'
    """
    named = "\x00".join((service, environment, kind, fingerprint))
    return "err_" + hashlib.sha256(named.encode("utf-8", "replace")).hexdigest()[:20]
