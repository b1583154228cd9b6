"""OTLP requests for tests, in few words: `a_request(a_span(name="GET /"), service="shop")`."""

import itertools
import os
import time
from collections.abc import Mapping
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

_names = itertools.count()


def a_service() -> str:
    """A name no other test has."""
    return f"service-{next(_names)}-{os.urandom(3).hex()}"


def a_moment(seconds_ago: float = 60.0) -> int:
    """Unix nanoseconds at the start of a ten-second bin."""
    return int((time.time() - seconds_ago) // 10) * 10 * 10**9


def a_span(
    name: str = "GET /cart",
    *,
    kind: int = Span.SPAN_KIND_SERVER,
    start_ns: int | None = None,
    duration_s: float = 0.25,
    error: bool = False,
    parent: bytes = b"",
    trace_id: bytes | None = None,
    span_id: bytes | None = None,
    **attributes: Any,
) -> Span:
    """Attributes are written with `__` for the dot: `http__route="/cart"`."""
    start = a_moment() if start_ns is None else start_ns
    return Span(
        trace_id=os.urandom(16) if trace_id is None else trace_id,
        span_id=os.urandom(8) if span_id is None else span_id,
        parent_span_id=parent,
        name=name,
        kind=kind,
        start_time_unix_nano=start,
        end_time_unix_nano=start + round(duration_s * 1e9),
        status=Status(code=Status.STATUS_CODE_ERROR if error else Status.STATUS_CODE_UNSET),
        attributes=attributes_of({key.replace("__", "."): value for key, value in attributes.items()}),
    )


def a_request(
    *spans: Span, service: str = "shop", resource: Mapping[str, Any] | None = None
) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    resource_spans.resource.attributes.extend(attributes_of({"service.name": service} | dict(resource or {})))
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name, scope_spans.scope.version = "tests", "1.0"
    scope_spans.spans.extend(spans)
    return request


def a_payload(*spans: Span, service: str = "shop", resource: Mapping[str, Any] | None = None) -> bytes:
    return a_request(*spans, service=service, resource=resource).SerializeToString()


def a_record(body: Any = "it works", *, time_ns: int | None = None, **fields: Any) -> LogRecord:
    """A line of INFO, a minute ago."""
    when = a_moment() if time_ns is None else time_ns
    return LogRecord(
        **{"time_unix_nano": when, "severity_number": 9, "severity_text": "INFO", "body": any_value(body)} | fields
    )


def a_log_request(
    *records: LogRecord, service: str = "shop", resource: Mapping[str, Any] | None = None
) -> ExportLogsServiceRequest:
    request = ExportLogsServiceRequest()
    of_resource = request.resource_logs.add()
    of_resource.resource.attributes.extend(attributes_of({"service.name": service} | dict(resource or {})))
    of_resource.scope_logs.add().log_records.extend(records)
    return request


def a_metric_request(
    service: str = "shop", *, time_ns: int | None = None, resource: Mapping[str, Any] | None = None
) -> ExportMetricsServiceRequest:
    """One point of each of the five kinds."""
    when = {"time_unix_nano": a_moment() if time_ns is None else time_ns}
    request = ExportMetricsServiceRequest()
    of_resource = request.resource_metrics.add()
    of_resource.resource.attributes.extend(attributes_of({"service.name": service} | dict(resource or {})))
    metrics = of_resource.scope_metrics.add().metrics
    metrics.add(name="queue.depth").gauge.data_points.add(as_int=7, **when)
    orders = metrics.add(name="orders").sum
    orders.is_monotonic, orders.aggregation_temporality = True, 2
    orders.data_points.add(as_double=12.5, **when)
    metrics.add(name="duration").histogram.data_points.add(
        count=3, sum=0.6, bucket_counts=[1, 2], explicit_bounds=[0.25], **when
    )
    metrics.add(name="size").exponential_histogram.data_points.add(count=1, scale=2, zero_count=1, **when)
    metrics.add(name="old").summary.data_points.add(count=1, sum=2.0, **when)
    return request


def attributes_of(values: Mapping[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in values.items()]


def any_value(value: Any) -> AnyValue:
    result = AnyValue()
    match value:
        case None:
            pass
        case bool():
            result.bool_value = value
        case int():
            result.int_value = value
        case float():
            result.double_value = value
        case str():
            result.string_value = value
        case bytes():
            result.bytes_value = value
        case list():
            result.array_value.SetInParent()
            result.array_value.values.extend(any_value(item) for item in value)
        case dict():
            result.kvlist_value.SetInParent()
            result.kvlist_value.values.extend(attributes_of(value))
        case _:
            raise TypeError(f"OTLP has no {type(value).__name__}")
    return result
