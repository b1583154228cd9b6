"""What telemetry says beyond requests, read from the store: KPI values, web vitals, exceptions, log messages.

One query each, and for KPIs one for each kind of telemetry that they are found in, over the bins that were asked for;
grouping, counting and normalising happen in the engine. What is said of a bin does not depend on which other bins are
read with it, nor on the order in which an engine adds up: live judging reads a look's bins, a replay reads ahead.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from importlib import resources
from string import Template
from typing import Any

from onejob import words
from onejob.model.deployment import Deployment
from onejob.model.evidence import Cell, NoveltyCell, ValueCell, Vital
from onejob.model.kpi import Kpi, KpiKind, KpiSource, regex_of
from onejob.store.engine import Reader, Scalar
from onejob.store.sql import quote
from onejob.verdict.arms import is_version
from onejob.verdict.fingerprints import TITLE_CHARS, fingerprint, mark
from onejob.verdict.log_messages import KIND as LOG_MESSAGE
from onejob.verdict.reading_metrics import read_metrics
from onejob.verdict.said import Said, Scope
from onejob.verdict.templates import words_of
from onejob.verdict.value_cells import as_cells, merged
from onejob.verdict.vitals import CLS_OFFSET

_QUERIES = resources.files("onejob.verdict").joinpath("queries")
_IN_SCOPE = _QUERIES.joinpath("in_scope.sql").read_text()
_WITH_LOGS = Template(_QUERIES.joinpath("with_logs.sql").read_text())
_LOGGED_EVENTS = Template(_QUERIES.joinpath("logged_events.sql").read_text())
_BIN_START = "intDiv(toUnixTimestamp64Nano(Timestamp) + Duration, {width:Int64} * 1000000000) * {width:Int64}"
_GROUPS = 16  # of sessions: enough to see clusters, few enough to be small
_MOST_STACKS = 200  # distinct ones of a version in a bin; one that throws more than this has other worries
MOST_CHARS = 8_000
# Stacks (or messages, where there is none) that are the same but for numbers, by which the engine groups them. What
# they have in common beyond that is `fingerprints`' to say. In a line of a frame, which is indented or numbered, digits
# of a name are the name: api/v1/orders.py is not api/v2/orders.py. Elsewhere they are data: "no user17".
SAME_STACK = r"""cityHash64(arrayMap(
    line -> if(
        match(line, '^[\\s#]'),
        replaceRegexpAll(line, '0x[0-9a-fA-F]+|\\b[0-9]+\\b', '*'),
        replaceRegexpAll(line, '0x[0-9a-fA-F]+|[0-9]+', '*')
    ),
    splitByChar('\n', if(Stack = '', Text, Stack))
))"""
# Lines of logs that are the same but for numbers and ids, likewise.
SAME_LINE = "cityHash64(replaceRegexpAll(Line, '[0-9a-fA-F]{12,}|0x[0-9a-fA-F]+|[0-9]+', '*'))"
# The severity's number, from its text where a record has no number; 13 and more are warnings, 17 and more errors.
SEVERITY = """if(SeverityNumber > 0, SeverityNumber, toUInt8(transform(
    lower(SeverityText),
    ['trace', 'debug', 'info', 'notice', 'warn', 'warning', 'err', 'error', 'crit', 'critical', 'fatal'],
    [1, 5, 9, 10, 13, 13, 17, 17, 21, 21, 21],
    0
)))"""
MOST_LINE_CHARS = 500
_MOST_LINES = 20  # distinct ones of a version in a bin, errors first
_KNOWN_FOR_S = 86_400  # what a day showed is not new
_MOST_KNOWN = 2_000

_VITAL, _EXCEPTION, _LINE = "browser.web_vital", "exception", "log"
_PAGE_NAMES = ("http.route", "url.template")
_PAGE_PATHS = ("url.path", "url.full", "http.url")
_SESSIONS = ("session.id", "enduser.id", "user.id")


def read_said(engine: Reader, scope: Scope, kpis: Sequence[Kpi]) -> Said:
    """All of it. Most services have no page views, and most bins no exceptions: one cheap query tells."""
    there = _events(engine, scope)
    thrown = read_thrown(engine, scope) if _EXCEPTION in there else ()
    logged = read_logged(engine, scope) if _LINE in there else ()
    return replace(_measured(engine, scope, kpis, there), novelties=(*thrown, *logged))


def read_measured(engine: Reader, scope: Scope, kpis: Sequence[Kpi]) -> Said:
    """What has a value: KPIs and web vitals, without exceptions."""
    return _measured(engine, scope, kpis, _events(engine, scope))


def _measured(engine: Reader, scope: Scope, kpis: Sequence[Kpi], there: Collection[str]) -> Said:
    vitals = read_vitals(engine, scope) if _VITAL in there else ()
    return Said(values=read_values(engine, scope, kpis), vitals=vitals)


def _events(engine: Reader, scope: Scope) -> set[str]:
    return {row["Event"] for row in _rows(engine, "events", scope, {}, spans=_events_of(scope))}


def read_values(engine: Reader, scope: Scope, kpis: Sequence[Kpi]) -> tuple[ValueCell, ...]:
    """Values of the KPIs, per instance and bin; without a query where none is configured."""
    of_spans = [kpi for kpi in kpis if kpi.source is not KpiSource.METRIC]
    # A log record does not say of which operation it is.
    logged = [kpi for kpi in of_spans if kpi.source is KpiSource.EVENT and kpi.operation == "*"]
    in_spans = _values(engine, scope, of_spans)
    if logged and scope.has_logs:
        in_spans = merged((*in_spans, *_values(engine, scope, logged, _logged(logged))))
    metrics = [kpi for kpi in kpis if kpi.source is KpiSource.METRIC]
    if not metrics or scope.metrics_bin_s is None:
        return in_spans
    return in_spans + read_metrics(engine, replace(scope, width_s=scope.metrics_bin_s), metrics)


def _values(engine: Reader, scope: Scope, kpis: Sequence[Kpi], spans: str | None = None) -> tuple[ValueCell, ...]:
    if not kpis:
        return ()
    entries = ", ".join(_entries(number, kpi) for number, kpi in enumerate(kpis))
    fills = {"entries": f"arrayConcat({entries})", "spans": spans or scope.relation}
    return as_cells(kpis, _rows(engine, "kpi_values", scope, {}, **fills))


def _logged(kpis: Sequence[Kpi]) -> str:
    """Log records that are events, as spans of no length."""
    return _LOGGED_EVENTS.substitute(names=", ".join(quote(kpi.event) for kpi in kpis))


def read_vitals(engine: Reader, scope: Scope) -> tuple[Vital, ...]:
    """Page views with web vitals, per page and group of sessions."""
    found: dict[str, list[Cell]] = {}
    fills: dict[str, object] = {"cls_offset": CLS_OFFSET, "page": _page(), "session": _session(), "groups": _GROUPS}
    fills["spans"] = _events_of(scope)
    for row in _rows(engine, "web_vitals", scope, {}, **fills):
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


def read_thrown(engine: Reader, scope: Scope, most: int = _MOST_STACKS) -> tuple[NoveltyCell, ...]:
    """Errors that were thrown, per version and bin; of each, those in the most traces, or sessions of browsers."""
    limits: dict[str, Scalar] = {"most_rows": most, "most_chars": MOST_CHARS}
    rows = _rows(engine, "exceptions", scope, limits, spans=_events_of(scope), session=_session())
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


def read_logged(engine: Reader, scope: Scope, most: int = _MOST_LINES) -> tuple[NoveltyCell, ...]:
    """Warnings and errors in logs that are no exceptions, per version and bin; distinct words are told apart."""
    limits: dict[str, Scalar] = {"most_rows": most, "most_chars": MOST_LINE_CHARS}
    merged: dict[tuple[tuple[str, ...], str, str, int], NoveltyCell] = {}
    for row in _rows(engine, "log_lines", scope, limits):
        said = words_of(row["Sample"])
        key = (said, row["Version"], row["Build"], row["BinStart"])
        before = merged.get(key)
        text = " ".join(said)
        merged[key] = NoveltyCell(
            kind=LOG_MESSAGE,
            fingerprint=mark(text),
            version=row["Version"],
            build=row["Build"],
            bin_start=row["BinStart"],
            count=row["Traces"] + (before.count if before else 0),
            title=words.shorten(text, TITLE_CHARS),
            sample=before.sample if before else row["Sample"],
            trace_id=before.trace_id if before else row["SampleTrace"],
        )
    return tuple(merged.values())


def read_known(engine: Reader, scope: Scope, deployment: Deployment) -> tuple[NoveltyCell, ...]:
    """Errors and lines that other versions showed in the day before the scope begins, put down to its first bin."""
    # Bins are of no interest: one or two are enough.
    past = replace(scope, since=scope.since - _KNOWN_FOR_S, until=scope.since, width_s=_KNOWN_FOR_S)
    found = [
        *read_thrown(engine, past, _MOST_KNOWN),
        *(read_logged(engine, past, _MOST_KNOWN) if past.has_logs else ()),
    ]
    known = {
        (cell.kind, cell.fingerprint): cell
        for cell in found
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
            sample=cell.sample if cell.kind == LOG_MESSAGE else "",
            is_known=True,
        )
        for cell in known.values()
    )


def _rows(engine: Reader, name: str, scope: Scope, params: dict[str, Scalar], **fills: object) -> list[dict[str, Any]]:
    template = Template(_QUERIES.joinpath(f"{name}.sql").read_text())
    fixed = {"same": SAME_STACK, "same_line": SAME_LINE, "severity": SEVERITY}
    fixed |= {"in_scope": _IN_SCOPE, "bin_start": _BIN_START}
    sql = template.substitute({"spans": scope.relation} | fills, **fixed)
    rows: list[dict[str, Any]] = engine.query(sql, scope.params() | params).to_pylist()
    return rows


def _events_of(scope: Scope) -> str:
    """What to select events from."""
    if not scope.has_logs:
        return scope.relation
    return _WITH_LOGS.substitute(spans=scope.relation, in_scope=_IN_SCOPE, severity=SEVERITY)


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
        yes, no = (f"lower({text}) IN ({answers})" for answers in ("'true', '1', 'yes'", "'false', '0', 'no'"))
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
