"""Telemetry as a small shop sends it. Spans of about 450 bytes each, one server span to four database spans; log
records of about 260; data points of about 180, a third of them gauges, sums and histograms each.
"""

import random
import time
from collections.abc import Mapping
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span

RESOURCE = {
    "service.name": "checkout",
    "service.version": "1.2.3",
    "deployment.environment.name": "production",
    "host.name": "node-17",
    "telemetry.sdk.language": "python",
    "telemetry.sdk.name": "opentelemetry",
    "telemetry.sdk.version": "1.45.1",
}
_DATABASE = {
    "db.system.name": "postgresql",
    "db.namespace": "shop",
    "db.query.text": "SELECT id, price, name, stock FROM products WHERE id = %s AND tenant = %s ORDER BY updated_at",
    "db.operation.name": "SELECT",
    "db.collection.name": "products",
    "server.address": "postgres.shop.svc.cluster.local",
    "server.port": 5432,
    "thread.id": 140_123_456_789,
    "thread.name": "AnyIO worker thread",
}


def requests(spans: int, per_request: int, seed: int = 1) -> list[bytes]:
    """Serialized ExportTraceServiceRequests; no two alike."""
    draw = random.Random(seed)
    return [_request(draw, per_request, number % 4) for number in range(spans // per_request)]


def _request(draw: random.Random, spans: int, instance: int) -> bytes:
    request = ExportTraceServiceRequest()
    resource_spans = request.resource_spans.add()
    _describe(resource_spans.resource, instance)
    scope_spans = resource_spans.scope_spans.add()
    scope_spans.scope.name = "opentelemetry.instrumentation.fastapi"
    now = time.time_ns()
    for number in range(spans):
        _add_span(draw, scope_spans, now, is_server=number % 5 == 0)
    return request.SerializeToString()


def _add_span(draw: random.Random, scope_spans: ScopeSpans, now_ns: int, *, is_server: bool) -> None:
    duration = int(draw.lognormvariate(17, 0.5))
    span = scope_spans.spans.add(
        trace_id=draw.randbytes(16),
        span_id=draw.randbytes(8),
        parent_span_id=b"" if is_server else draw.randbytes(8),
        name="GET /cart/{id}" if is_server else "SELECT products",
        kind=Span.SPAN_KIND_SERVER if is_server else Span.SPAN_KIND_CLIENT,
        start_time_unix_nano=now_ns - duration,
        end_time_unix_nano=now_ns,
    )
    _add_attributes(span, _http(draw) if is_server else _DATABASE)


def log_requests(records: int, per_request: int, seed: int = 1) -> list[bytes]:
    """Serialized ExportLogsServiceRequests; no two alike."""
    draw = random.Random(seed)
    return [_log_request(draw, per_request, number % 4) for number in range(records // per_request)]


def _log_request(draw: random.Random, records: int, instance: int) -> bytes:
    request = ExportLogsServiceRequest()
    of_resource = request.resource_logs.add()
    _describe(of_resource.resource, instance)
    of_scope = of_resource.scope_logs.add()
    of_scope.scope.name = "checkout.orders"
    now = time.time_ns()
    for number in range(records):
        record = of_scope.log_records.add(
            time_unix_nano=now + number,
            severity_number=9,
            severity_text="INFO",
            trace_id=draw.randbytes(16),
            span_id=draw.randbytes(8),
        )
        record.body.string_value = f"order {draw.randrange(10**6)} of {draw.randrange(9)} items was paid by card"
        _add_attributes(
            record,
            {
                "code.file.path": "/app/checkout/orders.py",
                "code.function.name": "place_order",
                "code.line.number": 217,
                "tenant.id": f"t-{draw.randrange(40)}",
                "thread.name": "AnyIO worker thread",
            },
        )
    return request.SerializeToString()


def metric_requests(points: int, per_request: int, seed: int = 1) -> list[bytes]:
    """Serialized ExportMetricsServiceRequests; no two alike."""
    draw = random.Random(seed)
    return [_metric_request(draw, per_request, number % 4) for number in range(points // per_request)]


def _metric_request(draw: random.Random, points: int, instance: int) -> bytes:
    """Ten points to a metric."""
    request = ExportMetricsServiceRequest()
    of_resource = request.resource_metrics.add()
    _describe(of_resource.resource, instance)
    of_scope = of_resource.scope_metrics.add()
    of_scope.scope.name = "opentelemetry.instrumentation.fastapi"
    now = time.time_ns()
    for number in range(points):
        if number % 10 == 0:
            metric = of_scope.metrics.add(
                name=f"http.server.request.{number}", unit="s", description="How long it took."
            )
        _add_point(draw, metric, number // 10 % 3, now)
    return request.SerializeToString()


def _add_point(draw: random.Random, metric: Any, kind: int, now_ns: int) -> None:
    data = (metric.gauge, metric.sum, metric.histogram)[kind]
    point = data.data_points.add(start_time_unix_nano=now_ns - 10**10, time_unix_nano=now_ns)
    if kind == 2:
        counts = [draw.randrange(1000) for _ in range(15)]
        point.bucket_counts.extend(counts)
        point.explicit_bounds.extend(0.005 * 2**bound for bound in range(14))
        point.count, point.sum = sum(counts), draw.random() * 1000
    else:
        point.as_double = draw.random() * 1000
    if kind:
        data.aggregation_temporality = 2
    route, method = f"/cart/{draw.randrange(20)}", draw.choice(["GET", "POST"])
    _add_attributes(point, {"http.route": route, "http.request.method": method, "http.response.status_code": 200})


def _describe(resource: Any, instance: int) -> None:
    _add_attributes(resource, RESOURCE | {"service.instance.id": f"4f0f1c1e-{instance}"})


def _add_attributes(holder: Any, attributes: Mapping[str, str | int]) -> None:
    for key, value in attributes.items():
        kept = holder.attributes.add(key=key).value
        if isinstance(value, int):
            kept.int_value = value
        else:
            kept.string_value = value


def _http(draw: random.Random) -> dict[str, str | int]:
    return {
        "http.request.method": "GET",
        "http.route": "/cart/{id}",
        "http.response.status_code": 200,
        "url.path": f"/cart/{draw.randrange(10**6)}",
        "url.scheme": "http",
        "server.address": "checkout.shop.svc.cluster.local",
        "server.port": 8080,
        "client.address": f"10.0.{draw.randrange(255)}.{draw.randrange(255)}",
        "network.protocol.version": "1.1",
        "user_agent.original": "python-httpx/0.28.1",
        "tenant.id": f"t-{draw.randrange(40)}",
        "tenant.size": draw.choice(["small", "large"]),
    }
