"""OpenTelemetry for one process of the shop: the SDK and its own instrumentations, nothing home-made.

Endpoint, service name and version come from the standard `OTEL_*` variables of the process's environment.
"""

import uuid
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

WARM_UP_USER_AGENT = "onejob-warmup"
EXPORT_DELAY_MS = 1000


def start_tracing() -> TracerProvider:
    """Must run before the first connection and the first client are made."""
    resource = Resource.create({"service.instance.id": str(uuid.uuid4())})
    provider = TracerProvider(resource=resource)
    exporter = OTLPSpanExporter(insecure=True)
    provider.add_span_processor(BatchSpanProcessor(exporter, schedule_delay_millis=EXPORT_DELAY_MS))
    trace.set_tracer_provider(provider)
    HTTPXClientInstrumentor().instrument()
    PsycopgInstrumentor().instrument()
    return provider


def trace_requests(app: FastAPI) -> None:
    FastAPIInstrumentor.instrument_app(
        app, server_request_hook=_mark_warm_up, exclude_spans=["receive", "send"], excluded_urls="healthz"
    )


def _mark_warm_up(span: trace.Span, scope: Mapping[str, Any]) -> None:
    """Requests that warm up a new process are not customers."""
    if (b"user-agent", WARM_UP_USER_AGENT.encode()) in scope["headers"]:
        span.set_attribute("user_agent.synthetic.type", "test")


def describe_tenant(tenant_id: str, size: str) -> None:
    span = trace.get_current_span()
    span.set_attribute("tenant.id", tenant_id)
    span.set_attribute("tenant.size", size)


def describe_payment(method: str) -> None:
    trace.get_current_span().set_attribute("payment.method", method)
