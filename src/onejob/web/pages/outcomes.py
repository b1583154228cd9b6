"""KPIs and tolerances as a page shows them, and as its forms say them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from onejob import words
from onejob.changes.errors import InvalidReportError
from onejob.changes.texts import read_text
from onejob.model.kpi import EVERY_S, Direction, Kpi, KpiKind, KpiSource, Tolerance
from onejob.outcomes.book import ListedKpi, ListedTolerance, Origin, made_kpi, made_tolerance
from onejob.outcomes.errors import ContradictionError
from onejob.outcomes.preview import Preview, rough

KINDS = {
    KpiKind.MEAN: "mean of its values",
    KpiKind.YES_NO: "share of yes",
    KpiKind.THROUGHPUT: "how many there are",
    KpiKind.SLOPE: "growth with time (leaks)",
}
DIRECTIONS = {
    Direction.HIGHER_IS_BETTER: "more is better",
    Direction.LOWER_IS_BETTER: "less is better",
    Direction.EITHER: "any change is suspicious",
}
SOURCES = {
    KpiSource.SPAN_ATTRIBUTE: "a span attribute",
    KpiSource.EVENT: "an event of a span or a log",
    KpiSource.METRIC: "a metric",
}
SIGNALS = {
    "errors": "error rate, in points",
    "latency_p50": "latency p50, in %",
    "latency_p95": "latency p95, in %",
    "latency_p99": "latency p99, in %",
    "lcp_p75": "LCP p75, in %",
    "inp_p75": "INP p75, in %",
    "cls_p75": "CLS p75, as it is",
}
_MOST_CHARS = 200
_DIFFERENCES = {"errors": 100.0, "cls_p75": 1.0}


@dataclass(frozen=True, slots=True)
class KpiRow:
    """A line of the list."""

    name: str
    url: str
    kind: str
    found_in: str
    direction: str
    tolerance: str
    service: str
    role: str
    one: ListedKpi


@dataclass(frozen=True, slots=True)
class ToleranceRow:
    """A line of the list; `url` is empty of what the configuration says."""

    signal: str
    tolerance: str
    service: str
    operation: str
    url: str
    one: ListedTolerance


def kpi_row(one: ListedKpi) -> KpiRow:
    """As the list has it."""
    kpi = one.kpi
    return KpiRow(
        name=kpi.name,
        url=kpi_link(kpi.name),
        kind=KINDS[kpi.kind],
        found_in=found_in(kpi),
        direction=DIRECTIONS[kpi.direction],
        tolerance=words.percent(kpi.tolerance),
        service=kpi.service,
        role="guardrail" if kpi.guardrail else "exploratory",
        one=one,
    )


def tolerance_row(one: ListedTolerance) -> ToleranceRow:
    """As the list has it."""
    told = one.tolerance
    return ToleranceRow(
        signal=SIGNALS[told.signal].partition(",")[0],
        tolerance=_tolerated(told),
        service=told.service,
        operation=told.operation,
        url=f"/settings/tolerances/{one.id}" if one.origin is Origin.PAGE else "",
        one=one,
    )


def kpi_link(name: str) -> str:
    """Names are letters, digits, `_` and `.`."""
    return f"/settings/kpis/{name}"


def found_in(kpi: Kpi) -> str:
    """`span attribute order.total`, `event order.placed`, `metric queue.depth where queue = a`."""
    if kpi.source is KpiSource.METRIC:
        return f"metric {kpi.metric}" + (f" where {kpi.attribute} = {kpi.equals}" if kpi.attribute else "")
    if kpi.source is KpiSource.EVENT:
        return f"{kpi.attribute} of event {kpi.event}" if kpi.attribute else f"event {kpi.event}"
    return f"span attribute {kpi.attribute}"


def form_of_kpi(kpi: Kpi) -> dict[str, str]:
    """The fields of the form that says this KPI."""
    named = {KpiSource.METRIC: kpi.metric, KpiSource.EVENT: kpi.event, KpiSource.SPAN_ATTRIBUTE: kpi.attribute}
    return {
        "name": kpi.name,
        "source": kpi.source,
        "named": named[kpi.source],
        "attribute": "" if kpi.source is KpiSource.SPAN_ATTRIBUTE else kpi.attribute,
        "equals": kpi.equals,
        "kind": kpi.kind,
        "direction": kpi.direction,
        "unit": kpi.unit,
        "tolerance": f"{kpi.tolerance * 100:.10g}",
        "service": kpi.service,
        "operation": kpi.operation,
        "every_s": str(kpi.every_s),
        "guardrail": "yes" if kpi.guardrail else "",
        "per_instance": "yes" if kpi.per_instance else "",
    }


EMPTY_KPI = {
    **dict.fromkeys(("name", "named", "attribute", "equals", "unit", "guardrail", "per_instance"), ""),
    **{"source": KpiSource.SPAN_ATTRIBUTE, "kind": KpiKind.MEAN, "direction": Direction.HIGHER_IS_BETTER},
    **{"tolerance": "2", "service": "*", "operation": "*", "every_s": str(EVERY_S)},
}
EMPTY_TOLERANCE = {"signal": "latency_p95", "tolerance": "", "service": "*", "operation": "*"}


def kpi_of_form(form: Mapping[str, str]) -> Kpi:
    """The KPI that a form says; ContradictionError says what is wrong with it."""
    told = {**EMPTY_KPI, **_texts(form, EMPTY_KPI)}
    source = _chosen(KpiSource, told["source"])
    values: dict[str, Any] = {
        "name": told["name"],
        "kind": _chosen(KpiKind, told["kind"]),
        "direction": _chosen(Direction, told["direction"]),
        "source": source,
        "service": told["service"] or "*",
        "operation": told["operation"] or "*",
        "unit": told["unit"],
        "tolerance": _number(told["tolerance"], "tolerance") / 100,
        "guardrail": told["guardrail"] == "yes",
        "per_instance": told["per_instance"] == "yes",
    }
    if source is KpiSource.SPAN_ATTRIBUTE:
        return made_kpi(values | {"attribute": told["named"]})
    if source is KpiSource.EVENT:
        return made_kpi(values | {"event": told["named"], "attribute": told["attribute"]})
    every_s = int(_number(told["every_s"], "seconds between points"))
    chosen = {name: told[name] for name in ("attribute", "equals")}
    return made_kpi(values | {"metric": told["named"], "every_s": every_s} | chosen)


def form_of_tolerance(told: Tolerance) -> dict[str, str]:
    """The fields of the form that says this tolerance."""
    scale = _DIFFERENCES.get(told.signal)
    shown = told.tolerance * scale if scale else (told.tolerance - 1) * 100
    return {
        "signal": told.signal,
        "tolerance": f"{shown:.10g}",
        "service": told.service,
        "operation": told.operation,
    }


def tolerance_of_form(form: Mapping[str, str]) -> Tolerance:
    """The tolerance that a form says; ContradictionError says what is wrong with it."""
    told = {**EMPTY_TOLERANCE, **_texts(form, EMPTY_TOLERANCE)}
    shown, scale = _number(told["tolerance"], "tolerance"), _DIFFERENCES.get(told["signal"])
    return made_tolerance(
        {
            "signal": told["signal"],
            "tolerance": shown / scale if scale else 1 + shown / 100,
            "service": told["service"] or "*",
            "operation": told["operation"] or "*",
        }
    )


def said_of_preview(seen: Preview, kpi: Kpi) -> list[str]:
    """What a preview says, in sentences."""
    minutes = words.about(seen.until - seen.since)
    told = []
    if seen.values:
        where = f"on {words.plural(seen.instances, 'instance')} of {words.shorten(seen.service, 60)}"
        told.append(f"Seen {words.plural(seen.values, 'time')} {where} in the last {minutes}.")
        if seen.level is not None:
            told.append(f"It is {_level(seen.level, kpi, seen.unit)} now.")
    if seen.needs is not None:
        takes = f"A change of {words.percent(kpi.tolerance)} takes about {words.plural(rough(seen.needs), 'request')}"
        at = f", {words.about(seen.seconds)} at the present traffic" if seen.seconds is not None else ""
        told.append(f"{takes} of each version{at} if each gets half.")
    return [*told, *seen.notes]


def _level(level: float, kpi: Kpi, unit: str) -> str:
    if kpi.kind is KpiKind.YES_NO:
        return words.percent(level)
    return f"{words.plain(level)} {unit}".rstrip()


def _tolerated(told: Tolerance) -> str:
    if told.signal == "errors":
        return f"+{words.plain(told.tolerance * 100)} points"
    return f"+{words.plain(told.tolerance) if told.signal == 'cls_p75' else words.percent(told.tolerance - 1)}"


def _texts(form: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    try:
        return {name: read_text(form[name], name, _MOST_CHARS) for name in known if name in form}
    except InvalidReportError as error:
        raise ContradictionError(str(error)) from error


def _chosen(kind: type[Any], value: str) -> Any:
    try:
        return kind(value)
    except ValueError as error:
        raise ContradictionError(f"{value[:50]!r} is none of the choices on the page.") from error


def _number(text: str, what: str) -> float:
    """A comma is what many write for a point."""
    try:
        number = float(text.replace(",", "."))
    except ValueError:
        number = float("nan")
    if not abs(number) < 1e6:
        raise ContradictionError(f"The {what} is no number: write it like 2 or 0.5.")
    return number
