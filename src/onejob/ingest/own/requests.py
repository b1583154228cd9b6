"""onejob's own spans as OTLP, and how such a request is known again.

Storing it makes work, of which a span would tell, which would be stored. So whoever stores asks `is_own` first.
"""

from __future__ import annotations

from collections.abc import Iterable

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from onejob import __version__
from onejob.ingest.labels import put
from onejob.ingest.scrape.pages import resource_with
from onejob.model.scrape import ScrapeTarget
from onejob.own_spans import OwnSpan

SERVICE = "onejob"
PAGE_EVERY_S = 60.0  # as OpenTelemetry's SDKs have it (OTEL_METRIC_EXPORT_INTERVAL)
_SDK = ("telemetry.sdk.name", SERVICE)
_MARK = KeyValue(key=_SDK[0], value=AnyValue(string_value=_SDK[1])).SerializeToString()
_HEAD_BYTES = 4096  # a request begins with its resource


def is_own(payload: bytes) -> bool:
    """Whether the request holds what onejob says of itself."""
    return _MARK in payload[:_HEAD_BYTES]


def own_target(project: str, instance: str, environment: str) -> ScrapeTarget:
    """onejob, as who scrapes it would name it; its page is read where it is made."""
    labels = {
        "service_version": __version__,
        "deployment_environment_name": environment,
        "telemetry.sdk.language": "python",
        _SDK[0]: _SDK[1],
    }
    url, every_s = "http://localhost/metrics", PAGE_EVERY_S
    return ScrapeTarget(url=url, job=SERVICE, instance=instance, interval_s=every_s, labels=labels, project=project)


def request_of(spans: Iterable[OwnSpan], target: ScrapeTarget) -> bytes:
    """Their resource is that of the page's metrics."""
    request = ExportTraceServiceRequest()
    of_resource = request.resource_spans.add()
    put(of_resource.resource.attributes, resource_with(target, {}))
    of_scope = of_resource.scope_spans.add()
    of_scope.scope.name, of_scope.scope.version = SERVICE, __version__
    of_scope.spans.extend(map(_as_otlp, spans))
    return bytes(request.SerializeToString())


def _as_otlp(span: OwnSpan) -> Span:
    told = span.attributes | ({"error.type": span.error} if span.error else {})
    return Span(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_id,
        name=span.name,
        kind=Span.SPAN_KIND_SERVER if span.is_server else Span.SPAN_KIND_INTERNAL,
        start_time_unix_nano=span.start_ns,
        end_time_unix_nano=span.end_ns,
        attributes=[_attribute(key, value) for key, value in told.items()],
        status=Status(code=Status.STATUS_CODE_ERROR) if span.error else None,
    )


def _attribute(key: str, value: str | int) -> KeyValue:
    said = AnyValue(string_value=value) if isinstance(value, str) else AnyValue(int_value=value)
    return KeyValue(key=key, value=said)
