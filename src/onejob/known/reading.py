"""What telemetry shows of errors and log messages in a time: one query each, over all services.

Grouping and counting happen in the engine; what arrives here are distinct stacks and lines, each with a count.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib import resources
from string import Template
from typing import Any

from onejob.known.templates import LogTemplate
from onejob.model.known_error import ErrorKind, Occurrence
from onejob.state.deployments import BUILD_SEPARATOR
from onejob.state.readings import Place
from onejob.state.versions import KnownVersion
from onejob.store.engine import Reader, Scalar
from onejob.verdict.fingerprints import fingerprint
from onejob.verdict.reading import MOST_CHARS, MOST_LINE_CHARS, SAME_LINE, SAME_STACK, SEVERITY
from onejob.verdict.said import LONGEST_SPAN_S

_QUERIES = resources.files("onejob.known").joinpath("queries")
_MOST_STACKS = 200  # distinct ones of a service in a minute; one that throws more than this has other worries
_MOST_READ = 500_000  # log records of a service in one look, and as many warnings and errors
MINUTE_S = 60

Learn = Callable[[Place, str], LogTemplate | None]


@dataclass(frozen=True, slots=True)
class Known:
    """How rows are named: the environment of those that name none, and the versions that are known of each service."""

    default_environment: str
    versions: Mapping[Place, list[KnownVersion]]

    def place(self, row: Mapping[str, Any]) -> Place:
        """Whose row it is. PostgreSQL stores no NUL."""
        return _text(row["Service"]), _text(row["Place"]) or self.default_environment

    def label(self, place: Place, version: str, build: str) -> str:
        """What a deployment of it is called: the version, or `version@build` where only the build changed."""
        family = [one for one in self.versions.get(place, ()) if one.version.startswith(version + BUILD_SEPARATOR)]
        return _text(next((one.version for one in family if build and build in one.builds), version))


def read_query(name: str, **fills: str) -> str:
    """The text of queries/NAME.sql."""
    return Template(_QUERIES.joinpath(f"{name}.sql").read_text()).substitute(fills)


def read_begin(engine: Reader, since: int) -> datetime | None:
    """When the first span or log record since then is from."""
    begun = engine.query(read_query("begin"), {"since": since}).column("At").to_pylist()[0]
    return None if begun is None else datetime.fromtimestamp(begun, UTC)


def read_thrown(engine: Reader, since: int, until: int, known: Known) -> list[Occurrence]:
    """Exceptions on spans and log records of [since, until), Unix seconds."""
    params: dict[str, Scalar] = {
        "since": since,
        "until": until,
        "longest": LONGEST_SPAN_S,
        "most_chars": MOST_CHARS,
        "most_rows": _MOST_STACKS,
    }
    rows = engine.query(read_query("thrown", same=SAME_STACK), params).to_pylist()
    return merged(_thrown(row, known) for row in rows)


@dataclass(frozen=True, slots=True)
class Logged:
    """Log messages, and the services that had too many records to read all of them."""

    found: list[Occurrence]
    cut: list[str]


def read_logged(engine: Reader, since: int, until: int, known: Known, learn: Learn, most: int) -> Logged:
    """Log messages of [since, until), from at most so many distinct lines; `learn` finds the template of a line."""
    params: dict[str, Scalar] = {
        "since": since,
        "until": until,
        "most_chars": MOST_LINE_CHARS,
        "most_read": _MOST_READ,
        "most_rows": most,
    }
    rows = engine.query(read_query("logged", same_line=SAME_LINE, severity=SEVERITY), params).to_pylist()
    cut = sorted({known.place(row)[0] for row in rows if row["IsCut"]})
    return Logged(merged(_logged(rows, known, learn)), cut)


def _thrown(row: Mapping[str, Any], known: Known) -> Occurrence:
    mark, title = fingerprint(row["Type"], row["Message"], row["Sample"])
    return _occurrence(row, known, ErrorKind.ERROR, mark, title)


def _logged(rows: Iterable[Mapping[str, Any]], known: Known, learn: Learn) -> Iterator[Occurrence]:
    for row in sorted(rows, key=lambda row: (row["FirstNs"], row["Same"])):  # as they came, whatever was drawn first
        template = learn(known.place(row), row["Sample"])
        if template is not None:
            yield _occurrence(row, known, ErrorKind.LOG_TEMPLATE, template.fingerprint, template.text)


def _occurrence(row: Mapping[str, Any], known: Known, kind: ErrorKind, mark: str, title: str) -> Occurrence:
    service, environment = place = known.place(row)
    return Occurrence(
        service=service,
        environment=environment,
        kind=kind,
        fingerprint=mark,
        title=_text(title),
        message=_text(row.get("Message", "")),
        severity=row["Severity"],
        version=known.label(place, row["Version"], row["Build"]),
        bin_start=row["BinStart"],
        first_at=_moment(row["FirstNs"]),
        last_at=_moment(row["LastNs"]),
        count=row["Count"],
        sample=_text(row["Sample"]),
        trace_id=row["SampleTrace"],
        span_id=row["SampleSpan"],
    )


def merged(occurrences: Iterable[Occurrence]) -> list[Occurrence]:
    """One per error, version and minute: distinct stacks may have one fingerprint, and distinct lines one template."""
    found: dict[tuple[str, str, int], Occurrence] = {}
    for one in occurrences:
        key = (one.error_id, one.version, one.bin_start)
        found[key] = _both(found[key], one) if key in found else one
    return list(found.values())


def _both(a: Occurrence, b: Occurrence) -> Occurrence:
    first, last = (a, b) if a.first_at <= b.first_at else (b, a)
    return replace(
        first,
        title=b.title,  # a template's latest text
        severity=max(a.severity, b.severity),
        last_at=max(first.last_at, last.last_at),
        count=a.count + b.count,
    )


def _moment(nanoseconds: int) -> datetime:
    return datetime.fromtimestamp(nanoseconds / 1e9, UTC)


def _text(value: str) -> str:
    return value.replace("\x00", "\ufffd")
