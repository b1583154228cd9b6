"""Nothing can be wrong with a single log record: everything may be missing, and one whose ids are none belongs to no
span (opentelemetry/proto/logs/v1).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from onejob.ingest.rules import Found, Rules, ids_to_base64, listed

_LEAST_BYTES = 11  # with a time


def _sizes(request: ExportLogsServiceRequest) -> Iterator[int]:
    yield len(request.resource_logs)
    scopes = [of_resource.scope_logs for of_resource in request.resource_logs]
    yield sum(map(len, scopes))
    yield _count(request)


def _count(request: ExportLogsServiceRequest) -> int:
    scopes = (of_scope for of_resource in request.resource_logs for of_scope in of_resource.scope_logs)
    return sum(len(of_scope.log_records) for of_scope in scopes)


def _look(request: ExportLogsServiceRequest) -> Found:
    return Found(_count(request))


def _drop_bad(_request: ExportLogsServiceRequest) -> None:
    """There are none."""


def _hex_to_base64(document: Any) -> None:
    for resource_logs in listed(document, "resourceLogs", "resource_logs"):
        for scope_logs in listed(resource_logs, "scopeLogs", "scope_logs"):
            for record in listed(scope_logs, "logRecords", "log_records"):
                ids_to_base64(record, "log record")


RULES = Rules("logs", ExportLogsServiceRequest, _LEAST_BYTES, _sizes, _look, _drop_bad, _hex_to_base64)
