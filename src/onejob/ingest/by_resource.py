"""OTLP requests for log records and spans made of what came in another protocol: items of one resource put together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from onejob.ingest.labels import Pairs, put


@dataclass(slots=True)
class ByResource:
    """`request` is an empty one, `levels` are its fields down to the items, and `scope` is the name of the door."""

    request: Any
    levels: tuple[str, str, str]
    scope: str
    _found: dict[Pairs, Any] = field(default_factory=dict)

    def items(self, resource: Pairs) -> Any:
        """Where to add those of a resource."""
        found = self._found.get(resource)
        if found is None:
            of_resources, of_scopes, items = self.levels
            of_resource = getattr(self.request, of_resources).add()
            put(of_resource.resource.attributes, resource)
            of_scope = getattr(of_resource, of_scopes).add()
            of_scope.scope.name = self.scope
            found = self._found[resource] = getattr(of_scope, items)
        return found


def log_records(scope: str) -> ByResource:
    return ByResource(ExportLogsServiceRequest(), ("resource_logs", "scope_logs", "log_records"), scope)


def spans(scope: str) -> ByResource:
    return ByResource(ExportTraceServiceRequest(), ("resource_spans", "scope_spans", "spans"), scope)
