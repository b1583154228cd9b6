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
    yield sum(len(of_scope.log_records) for of_resource in scopes for of_scope in of_resource)


def _look(request: ExportLogsServiceRequest) -> Found:
    found = Found()
    for resource_logs in request.resource_logs:
        for scope_logs in resource_logs.scope_logs:
            if records := scope_logs.log_records:
                found.items += len(records)
                found.time_ns = records[0].time_unix_nano or records[0].observed_time_unix_nano
    return found


def _drop_bad(_request: ExportLogsServiceRequest) -> None:
    """There are none."""


def _hex_to_base64(document: Any) -> None:
    for resource_logs in listed(document, "resourceLogs", "resource_logs"):
        for scope_logs in listed(resource_logs, "scopeLogs", "scope_logs"):
            for record in listed(scope_logs, "logRecords", "log_records"):
                ids_to_base64(record, "log record")


RULES = Rules("logs", ExportLogsServiceRequest, _LEAST_BYTES, _sizes, _look, _drop_bad, _hex_to_base64)
