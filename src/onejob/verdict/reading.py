"""What spans say beyond requests, read from the store: KPI values, web vitals, exceptions.

One query each per look, over the bins of that look; grouping, counting and normalising happen in the engine.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from string import Template
from typing import Any

from onejob.model.deployment import Deployment
from onejob.model.evidence import Cell, NoveltyCell, ValueCell, Vital
from onejob.model.kpi import Kpi, KpiKind, KpiSource, regex_of
from onejob.store.engine import Reader, Scalar
from onejob.store.rollup import environment_filter
from onejob.store.sql import quote
from onejob.verdict.arms import is_version
from onejob.verdict.fingerprints import fingerprint
from onejob.verdict.vitals import CLS_OFFSET

_QUERIES = resources.files("onejob.verdict").joinpath("queries")
_LONGEST_SPAN_S = 900  # a span that began earlier than this before its bin is not looked for
_GROUPS = 16  # of sessions: enough to see clusters, few enough to be small
_MOST_STACKS = 2_000  # distinct ones of a look; a version that throws more than this has other worries
_MOST_CHARS = 8_000
_KNOWN_FOR_S = 86_400  # what a day showed is not new

_PAGE_NAMES = ("http.route", "url.template")
_PAGE_PATHS = ("url.path", "url.full", "http.url")
_SESSIONS = ("session.id", "enduser.id", "user.id")


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose spans, and the bins [since, until) of which width, in Unix seconds."""

    service: str
    environment: str
    default_environment: str
    since: int
    until: int
    width_s: int

    def params(self) -> dict[str, Scalar]:
        """As the queries name them."""
        return {
            "service": self.service,
            "environment": self.environment,
            "unnamed": environment_filter(self.environment, self.default_environment),
            "since": self.since,
            "until": self.until,
            "width": self.width_s,
            "longest": _LONGEST_SPAN_S,
        }


@dataclass(frozen=True, slots=True)
class Said:
    """What spans said beyond requests, as a batch of evidence holds it."""

    values: tuple[ValueCell, ...] = ()
    vitals: tuple[Vital, ...] = ()
    novelties: tuple[NoveltyCell, ...] = ()


def read_said(engine: Reader, scope: Scope, deployment: Deployment, kpis: Sequence[Kpi], *, with_known: bool) -> Said:
    """All of it; `with_known` also what the service threw the day before."""
    known = read_known(engine, scope, deployment) if with_known else ()
    return Said(
        values=read_values(engine, scope, kpis),
        vitals=read_vitals(engine, scope),
        novelties=known + read_novelties(engine, scope),
    )


def read_values(engine: Reader, scope: Scope, kpis: Sequence[Kpi]) -> tuple[ValueCell, ...]:
    """Values of the KPIs, per instance and bin; without a query where none is configured."""
    if not kpis:
        return ()
    entries = ", ".join(_entries(number, kpi) for number, kpi in enumerate(kpis))
    rows = _rows(engine, "kpi_values", scope.params(), entries=f"arrayConcat({entries})")
    return tuple(
        ValueCell(
            kpi=kpis[row["Kpi"]].name,
            version=row["Version"],
            build=row["Build"],
            instance=row["Instance"],
            bin_start=row["BinStart"],
            counts=dict(row["Counts"]),
            sums={} if kpis[row["Kpi"]].kind is KpiKind.YES_NO else dict(row["Sums"]),
        )
        for row in rows
    )


def read_vitals(engine: Reader, scope: Scope) -> tuple[Vital, ...]:
    """Page views with web vitals, per page and group of sessions."""
    found: dict[str, list[Cell]] = {}
    fills = {"cls_offset": CLS_OFFSET, "page": _page(), "session": _session(), "groups": _GROUPS}
    for row in _rows(engine, "web_vitals", scope.params(), **fills):
        cell = Cell(
            operation=row["Page"],
            version=row["Version"],
            build=row["Build"],
            instance=row["Sessions"],
            bin_start=row["BinStart"],
            count=row["Count"],
            errors=0,
            sum_s=row["Sum"],
            sum_sq_s2=row["SumSq"],
            zeros=row["Zeros"],
            buckets=dict(row["Buckets"]),
        )
        found.setdefault(row["Vital"], []).append(cell)
    return tuple(Vital(name=name, cells=tuple(cells)) for name, cells in sorted(found.items()))


def read_novelties(engine: Reader, scope: Scope) -> tuple[NoveltyCell, ...]:
    """Errors that were thrown, per version and bin."""
    rows = _rows(engine, "exceptions", scope.params() | {"most_rows": _MOST_STACKS, "most_chars": _MOST_CHARS})
    merged: dict[tuple[str, str, str, int], NoveltyCell] = {}
    for row in rows:
        mark, title = fingerprint(row["Type"], row["Message"], row["Sample"])
        key = (mark, row["Version"], row["Build"], row["BinStart"])
        before = merged.get(key)
        merged[key] = NoveltyCell(
            kind="error",
            fingerprint=mark,
            version=row["Version"],
            build=row["Build"],
            bin_start=row["BinStart"],
            count=row["Traces"] + (before.count if before else 0),
            title=title,
            sample=row["Sample"] or row["Message"],
            trace_id=row["SampleTrace"],
        )
    return tuple(merged.values())


def read_known(engine: Reader, scope: Scope, deployment: Deployment) -> tuple[NoveltyCell, ...]:
    """Errors that other versions threw in the day before the scope begins, put down to its first bin."""
    past = Scope(
        service=scope.service,
        environment=scope.environment,
        default_environment=scope.default_environment,
        since=scope.since - _KNOWN_FOR_S,
        until=scope.since,
        width_s=_KNOWN_FOR_S,  # bins are of no interest: one or two are enough
    )
    known = {
        cell.fingerprint: cell
        for cell in read_novelties(engine, past)
        if not is_version(deployment.version, cell.version, cell.build)
    }
    return tuple(
        NoveltyCell(
            kind=cell.kind,
            fingerprint=cell.fingerprint,
            version=cell.version,
            build=cell.build,
            bin_start=scope.since,
            count=0,
            is_known=True,
        )
        for cell in known.values()
    )


def _rows(engine: Reader, name: str, params: Mapping[str, Scalar], **fills: object) -> list[dict[str, Any]]:
    text = _QUERIES.joinpath(f"{name}.sql").read_text()
    rows: list[dict[str, Any]] = engine.query(Template(text).substitute(fills), params).to_pylist()
    return rows


def _entries(number: int, kpi: Kpi) -> str:
    """An array of (number of the KPI, value or NULL), for one span."""
    if kpi.source is KpiSource.EVENT:
        value = _value(kpi, f"said[{quote(kpi.attribute)}]") if kpi.attribute else "toNullable(toFloat64(1))"
        matching = f"arrayFilter((said, name) -> name = {quote(kpi.event)}, Events.Attributes, Events.Name)"
        found = f"arrayMap(said -> (toUInt16({number}), {value}), {matching})"
    else:
        found = f"[(toUInt16({number}), {_value(kpi, f'SpanAttributes[{quote(kpi.attribute)}]')})]"
    if kpi.operation == "*":
        return found
    return f"if(match(Operation, {quote(regex_of(kpi.operation))}), {found}, [])"


def _value(kpi: Kpi, text: str) -> str:
    """A number, or for yes and no 1 and 0; NULL for anything else."""
    if kpi.kind is KpiKind.YES_NO:
        yes, no = (f"lower({text}) IN ({words})" for words in ("'true', '1', 'yes'", "'false', '0', 'no'"))
        return f"multiIf({yes}, toNullable(toFloat64(1)), {no}, toNullable(toFloat64(0)), NULL)"
    if kpi.kind is KpiKind.THROUGHPUT:
        return f"if({text} != '', toNullable(toFloat64(1)), NULL)"
    return f"toFloat64OrNull({text})"


def _page() -> str:
    """The page's route; else its path without ids; else the span's operation."""
    names = [f"{where}[{quote(name)}]" for name in _PAGE_NAMES for where in ("Said", "SpanAttributes")]
    paths = [
        f"replaceRegexpAll(path({where}[{quote(name)}]), '/([0-9]+|[0-9a-fA-F-]{{16,}})', '/{{id}}')"
        for name in _PAGE_PATHS
        for where in ("Said", "SpanAttributes")
    ]
    return _first([*names, *paths, "Operation"])


def _session() -> str:
    return _first(
        [f"{w}[{quote(n)}]" for n in _SESSIONS for w in ("SpanAttributes", "ResourceAttributes")] + ["TraceId"]
    )


def _first(values: Sequence[str]) -> str:
    """The first that is not empty."""
    *tried, last = values
    return f"coalesce({', '.join(f'nullIf({value}, ' + quote('') + ')' for value in tried)}, {last})"
