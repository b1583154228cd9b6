"""The views of *Errors* and of what is new in a deployment: one row per error or log message, those seen last first."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from onejob import words
from onejob.known.catalogue import Listed
from onejob.model.deployment import Deployment
from onejob.model.known_error import ErrorKind, ErrorStatus, KnownError
from onejob.state.error_lists import ErrorFilter
from onejob.web.pages.data import ErrorData
from onejob.web.pages.error_filters import STATUSES, Query, error_link, parse

_ROWS_OF_A_DEPLOYMENT = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One error or log message."""

    id: str
    url: str
    status: str
    title: str
    kind: str
    level: str
    service: str
    environment: str
    versions: str
    last_day: str
    first_seen_at: datetime
    first_ago: str
    last_seen_at: datetime
    last_ago: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Errors:
    """Everything the template of the list writes."""

    sentence: str
    query: Query
    rows: list[Row]
    services: list[str]
    environments: list[str]
    older: str
    newest: str
    by_first: str
    by_last: str


@dataclass(frozen=True, slots=True, kw_only=True)
class New:
    """What a deployment's version showed before any other; `total` of them, `url` lists them all."""

    rows: list[Row]
    total: int
    url: str

    @property
    def more(self) -> bool:
        """Are there others than the rows?"""
        return self.total > len(self.rows)


def view(query: Query, listed: Listed, data: ErrorData, now: datetime) -> Errors:
    """Put together what the page shows."""
    places = data.places()
    here = ErrorFilter(service=query.wanted().service, environment=query.wanted().environment)
    return Errors(
        sentence=_sentence(data, here),
        query=query,
        rows=[row(error, listed.counts, now) for error in listed.page.items],
        services=sorted({service for service, _ in places}),
        environments=sorted({environment for _, environment in places}),
        older=query.link(cursor=listed.page.next_cursor) if listed.page.next_cursor else "",
        newest=query.link() if query.cursor else "",
        by_first=query.link(order="first_seen"),
        by_last=query.link(order=""),
    )


def new_in(deployment: Deployment, data: ErrorData, now: datetime) -> New | None:
    """Warnings and errors that the version showed first, those seen last first; None where there are none."""
    query = parse({"service": deployment.service, "environment": deployment.environment, "new_in": deployment.version})
    listed = data.page(query.wanted(), limit=_ROWS_OF_A_DEPLOYMENT)
    if not listed.page.items:
        return None
    rows = [row(error, listed.counts, now) for error in listed.page.items]
    total = data.how_many(query.wanted()) if listed.page.next_cursor else len(rows)
    return New(rows=rows, total=total, url=query.link())


def row(error: KnownError, counts: Mapping[str, int] | None, now: datetime) -> Row:
    """One error; without the engine nothing is counted."""
    return Row(
        id=error.id,
        url=error_link(error.id),
        status=STATUSES[error.status_at(now).value],
        title=error.title or "(no text)",
        kind="log" if error.kind is ErrorKind.LOG_TEMPLATE else "",
        level=level(error.severity),
        service=error.service,
        environment=error.environment,
        versions=versions(error.first_version, error.last_version),
        last_day=words.DASH if counts is None else words.count(counts.get(error.id, 0)),
        first_seen_at=error.first_seen_at,
        first_ago=words.ago(error.first_seen_at, now),
        last_seen_at=error.last_seen_at,
        last_ago=words.ago(error.last_seen_at, now),
    )


def level(severity: int) -> str:
    """OpenTelemetry's ranges of four."""
    names = ("", "trace", "debug", "info", "warning", "error", "fatal")
    return names[min((severity + 3) // 4, 6)]


def versions(first: str, last: str) -> str:
    """`1.41.3`, or `1.41.3 to 1.42.0`."""
    shown = [words.shorten(one, 24) for one in (first, last) if one]
    return " to ".join(dict.fromkeys(shown))


def _sentence(data: ErrorData, here: ErrorFilter) -> str:
    """`3 new errors and warnings in the last day; 1 came back after it was resolved.`"""
    new, back = (
        data.how_many(ErrorFilter(service=here.service, environment=here.environment, status=status, least_severity=13))
        for status in (ErrorStatus.NEW, ErrorStatus.REGRESSED)
    )
    fresh = f"{words.plural(new, 'new error or warning', 'new errors and warnings')} in the last day"
    return f"{fresh}; {words.count(back)} came back after being resolved." if back else f"{fresh}."
