"""KPI values that are metrics, read from the store: levels, and what counters and histograms add.

Which of them a metric is, only its points say: a gauge or an up-down counter has a level, a counter steps, and a
histogram (or a summary) has both, a mean of what it recorded and how often it did. A KPI of another kind than its
metric finds nothing.
"""

from collections.abc import Collection, Sequence
from importlib import resources
from string import Template

from onejob.model.evidence import ValueCell
from onejob.model.kpi import Kpi, KpiKind
from onejob.store.engine import Reader
from onejob.store.sql import quote
from onejob.verdict.said import Scope
from onejob.verdict.value_cells import as_cells

_QUERIES = resources.files("onejob.verdict").joinpath("queries")
_POINTS = Template(_QUERIES.joinpath("metric_points.sql").read_text())
_VALUES = Template(_QUERIES.joinpath("metric_values.sql").read_text())
# How far back the point before a point is looked for. A process that counts its first order later than this after it
# began is not told from one whose points were away for a while: that first step is left out.
BEFORE_S = 3600

_LEVEL: dict[str, object] = {
    "shape": "'level'",
    "is_delta": "true",
    "total": "Value",
    "number": "toUInt64(1)",
    "only": "true",
}
_SPREAD: dict[str, object] = {
    "shape": "'spread'",
    "is_delta": "false",
    "total": "Sum",
    "number": "Count",
    "only": "true",
}
_SENT_AS_ADDED: dict[str, object] = {"is_delta": "AggregationTemporality = 1"}
_TABLES = {
    "otel_metrics_gauge": _LEVEL | {"back": 0},
    "otel_metrics_sum": _LEVEL
    | _SENT_AS_ADDED
    # What an up-down counter added is no level.
    | {"shape": "if(IsMonotonic, 'counter', 'level')", "only": "(IsMonotonic OR AggregationTemporality != 1)"},
    "otel_metrics_histogram": _SPREAD | _SENT_AS_ADDED,
    "otel_metrics_exponential_histogram": _SPREAD | _SENT_AS_ADDED,
    "otel_metrics_summary": _SPREAD,
}


def read_metrics(engine: Reader, scope: Scope, kpis: Sequence[Kpi]) -> tuple[ValueCell, ...]:
    """Per KPI, instance and bin. Of a throughput, each value is a step."""
    sql = _VALUES.substitute(
        points=_points({kpi.metric for kpi in kpis}, BEFORE_S),
        before_s=BEFORE_S,
        entries=f"arrayConcat({', '.join(_entry(number, kpi) for number, kpi in enumerate(kpis))})",
    )
    return as_cells(kpis, engine.query(sql, scope.params()).to_pylist())


def shapes(engine: Reader, scope: Scope, metric: str) -> list[str]:
    """What a metric's points are, of `level`, `counter` and `spread`; nothing where there are none."""
    sql = f"SELECT DISTINCT Shape FROM ({_points({metric}, 0)}) ORDER BY Shape"  # noqa: S608
    return [str(row["Shape"]) for row in engine.query(sql, scope.params()).to_pylist()]


def _points(names: Collection[str], before_s: int) -> str:
    """A select of points of all kinds, and of those that add up, the ones before them."""
    quoted = ", ".join(sorted(map(quote, names)))
    told = ({"back": before_s, "table": table, "names": quoted} | of_kind for table, of_kind in _TABLES.items())
    return "\nUNION ALL\n".join(map(_POINTS.substitute, told))


def _entry(number: int, kpi: Kpi) -> str:
    """(number of the KPI, does it want steps?) for one point, in an array."""
    asked = f"MetricName = {quote(kpi.metric)}"
    if kpi.attribute:
        key, value = quote(kpi.attribute), quote(kpi.equals)
        asked += f" AND (Attributes[{key}] = {value} OR ResourceAttributes[{key}] = {value})"
    return f"if({asked}, [(toUInt16({number}), toUInt8({int(kpi.kind is KpiKind.THROUGHPUT)}))], [])"
