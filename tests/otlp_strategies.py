"""Generated OTLP requests: whatever the protocol allows, and in logs and metrics ids that it does not."""

import os
import time
from typing import Any

from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from onejob.model.telemetry import POINTS
from otlp_builders import any_value, attributes_of

DAY_NS = 86_400 * 10**9

words = st.text(st.characters(codec="utf-8"), max_size=12)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
integers = st.integers(-(2**63), 2**63 - 1)
scalars = st.none() | words | st.booleans() | integers | st.floats() | st.binary(max_size=5)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3), max_leaves=6
)
attributes = st.dictionaries(words, values, max_size=4)
counts = st.integers(0, 2**64 - 1)
moments = st.integers(0, 5 * DAY_NS).map(lambda back: time.time_ns() - back)
ids = st.sampled_from([0, 16, 8, 3, 1]).map(os.urandom) | st.sampled_from([bytes(16), bytes(8)])
parents = st.sampled_from([0, 8]).map(os.urandom) | st.just(bytes(8))


def draw_resource(draw: st.DrawFn, of_resource: Any, service: str) -> None:
    of_resource.resource.attributes.extend(attributes_of(draw(attributes) | {"service.name": service}))
    of_resource.schema_url = draw(words)


def draw_scope(draw: st.DrawFn, of_scope: Any) -> None:
    of_scope.schema_url = draw(words)
    of_scope.scope.name, of_scope.scope.version = draw(words), draw(words)
    of_scope.scope.attributes.extend(attributes_of(draw(attributes)))
    of_scope.scope.dropped_attributes_count = draw(st.integers(0, 2**32 - 1))


@st.composite
def trace_requests(draw: st.DrawFn, service: str) -> ExportTraceServiceRequest:
    """Each span has its place as its duration in nanoseconds."""
    request, number = ExportTraceServiceRequest(), 0
    for _ in range(draw(st.integers(1, 2))):
        of_resource = request.resource_spans.add()
        draw_resource(draw, of_resource, service)
        for _ in range(draw(st.integers(0, 2))):
            of_scope = of_resource.scope_spans.add()
            draw_scope(draw, of_scope)
            for _ in range(draw(st.integers(0, 4))):
                draw_span(draw, of_scope.spans.add(), number)
                number += 1
    return request


def draw_span(draw: st.DrawFn, span: Any, number: int) -> None:
    span.trace_id, span.span_id, span.name = os.urandom(16), os.urandom(8), draw(names)
    span.parent_span_id = draw(parents)
    span.trace_state, span.kind = draw(words), draw(st.integers(0, 6))
    span.start_time_unix_nano = draw(moments)
    span.end_time_unix_nano = span.start_time_unix_nano + number
    span.attributes.extend(attributes_of(draw(attributes)))
    span.status.message, span.status.code = draw(words), draw(st.integers(0, 3))
    for _ in range(draw(st.integers(0, 2))):
        span.events.add(time_unix_nano=draw(moments), name=draw(words), attributes=attributes_of(draw(attributes)))
    for _ in range(draw(st.integers(0, 2))):
        trace_id, span_id = os.urandom(16), os.urandom(8)
        linked = draw(st.sampled_from([(trace_id, span_id), (bytes(16), bytes(8))]))
        link = span.links.add(trace_id=linked[0], span_id=linked[1], trace_state=draw(words))
        link.attributes.extend(attributes_of(draw(attributes)))


@st.composite
def log_requests(draw: st.DrawFn, service: str) -> ExportLogsServiceRequest:
    """Each record has its place as its severity text."""
    request, number = ExportLogsServiceRequest(), 0
    for _ in range(draw(st.integers(1, 2))):
        of_resource = request.resource_logs.add()
        draw_resource(draw, of_resource, service)
        for _ in range(draw(st.integers(0, 2))):
            of_scope = of_resource.scope_logs.add()
            draw_scope(draw, of_scope)
            for _ in range(draw(st.integers(0, 4))):
                record = of_scope.log_records.add(
                    time_unix_nano=draw(moments | st.just(0)),
                    observed_time_unix_nano=draw(moments),
                    severity_number=draw(st.integers(0, 24)),
                    severity_text=str(number),
                    body=any_value(draw(values)),
                    attributes=attributes_of(draw(attributes)),
                    flags=draw(st.integers(0, 2**32 - 1)),
                    trace_id=draw(ids),
                    span_id=draw(ids),
                    event_name=draw(words),
                )
                number += 1
                if draw(st.booleans()):
                    record.ClearField("body")
    return request


def draw_exemplars(draw: st.DrawFn, point: Any) -> None:
    for _ in range(draw(st.integers(0, 2))):
        exemplar = point.exemplars.add(
            time_unix_nano=draw(moments),
            span_id=draw(ids),
            trace_id=draw(ids),
            filtered_attributes=attributes_of(draw(attributes)),
        )
        draw_number(draw, exemplar)


def draw_number(draw: st.DrawFn, holder: Any) -> None:
    match draw(st.integers(0, 2)):
        case 0:
            holder.as_double = draw(st.floats())
        case 1:
            holder.as_int = draw(integers)


def draw_sizes(draw: st.DrawFn, point: Any) -> None:
    point.count = draw(counts)
    for field in ("sum", "min", "max"):
        if draw(st.booleans()):
            setattr(point, field, draw(st.floats()))


def draw_point(draw: st.DrawFn, kind: str, point: Any) -> None:
    point.attributes.extend(attributes_of(draw(attributes)))
    point.start_time_unix_nano, point.time_unix_nano = draw(moments), draw(moments)
    if kind in ("gauge", "sum"):
        draw_number(draw, point)
    elif kind == "histogram":
        draw_sizes(draw, point)
        point.explicit_bounds.extend(sorted(draw(st.sets(st.floats(-1e9, 1e9), max_size=4))))
        point.bucket_counts.extend(draw(counts) for _ in range(len(point.explicit_bounds) + 1))
    elif kind == "exponential_histogram":
        draw_sizes(draw, point)
        point.scale, point.zero_count = draw(st.integers(-10, 20)), draw(counts)
        for buckets in (point.positive, point.negative):
            buckets.offset = draw(st.integers(-(2**31), 2**31 - 1))
            buckets.bucket_counts.extend(draw(st.lists(counts, max_size=4)))
    else:
        point.count, point.sum = draw(counts), draw(st.floats())
        for quantile in draw(st.lists(st.floats(0, 1), max_size=3)):
            point.quantile_values.add(quantile=quantile, value=draw(st.floats()))
    if kind != "summary":
        draw_exemplars(draw, point)


@st.composite
def metric_requests(draw: st.DrawFn, service: str) -> ExportMetricsServiceRequest:
    """Each point has its place in its flags."""
    request, number = ExportMetricsServiceRequest(), 0
    for _ in range(draw(st.integers(1, 2))):
        of_resource = request.resource_metrics.add()
        draw_resource(draw, of_resource, service)
        for _ in range(draw(st.integers(0, 2))):
            of_scope = of_resource.scope_metrics.add()
            draw_scope(draw, of_scope)
            for kind in draw(st.lists(st.sampled_from(POINTS), max_size=6)):
                metric = of_scope.metrics.add(name=draw(names), description=draw(words), unit=draw(words))
                data = getattr(metric, kind)
                data.SetInParent()
                if kind not in ("gauge", "summary"):
                    data.aggregation_temporality = draw(st.integers(0, 2))
                if kind == "sum":
                    data.is_monotonic = draw(st.booleans())
                for _ in range(draw(st.integers(0, 3))):
                    point = data.data_points.add(flags=number)
                    draw_point(draw, kind, point)
                    number += 1
    return request
