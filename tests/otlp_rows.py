"""What generated OTLP requests must be in the tables, worked out by protobuf's own classes and compared with what the
engine made of the same bytes: every field that the collector's tables have a column for.
"""

import base64
import json
import math
from collections.abc import Iterable
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from onejob.store.engine import Engine

SPAN_KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
STATUS_CODES = ("Unset", "Ok", "Error")

# --- what must be in the tables -------------------------------------------------------------------------------------


def hex_or_none(data: bytes, size: int) -> str:
    return data.hex() if len(data) == size and any(data) else ""


def number_of(holder: Any) -> float:
    member = holder.WhichOneof("value")
    return float(getattr(holder, member)) if member else 0.0


def word(words: tuple[str, ...], number: int) -> str:
    """Of a number that has none, the first."""
    return words[number] if 0 <= number < len(words) else words[0]


def service_of(of_resource: Any) -> str:
    names = (pair.value.string_value for pair in of_resource.resource.attributes if pair.key == "service.name")
    return next(names, "")


def resource_row(of_resource: Any, of_scope: Any) -> dict[str, Any]:
    return {
        "ServiceName": service_of(of_resource),
        "ResourceAttributes": of_resource.resource.attributes,
        "ResourceSchemaUrl": of_resource.schema_url,
        "ScopeName": of_scope.scope.name,
        "ScopeVersion": of_scope.scope.version,
        "ScopeAttributes": of_scope.scope.attributes,
        "ScopeSchemaUrl": of_scope.schema_url,
    }


def span_rows(request: ExportTraceServiceRequest) -> list[dict[str, Any]]:
    return [
        {
            "ServiceName": service_of(of_resource),
            "ResourceAttributes": of_resource.resource.attributes,
            "ScopeName": of_scope.scope.name,
            "ScopeVersion": of_scope.scope.version,
            "Timestamp": span.start_time_unix_nano,
            "TraceId": span.trace_id.hex(),
            "SpanId": span.span_id.hex(),
            "ParentSpanId": hex_or_none(span.parent_span_id, 8),
            "TraceState": span.trace_state,
            "SpanName": span.name,
            "SpanKind": word(SPAN_KINDS, span.kind),
            "Duration": span.end_time_unix_nano - span.start_time_unix_nano,
            "SpanAttributes": span.attributes,
            "StatusCode": word(STATUS_CODES, span.status.code),
            "StatusMessage": span.status.message,
            "Events.Timestamp": [event.time_unix_nano for event in span.events],
            "Events.Name": [event.name for event in span.events],
            "Events.Attributes": [event.attributes for event in span.events],
            "Links.TraceId": [hex_or_none(link.trace_id, 16) for link in span.links],
            "Links.SpanId": [hex_or_none(link.span_id, 8) for link in span.links],
            "Links.TraceState": [link.trace_state for link in span.links],
            "Links.Attributes": [link.attributes for link in span.links],
        }
        for of_resource in request.resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    ]


def log_rows(request: ExportLogsServiceRequest) -> list[dict[str, Any]]:
    return [
        resource_row(of_resource, of_scope)
        | {
            "Timestamp": record.time_unix_nano or record.observed_time_unix_nano,
            "TraceId": hex_or_none(record.trace_id, 16),
            "SpanId": hex_or_none(record.span_id, 8),
            "TraceFlags": record.flags & 255,
            "SeverityText": record.severity_text,
            "SeverityNumber": record.severity_number,
            "Body": record.body,
            "LogAttributes": record.attributes,
            "EventName": record.event_name,
        }
        for of_resource in request.resource_logs
        for of_scope in of_resource.scope_logs
        for record in of_scope.log_records
    ]


def point_rows(request: ExportMetricsServiceRequest, kind: str) -> list[dict[str, Any]]:
    return [
        resource_row(of_resource, of_scope)
        | {
            "ScopeDroppedAttrCount": of_scope.scope.dropped_attributes_count,
            "MetricName": metric.name,
            "MetricDescription": metric.description,
            "MetricUnit": metric.unit,
            "Attributes": point.attributes,
            "StartTimeUnix": point.start_time_unix_nano,
            "TimeUnix": point.time_unix_nano,
            "Flags": point.flags,
        }
        | own_columns(kind, getattr(metric, kind), point)
        for of_resource in request.resource_metrics
        for of_scope in of_resource.scope_metrics
        for metric in of_scope.metrics
        if metric.WhichOneof("data") == kind
        for point in getattr(metric, kind).data_points
    ]


def own_columns(kind: str, data: Any, point: Any) -> dict[str, Any]:
    row: dict[str, Any] = {}
    if kind in ("gauge", "sum"):
        row["Value"] = number_of(point)
    else:
        row |= {"Count": point.count, "Sum": point.sum}
    if kind not in ("gauge", "summary"):
        row["AggregationTemporality"] = data.aggregation_temporality
    if kind == "sum":
        row["IsMonotonic"] = data.is_monotonic
    if kind in ("histogram", "exponential_histogram"):
        row |= {"Min": point.min, "Max": point.max}
    if kind == "histogram":
        row |= {"BucketCounts": list(point.bucket_counts), "ExplicitBounds": list(point.explicit_bounds)}
    if kind == "exponential_histogram":
        row |= {"Scale": point.scale, "ZeroCount": point.zero_count}
        row |= {"PositiveOffset": point.positive.offset, "PositiveBucketCounts": list(point.positive.bucket_counts)}
        row |= {"NegativeOffset": point.negative.offset, "NegativeBucketCounts": list(point.negative.bucket_counts)}
    if kind == "summary":
        row["ValueAtQuantiles.Quantile"] = [value.quantile for value in point.quantile_values]
        row["ValueAtQuantiles.Value"] = [value.value for value in point.quantile_values]
        return row
    return row | {
        "Exemplars.FilteredAttributes": [exemplar.filtered_attributes for exemplar in point.exemplars],
        "Exemplars.TimeUnix": [exemplar.time_unix_nano for exemplar in point.exemplars],
        "Exemplars.Value": [number_of(exemplar) for exemplar in point.exemplars],
        "Exemplars.SpanId": [hex_or_none(exemplar.span_id, 8) for exemplar in point.exemplars],
        "Exemplars.TraceId": [hex_or_none(exemplar.trace_id, 16) for exemplar in point.exemplars],
    }


# --- is it there? ---------------------------------------------------------------------------------------------------


def is_same(kept: Any, sent: Any) -> bool:
    if isinstance(sent, AnyValue):
        return is_same_text(kept, sent)
    if is_attributes(sent):
        wanted = {pair.key: pair.value for pair in sent}
        return dict(kept).keys() == wanted.keys() and all(is_same_text(v, wanted[k]) for k, v in kept)
    if isinstance(sent, list):
        return len(kept) == len(sent) and all(is_same(one, other) for one, other in zip(kept, sent, strict=True))
    if isinstance(sent, float) and math.isnan(sent):
        return math.isnan(kept)
    return bool((kept.value if hasattr(kept, "value") else kept) == sent)  # of a moment, its nanoseconds


def is_attributes(sent: Any) -> bool:
    return hasattr(sent, "MergeFrom") and hasattr(sent, "add") and not isinstance(sent, AnyValue)


def is_same_text(kept: str, sent: AnyValue) -> bool:
    """The text that the collector's exporter makes of a value; of a map or a list, JSON that says the same."""
    member = sent.WhichOneof("value")
    value = getattr(sent, member) if member else ""
    if member == "double_value":
        return is_same(float(kept), value)
    if member == "bytes_value":
        return base64.b64decode(kept, validate=True) == value
    if member in ("array_value", "kvlist_value"):
        return is_same(json.loads(kept), plain(sent))
    return kept == (str(value).lower() if member == "bool_value" else str(value))


def plain(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [plain(item) for item in value.array_value.values]
        case "kvlist_value":
            return {pair.key: plain(pair.value) for pair in value.kvlist_value.values}
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case "double_value" if not math.isfinite(value.double_value):
            return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value.double_value)]
        case member:
            return getattr(value, member)


def assert_same(kept: list[dict[str, Any]], sent: Iterable[dict[str, Any]]) -> None:
    sent = list(sent)
    assert len(kept) == len(sent)
    for row, wanted in zip(kept, sent, strict=True):
        for column, value in wanted.items():
            assert is_same(row[column], value), f"{column}: {row[column]!r} was kept of {value!r}"


def rows_of(engine: Engine, table: str, service: str, order: str) -> list[dict[str, Any]]:
    sql = f"SELECT * FROM {table} WHERE ServiceName = {{service:String}} ORDER BY {order}"  # noqa: S608
    rows: list[dict[str, Any]] = engine.query(sql, {"service": service}).to_pylist()
    return rows
