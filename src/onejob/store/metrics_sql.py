"""Data points of metrics out of OTLP bytes, inside the engine: see `traces_sql`, whose way this goes.

Each of the five kinds of points has a table of its own, so a batch is read once for each. Each reading is told of its
own kind only: the engine passes over the points of the others without looking into them.
"""

from __future__ import annotations

from dataclasses import dataclass

from onejob.store.expressions import resource_columns
from onejob.store.otlp_sql import (
    ATTRIBUTES,
    DATABASE,
    FOUND_ABOVE,
    Holds,
    Redact,
    attributes_of,
    id_or_none,
    named,
    part,
    resources_of,
    time_of,
)

_NUMBER = "as_double Float64, as_int Int64, value Enum8('none' = 0, 'as_double' = {}, 'as_int' = 6)"
_EXEMPLARS = (
    f"exemplars Array(Tuple(filtered_attributes {ATTRIBUTES}, time_unix_nano UInt64, {_NUMBER.format(3)}, "
    "span_id String, trace_id String))"
)
_POINT = f"attributes {ATTRIBUTES}, start_time_unix_nano UInt64, time_unix_nano UInt64, flags UInt32"
_SCOPE = f"Tuple(name String, version String, attributes {ATTRIBUTES}, dropped_attributes_count UInt32)"
_BUCKETS = "Tuple(offset Int32, bucket_counts Array(UInt64))"

_OF_RESOURCE = ("ServiceName", "ResourceAttributes", "ResourceSchemaUrl", *resource_columns())
_OF_SCOPE = {
    "ScopeName": part("of_scope", "scope.name"),
    "ScopeVersion": part("of_scope", "scope.version"),
    "ScopeAttributes": attributes_of(part("of_scope", "scope.attributes")),
    "ScopeDroppedAttrCount": part("of_scope", "scope.dropped_attributes_count"),
    "ScopeSchemaUrl": part("of_scope", "schema_url"),
}
_OF_METRIC = {
    "MetricName": part("metric", "name"),
    "MetricDescription": part("metric", "description"),
    "MetricUnit": part("metric", "unit"),
}
_OF_POINT = {
    "Attributes": attributes_of(part("point", "attributes")),
    "StartTimeUnix": time_of(part("point", "start_time_unix_nano")),
    "TimeUnix": time_of(part("point", "time_unix_nano")),
    "Flags": part("point", "flags"),
}


_SCOPE_TEXTS = {
    "ScopeName": Holds.TEXT,
    "ScopeVersion": Holds.TEXT,
    "ScopeAttributes": Holds.ATTRIBUTES,
    "ScopeSchemaUrl": Holds.TEXT,
}
_METRIC_TEXTS = dict.fromkeys(_OF_METRIC, Holds.TEXT)
_POINT_TEXTS = {"Attributes": Holds.ATTRIBUTES, "`Exemplars.FilteredAttributes`": Holds.LISTED_ATTRIBUTES}


def _value(of: str) -> str:
    return f"if({part(of, 'value')} = 'as_int', toFloat64({part(of, 'as_int')}), {part(of, 'as_double')})"


def _of_exemplars(column: str, sql: str) -> dict[str, str]:
    return {f"`Exemplars.{column}`": f"arrayMap(e -> {sql}, {part('point', 'exemplars')})"}


_EXEMPLAR_COLUMNS = (
    _of_exemplars("FilteredAttributes", attributes_of(part("e", "filtered_attributes")))
    | _of_exemplars("TimeUnix", time_of(part("e", "time_unix_nano")))
    | _of_exemplars("Value", _value("e"))
    | _of_exemplars("SpanId", id_or_none(part("e", "span_id"), 8))
    | _of_exemplars("TraceId", id_or_none(part("e", "trace_id"), 16))
)
_SIZES = {"Count": part("point", "count"), "Sum": part("point", "sum")}
_EXTREMES = {"Min": part("point", "min"), "Max": part("point", "max")}


@dataclass(frozen=True, slots=True)
class Points:
    """One kind of points. `field` is what OTLP calls it, and `point` and `data` are the structures of a point and of
    what is beside the points, `columns` the expressions of what only this kind has."""

    field: str
    point: str
    data: str
    columns: dict[str, str]

    @property
    def table(self) -> str:
        return f"otel_metrics_{self.field}"

    @property
    def insert_columns(self) -> tuple[str, ...]:
        return (*_OF_RESOURCE, *_OF_SCOPE, *_OF_METRIC, *_OF_POINT, *(name.strip("`") for name in self.columns))

    @property
    def select(self) -> str:
        columns = ", ".join(f"`{name}`" for name in self.insert_columns)
        return f"SELECT {columns} FROM {DATABASE}.{self.field}_points"  # noqa: S608

    def views(self, path: str, redact: Redact) -> list[str]:
        """The statements that make `select` read the concatenated requests in the file at `path`, and redact them."""
        more = {"ResourceSchemaUrl": (part("of_resource", "schema_url"), Holds.TEXT)}
        resources = resources_of(path, self._structure(), "resource_metrics", redact, more)
        return [
            f"CREATE OR REPLACE VIEW {DATABASE}.{self.field}_scopes AS {_scopes(resources, redact)}",
            f"CREATE OR REPLACE VIEW {DATABASE}.{self.field}_metrics AS {self._metrics(redact)}",
            f"CREATE OR REPLACE VIEW {DATABASE}.{self.field}_points AS {self._points(redact)}",
        ]

    def _structure(self) -> str:
        data = f"Tuple({self.data}data_points Array(Tuple({_POINT}, {self.point})))"
        metric = f"Tuple(name String, description String, unit String, {self.field} {data})"
        return (
            f"resource_metrics Array(Tuple(resource Tuple(attributes {ATTRIBUTES}), schema_url String, "
            f"scope_metrics Array(Tuple(scope {_SCOPE}, schema_url String, metrics Array({metric})))))"
        )

    def _metrics(self, redact: Redact) -> str:
        """One row per metric, with its `data`."""
        is_found = f"is_in_scope OR {redact.finds(_METRIC_TEXTS)}"
        return f"""
SELECT {", ".join((*_OF_RESOURCE, *_OF_SCOPE))}, {named(_OF_METRIC)}, {is_found} AS {FOUND_ABOVE},
    {part("metric", self.field)} AS data
FROM {DATABASE}.{self.field}_scopes
ARRAY JOIN metrics AS metric"""  # noqa: S608

    def _points(self, redact: Redact) -> str:
        own = _OF_POINT | self.columns
        points = f"""
SELECT {", ".join((*_OF_RESOURCE, *_OF_SCOPE, *_OF_METRIC, FOUND_ABOVE))}, {named(own)}
FROM {DATABASE}.{self.field}_metrics
ARRAY JOIN {part("data", "data_points")} AS point"""  # noqa: S608
        texts = {name: holds for name, holds in _POINT_TEXTS.items() if name in own}
        kept = (*_OF_RESOURCE, "ScopeDroppedAttrCount", *(name for name in own if name not in texts))
        return redact.around(points, kept, texts, above=_SCOPE_TEXTS | _METRIC_TEXTS)


def _scopes(resources: str, redact: Redact) -> str:
    """One row per scope of a resource, with its `metrics`."""
    return f"""
SELECT {", ".join(_OF_RESOURCE)}, {named(_OF_SCOPE)}, {redact.finds(_SCOPE_TEXTS)} AS is_in_scope,
    {part("of_scope", "metrics")} AS metrics
FROM ({resources})
ARRAY JOIN scopes AS of_scope"""  # noqa: S608


_NUMBERS = f"{_NUMBER.format(4)}, {_EXEMPLARS}"
_TEMPORALITY = "aggregation_temporality Int32, "
_AGGREGATION = {"AggregationTemporality": part("data", "aggregation_temporality")}

KINDS_OF_POINTS = (
    Points("gauge", _NUMBERS, "", {"Value": _value("point")} | _EXEMPLAR_COLUMNS),
    Points(
        "sum",
        _NUMBERS,
        f"{_TEMPORALITY}is_monotonic Bool, ",
        {"Value": _value("point")} | _EXEMPLAR_COLUMNS | _AGGREGATION | {"IsMonotonic": part("data", "is_monotonic")},
    ),
    Points(
        "histogram",
        "count UInt64, sum Float64, bucket_counts Array(UInt64), explicit_bounds Array(Float64), min Float64, "
        f"max Float64, {_EXEMPLARS}",
        _TEMPORALITY,
        _SIZES
        | {"BucketCounts": part("point", "bucket_counts"), "ExplicitBounds": part("point", "explicit_bounds")}
        | _EXEMPLAR_COLUMNS
        | _EXTREMES
        | _AGGREGATION,
    ),
    Points(
        "exponential_histogram",
        f"count UInt64, sum Float64, scale Int32, zero_count UInt64, positive {_BUCKETS}, negative {_BUCKETS}, "
        f"min Float64, max Float64, {_EXEMPLARS}",
        _TEMPORALITY,
        _SIZES
        | {
            "Scale": part("point", "scale"),
            "ZeroCount": part("point", "zero_count"),
            "PositiveOffset": part("point", "positive.offset"),
            "PositiveBucketCounts": part("point", "positive.bucket_counts"),
            "NegativeOffset": part("point", "negative.offset"),
            "NegativeBucketCounts": part("point", "negative.bucket_counts"),
        }
        | _EXEMPLAR_COLUMNS
        | _EXTREMES
        | _AGGREGATION,
    ),
    Points(
        "summary",
        "count UInt64, sum Float64, quantile_values Array(Tuple(quantile Float64, value Float64))",
        "",
        _SIZES
        | {
            "`ValueAtQuantiles.Quantile`": part("point", "quantile_values.quantile"),
            "`ValueAtQuantiles.Value`": part("point", "quantile_values.value"),
        },
    ),
)
