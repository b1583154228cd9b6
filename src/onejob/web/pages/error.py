"""The view of *Error*: what it is, since when and where, how often, an example, and what was said of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from onejob import words
from onejob.known.catalogue import Detail
from onejob.model.known_error import ErrorCount, ErrorKind, ErrorStatus, KnownError, StatusChange
from onejob.web.charts import columns
from onejob.web.pages.error_filters import STATUSES
from onejob.web.pages.errors import level

_MOST_ROWS = 200
_WHAT = {"resolved": "resolved", "reopened": "opened again", "regressed": "seen again"}


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRow:
    """When a version showed it, and how often lately."""

    version: str
    count: str
    first_seen_at: datetime
    first_ago: str
    last_seen_at: datetime
    last_ago: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRow:
    """What was said of it, and by whom."""

    at: datetime
    ago: str
    what: str
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CountRow:
    """A step of the chart, as a row of the table behind it."""

    at: datetime
    version: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Everything the template writes."""

    error: KnownError
    title: str
    status: str
    is_open: bool
    is_log: bool
    level: str
    under: str
    versions: list[VersionRow]
    history: list[ChangeRow]
    chart: columns.Chart | None
    table: list[CountRow]
    is_counted: bool
    newest: str


def view(detail: Detail, now: datetime) -> Page:
    """Put together what the page shows."""
    error, status = detail.error, detail.error.status_at(now)
    totals = _totals(detail.counts or ())
    newest = error.last_version
    return Page(
        error=error,
        title=error.title or "(no text)",
        status=STATUSES[status.value],
        is_open=status is not ErrorStatus.RESOLVED,
        is_log=error.kind is ErrorKind.LOG_TEMPLATE,
        level=level(error.severity),
        under=_under(error, status, sum(totals.values()), detail, now),
        versions=[
            VersionRow(
                version=one.version or "(no version)",
                count=words.count(totals.get(one.version, 0)) if detail.counts is not None else words.DASH,
                first_seen_at=one.first_seen_at,
                first_ago=words.ago(one.first_seen_at, now),
                last_seen_at=one.last_seen_at,
                last_ago=words.ago(one.last_seen_at, now),
            )
            for one in detail.seen_in
        ],
        history=[_change(change, now) for change in reversed(detail.history)],
        chart=columns.draw(detail.counts or (), detail.since, detail.until, detail.step_s, newest),
        table=[_count(one) for one in (detail.counts or ())[-_MOST_ROWS:]],
        is_counted=detail.counts is not None,
        newest=newest,
    )


def _under(error: KnownError, status: ErrorStatus, total: int, detail: Detail, now: datetime) -> str:
    told = []
    if status is ErrorStatus.REGRESSED and error.regressed_at:
        told.append(
            f"seen again {words.ago(error.regressed_at, now)} in {words.shorten(error.regressed_in or '', 40)}, after "
            f"{words.shorten(error.resolved_by or 'somebody', 60)} resolved it{_in(error)}"
        )
    elif status is ErrorStatus.RESOLVED and error.resolved_at:
        who = words.shorten(error.resolved_by or "somebody", 60)
        told.append(f"resolved {words.ago(error.resolved_at, now)} by {who}{_in(error)}")
    if detail.counts is not None:
        told.append(f"{words.plural(total, 'time')} in the last 7 days")
    else:
        told.append("not counted now, as the engine does not answer")
    told.append(f"first seen {words.ago(error.first_seen_at, now)}, last {words.ago(error.last_seen_at, now)}")
    return " · ".join(told)


def _in(error: KnownError) -> str:
    if error.resolved_in is None:
        return " in the version after that moment"
    return f" in {words.shorten(error.resolved_in, 40)}" if error.resolved_in else ""


def _totals(counts: Sequence[ErrorCount]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for one in counts:
        totals[one.version] = totals.get(one.version, 0) + one.count
    return totals


def _change(change: StatusChange, now: datetime) -> ChangeRow:
    version = f" in {words.shorten(change.version, 40)}" if change.version else ""
    return ChangeRow(
        at=change.at,
        ago=words.ago(change.at, now),
        what=_WHAT.get(change.what, change.what) + version,
        by=words.shorten(change.actor or "telemetry", 60),
    )


def _count(one: ErrorCount) -> CountRow:
    return CountRow(at=datetime.fromtimestamp(one.bin_start, UTC), version=one.version, count=one.count)
