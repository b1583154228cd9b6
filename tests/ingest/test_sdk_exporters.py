"""OpenTelemetry's own SDK for Python sends spans, logs and metrics, as any service would, over both protocols."""

import logging
from importlib import metadata
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogs
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetrics
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpans
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogs
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetrics
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpans
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode

from doors import Said
from onejob.ingest.service import Intake
from onejob.store.engine import Engine
from otlp_builders import a_service

from .exported import check_data_points, rows_of

CLIENT = ("OpenTelemetry SDK for Python", metadata.version("opentelemetry-sdk"))
PROTOCOLS = ("grpc", "http")
SPANS = {"grpc": "TraceService/Export", "http": "/v1/traces"}
LOGS = {"grpc": "LogsService/Export", "http": "/v1/logs"}
METRICS = {"grpc": "MetricsService/Export", "http": "/v1/metrics"}


def span_exporter(intake: Intake, protocol: str) -> Any:
    if protocol == "grpc":
        return GrpcSpans(endpoint=f"127.0.0.1:{intake.grpc_port}", insecure=True)
    return HttpSpans(endpoint=f"http://127.0.0.1:{intake.http_port}/v1/traces", compression=Compression.Gzip)


def log_exporter(intake: Intake, protocol: str) -> Any:
    if protocol == "grpc":
        return GrpcLogs(endpoint=f"127.0.0.1:{intake.grpc_port}", insecure=True)
    return HttpLogs(endpoint=f"http://127.0.0.1:{intake.http_port}/v1/logs", compression=Compression.Gzip)


def metric_exporter(intake: Intake, protocol: str) -> Any:
    if protocol == "grpc":
        return GrpcMetrics(endpoint=f"127.0.0.1:{intake.grpc_port}", insecure=True)
    return HttpMetrics(endpoint=f"http://127.0.0.1:{intake.http_port}/v1/metrics", compression=Compression.Gzip)


def a_resource(service: str) -> Resource:
    return Resource.create({"service.name": service, "service.version": "7", "service.instance.id": "i"})


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_is_traced_arrives(intake: Intake, engine: Engine, door: Said, protocol: str) -> None:
    service = a_service()
    provider = TracerProvider(resource=a_resource(service))
    provider.add_span_processor(BatchSpanProcessor(span_exporter(intake, protocol)))
    tracer = provider.get_tracer("shop", "1.2")

    with tracer.start_as_current_span("GET /cart", kind=SpanKind.SERVER, attributes={"http.route": "/cart"}) as request:
        with tracer.start_as_current_span("SELECT", kind=SpanKind.CLIENT) as query:
            query.record_exception(ValueError("no such item"))
        request.set_status(Status(StatusCode.ERROR, "no database"))
    provider.shutdown()

    asked, queried = rows_of(engine, service)("otel_traces", "SpanName")
    assert asked["TraceId"] == queried["TraceId"] == f"{request.get_span_context().trace_id:032x}"
    assert asked["SpanId"] == queried["ParentSpanId"] == f"{request.get_span_context().span_id:016x}"
    assert (asked["SpanKind"], asked["Operation"], asked["Version"]) == ("Server", "GET /cart", "7")
    assert (asked["StatusCode"], asked["StatusMessage"], asked["IsFailed"]) == ("Error", "no database", True)
    assert (queried["SpanKind"], queried["Events.Name"]) == ("Client", ["exception"])
    assert dict(queried["Events.Attributes"][0])["exception.message"] == "no such item"
    door(SPANS[protocol], *CLIENT, "a request that failed, with a query in it", engine, service)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_is_logged_arrives(intake: Intake, engine: Engine, door: Said, protocol: str) -> None:
    service = a_service()
    provider = LoggerProvider(resource=a_resource(service))
    provider.add_log_record_processor(BatchLogRecordProcessor(log_exporter(intake, protocol)))
    logger = logging.Logger("shop")
    logger.addHandler(LoggingHandler(logger_provider=provider))

    logger.info("order %d placed", 7, extra={"tenant": "t-1"})
    try:
        raise ValueError("no such item")
    except ValueError:
        logger.exception("the order failed")
    provider.shutdown()

    placed, failed = rows_of(engine, service)("otel_logs", "Timestamp")
    assert (placed["Body"], placed["SeverityText"], placed["SeverityNumber"]) == ("order 7 placed", "INFO", 9)
    assert dict(placed["LogAttributes"])["tenant"] == "t-1"
    assert (placed["ScopeName"], placed["Version"], placed["Instance"]) == ("shop", "7", "i")
    assert (failed["Body"], failed["SeverityNumber"]) == ("the order failed", 17)
    attributes = dict(failed["LogAttributes"])
    assert (attributes["exception.type"], attributes["exception.message"]) == ("ValueError", "no such item")
    door(LOGS[protocol], *CLIENT, "a message, and an exception", engine, service)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_is_measured_arrives(intake: Intake, engine: Engine, door: Said, protocol: str) -> None:
    service = a_service()
    reader = PeriodicExportingMetricReader(metric_exporter(intake, protocol), export_interval_millis=3_600_000)
    finely = View(instrument_name="size", aggregation=ExponentialBucketHistogramAggregation())
    provider = MeterProvider([reader], resource=a_resource(service), views=[finely])
    meter = provider.get_meter("shop", "1.2")

    meter.create_counter("orders", unit="{order}", description="placed").add(3, {"tenant": "t-1"})
    meter.create_up_down_counter("stock").add(-2.5)
    meter.create_gauge("queue.depth").set(7)
    meter.create_histogram("duration", explicit_bucket_boundaries_advisory=[0.1, 1.0]).record(0.25)
    sizes = meter.create_histogram("size")
    for size in (1, 4, 4, 0):
        sizes.record(size)
    provider.shutdown()

    check_data_points(rows_of(engine, service))
    door(METRICS[protocol], *CLIENT, "a counter, an up-down counter, a gauge, two kinds of histogram", engine, service)
