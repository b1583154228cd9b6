"""Spans as a small shop sends them, about 450 bytes each: one server span to four database spans."""

import random
import time

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ScopeSpans, Span

_RESOURCE = {
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
    for key, value in (_RESOURCE | {"service.instance.id": f"4f0f1c1e-{instance}"}).items():
        resource_spans.resource.attributes.add(key=key).value.string_value = value
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
    attributes = _http(draw) if is_server else _DATABASE
    for key, value in attributes.items():
        kept = span.attributes.add(key=key).value
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
