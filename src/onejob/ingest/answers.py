"""OTLP's answers: full and partial success, and `google.rpc.Status` with RetryInfo for failures."""

from __future__ import annotations

from typing import Any

from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from onejob.ingest.errors import TooLarge, TryLater, Unauthenticated
from onejob.ingest.validate import Accepted
from onejob.model.telemetry import Kind

_RESPONSES: dict[Kind, tuple[Any, str]] = {
    "traces": (ExportTraceServiceResponse, "rejected_spans"),
    "logs": (ExportLogsServiceResponse, "rejected_log_records"),
    "metrics": (ExportMetricsServiceResponse, "rejected_data_points"),
}
NO_PROFILES = "onejob keeps no profiles: send it traces, logs and metrics, and take profiles out of this exporter."


def success(accepted: Accepted) -> Message:
    response_type, rejected = _RESPONSES[accepted.kind]
    response: Message = response_type()
    if accepted.rejected:
        setattr(response.partial_success, rejected, accepted.rejected)
        response.partial_success.error_message = accepted.message
    return response


def failure(error: Exception) -> status_pb2.Status:
    """With RetryInfo only where a retry can help: without it clients must not repeat a RESOURCE_EXHAUSTED."""
    status = status_pb2.Status(code=_code(error), message=str(error))
    if isinstance(error, TryLater):
        retry = error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(seconds=error.retry_after_s))
        detail = any_pb2.Any()
        detail.Pack(retry)
        status.details.append(detail)
    return status


def _code(error: Exception) -> int:
    if isinstance(error, TryLater):
        return int(code_pb2.RESOURCE_EXHAUSTED if error.is_overload else code_pb2.UNAVAILABLE)
    if isinstance(error, Unauthenticated):
        return int(code_pb2.UNAUTHENTICATED)
    if isinstance(error, TooLarge):
        return int(code_pb2.RESOURCE_EXHAUSTED)
    return int(code_pb2.INVALID_ARGUMENT)
