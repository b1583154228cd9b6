"""Every view is a URL: the query string of the list as a value, and the links that change one thing of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

from onejob.state.deployments import DeploymentFilter

RANGES = {
    "1h": ("Last hour", timedelta(hours=1)),
    "24h": ("Last 24 hours", timedelta(hours=24)),
    "7d": ("Last 7 days", timedelta(days=7)),
    "30d": ("Last 30 days", timedelta(days=30)),
    "all": ("All time", None),
}
VERDICTS = {"worse": "worse", "undecided": "undecided", "no_worse": "no worse", "better": "better"}
_DEFAULT_RANGE = "7d"
_LONGEST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What the list was asked for; `problems` says what of it was not understood."""

    text: str = ""
    service: str = ""
    environment: str = ""
    verdict: str = ""
    who: str = ""
    range: str = _DEFAULT_RANGE
    since: datetime | None = None
    until: datetime | None = None
    sort: str = ""
    cursor: str = ""
    problems: list[str] = field(default_factory=list)

    @property
    def is_narrowed(self) -> bool:
        """Whether anything but the time range is filtered."""
        return bool(self.text or self.service or self.environment or self.verdict or self.who)


def parse(values: Mapping[str, str]) -> Query:
    """Unknown values are reported and ignored; a link from elsewhere must never end in an error page."""
    problems: list[str] = []
    texts = {name: _text(values, name) for name in ("text", "service", "environment", "who", "sort", "cursor")}
    verdict = _one_of(values, "verdict", VERDICTS, "", problems)
    return Query(
        **texts,
        verdict=verdict,
        range=_one_of(values, "range", RANGES, _DEFAULT_RANGE, problems),
        since=_moment(values, "since", problems),
        until=_moment(values, "until", problems),
        problems=problems,
    )


def _text(values: Mapping[str, str], name: str) -> str:
    return values.get(name, "").strip()[:_LONGEST]


def _one_of(
    values: Mapping[str, str], name: str, known: Mapping[str, object], default: str, problems: list[str]
) -> str:
    value = values.get(name, "").strip()
    if value in known:
        return value
    if value:
        problems.append(f"{name} “{value[:40]}” is not known; use one of {', '.join(known)}.")
    return default


def _moment(values: Mapping[str, str], name: str, problems: list[str]) -> datetime | None:
    value = values.get(name, "").strip()
    if not value:
        return None
    try:
        moment = datetime.fromisoformat(value.replace(" ", "+"))
    except ValueError:
        problems.append(f"{name} “{value[:40]}” is not a time; write it like 2026-11-24T14:00:00Z.")
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def period(query: Query, now: datetime) -> tuple[datetime | None, datetime | None]:
    """Explicit times win over the named range."""
    if query.since or query.until:
        return query.since, query.until
    length = RANGES[query.range][1]
    return (now - length if length else None), None


def wanted(query: Query, now: datetime) -> DeploymentFilter:
    """The filter the repositories understand."""
    since, until = period(query, now)
    return DeploymentFilter(
        text=query.text or None,
        service=query.service or None,
        environment=query.environment or None,
        verdict=query.verdict or None,
        actor=query.who or None,
        since=since,
        until=until,
    )


def link(query: Query, base: str = "/deployments", **changes: str) -> str:
    """The URL of this view with some values changed; an empty value removes it. A change starts at the first page."""
    values = {
        "text": query.text,
        "service": query.service,
        "environment": query.environment,
        "verdict": query.verdict,
        "who": query.who,
        "range": "" if query.range == _DEFAULT_RANGE else query.range,
        "since": query.since.isoformat() if query.since else "",
        "until": query.until.isoformat() if query.until else "",
        "sort": query.sort,
        **changes,
    }
    left = {name: value for name, value in values.items() if value}
    return f"{base}?{urlencode(left)}" if left else base


def api_link(query: Query, now: datetime) -> str:
    """The same deployments as JSON."""
    since, until = period(query, now)
    values = {
        "text": query.text,
        "service": query.service,
        "environment": query.environment,
        "verdict": query.verdict,
        "actor": query.who,
        "since": since.isoformat() if since else "",
        "until": until.isoformat() if until else "",
    }
    left = {name: value for name, value in values.items() if value}
    return f"/api/v1/deployments?{urlencode(left)}" if left else "/api/v1/deployments"


def deployment_link(deployment_id: str, **values: str) -> str:
    """The page of one deployment."""
    left = {name: value for name, value in values.items() if value}
    base = f"/deployments/{quote(deployment_id, safe='')}"
    return f"{base}?{urlencode(left)}" if left else base
