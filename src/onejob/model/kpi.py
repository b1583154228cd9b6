"""What a team wants judged beside errors and latency: its own numbers, and its own tolerances.

A KPI names where its values are found (an attribute of spans, events, or a metric), which direction is good and how
much of a change is tolerated. Both kinds of settings travel with a deployment's first batch of evidence, so that a
later change of them changes no old verdict.
"""

import math
import re
from dataclasses import dataclass
from enum import StrEnum

# Signals that are there without being configured; a KPI cannot be called like one of them.
BUILT_IN = (
    *("errors", "latency_p50", "latency_p95", "latency_p99", "shortfall"),
    *("lcp_p75", "inp_p75", "cls_p75", "new_error", "new_log_template"),
)
_NAME = re.compile(r"[a-z][a-z0-9_.]{0,63}")


class Direction(StrEnum):
    """Which way is good; `either` means that any change is suspicious."""

    HIGHER_IS_BETTER = "higher_is_better"
    LOWER_IS_BETTER = "lower_is_better"
    EITHER = "either"


class KpiKind(StrEnum):
    """What is compared: the mean of values, their growth with time, a share of yes, or how many there are."""

    MEAN = "mean"
    SLOPE = "slope"
    YES_NO = "yes_no"
    THROUGHPUT = "throughput"


class KpiSource(StrEnum):
    """Where values are found."""

    SPAN_ATTRIBUTE = "span_attribute"
    EVENT = "event"
    METRIC = "metric"


EVERY_S = 60  # OpenTelemetry's SDKs send metrics once a minute, unless told otherwise
_MOST_EVERY_S = 3600


@dataclass(frozen=True, slots=True, kw_only=True)
class Kpi:
    """One number to judge; raises ValueError when it contradicts itself.

    `service` and `operation` are globs. Of a span attribute, `attribute` is read; of an event called `event`, its
    attribute `attribute`, or nothing but its occurrence when there is none (throughput). Of a `metric`, the points
    whose `attribute` is `equals` are read, or all; they come every `every_s` seconds. `tolerance` is relative: 0.02
    is 2 % (of control's mean; a slope: per hour). `per_instance` says that the value belongs to the process, not
    to the request (memory, queue depth): instances then differ for good, and more of a difference is put down to that.
    A `guardrail` shares alpha and may roll back; any other KPI is exploratory.
    """

    name: str
    kind: KpiKind
    direction: Direction
    source: KpiSource = KpiSource.SPAN_ATTRIBUTE
    attribute: str = ""
    event: str = ""
    service: str = "*"
    operation: str = "*"
    unit: str = ""
    tolerance: float = 0.02
    guardrail: bool = False
    per_instance: bool = False
    metric: str = ""
    equals: str = ""
    every_s: int = EVERY_S

    def __post_init__(self) -> None:
        for wrong in _contradictions(self):
            raise ValueError(f"KPI {self.name!r}: {wrong}")


def _contradictions(kpi: Kpi) -> list[str]:
    counts_events = kpi.kind is KpiKind.THROUGHPUT and kpi.source is KpiSource.EVENT
    is_metric = kpi.source is KpiSource.METRIC
    checks = (
        (not _NAME.fullmatch(kpi.name), "a name is lower case letters, digits, _ and ., and starts with a letter"),
        (kpi.name in BUILT_IN, "onejob has a signal of that name; choose another"),
        (kpi.source is KpiSource.EVENT and not kpi.event, "source is `event`, so `event` must name it"),
        (kpi.source is not KpiSource.EVENT and bool(kpi.event), "`event` is given, so source must be `event`"),
        (not kpi.attribute and not counts_events and not is_metric, "`attribute` must name what holds the value"),
        (not (math.isfinite(kpi.tolerance) and 0 < kpi.tolerance < 10), "tolerance is relative, such as 0.02 for 2 %"),
        (kpi.kind is KpiKind.SLOPE and not kpi.per_instance, "a slope is of a process: set per_instance to true"),
        *(_of_a_metric(kpi) if is_metric else _of_no_metric(kpi)),
    )
    return [wrong for is_wrong, wrong in checks if is_wrong]


def _of_a_metric(kpi: Kpi) -> tuple[tuple[bool, str], ...]:
    return (
        (not kpi.metric, "source is `metric`, so `metric` must name it"),
        (
            kpi.kind is KpiKind.YES_NO,
            "a metric has no yes and no: count one of them (throughput), or use a span attribute",
        ),
        (
            kpi.operation != "*",
            "a metric is of a process, not of an operation: choose its points by `attribute` and `equals` instead",
        ),
        (bool(kpi.attribute) != bool(kpi.equals), "`attribute` and `equals` choose a metric's points together"),
        (
            not 1 <= kpi.every_s <= _MOST_EVERY_S,
            f"every_s is how many seconds its points are apart: 1 to {_MOST_EVERY_S}",
        ),
    )


def _of_no_metric(kpi: Kpi) -> tuple[tuple[bool, str], ...]:
    return (
        (bool(kpi.metric), "`metric` is given, so source must be `metric`"),
        (bool(kpi.equals), "`equals` is for points of a metric only: use a kind that reads the value"),
        (kpi.every_s != EVERY_S, "`every_s` is for points of a metric only"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """What one signal of some services and operations may change by; `service` and `operation` are globs.

    `tolerance` has the signal's own unit: a ratio above 1 for latency, `lcp_p75` and `inp_p75`; a difference above 0
    for `errors` and `cls_p75`.
    """

    signal: str
    tolerance: float
    service: str = "*"
    operation: str = "*"

    def __post_init__(self) -> None:
        if self.signal not in _TOLERATED:
            raise ValueError(f"no signal {self.signal!r} has a tolerance; there are {', '.join(sorted(_TOLERATED))}")
        least, what = _TOLERATED[self.signal]
        if not (math.isfinite(self.tolerance) and self.tolerance > least):
            raise ValueError(f"tolerance of {self.signal} is {what}, not {self.tolerance:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """What people named beside the configuration. Of the tolerances, the first that fits holds."""

    kpis: tuple[Kpi, ...] = ()
    tolerances: tuple[Tolerance, ...] = ()


NO_OUTCOMES = Outcomes()
_RATIO = (1.0, "a ratio above 1, such as 1.1 for +10 %")
_DIFFERENCE = (0.0, "a difference above 0, such as 0.005 for half a point")
_TOLERATED = {
    "errors": _DIFFERENCE,
    "cls_p75": (0.0, "a difference above 0, such as 0.02"),
    **dict.fromkeys(("latency_p50", "latency_p95", "latency_p99", "lcp_p75", "inp_p75"), _RATIO),
}


def matches(pattern: str, name: str) -> bool:
    """Does a glob of `*` and `?` cover the name? Case counts.

    >>> matches("GET /cart*", "GET /cart/{id}"), matches("GET /cart", "POST /cart")
    (True, False)
    """
    return re.fullmatch(regex_of(pattern), name) is not None


def regex_of(pattern: str) -> str:
    """The glob as a regular expression that the store understands as well."""
    parts = {"*": ".*", "?": "."}
    return "(?s)^" + "".join(parts.get(character) or re.escape(character) for character in pattern) + "$"
