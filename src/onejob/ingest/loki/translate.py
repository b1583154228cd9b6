"""Streams of Loki as OTLP log records.

    labels of a stream -> attributes of the resource      structured metadata -> attributes of the record

What Loki calls otherwise because it came from OpenTelemetry gets its name back (`service_name`, `trace_id`...). A
stream that names no service is of the one its labels speak of, as Loki finds it (`discover_service_name`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue

from onejob.ingest.by_resource import ByResource, log_records
from onejob.ingest.errors import BadRequest
from onejob.ingest.labels import RESOURCE_LABELS, Pairs, put
from onejob.ingest.loki.severity import severity_of
from onejob.ingest.validate import Accepted
from onejob.model.telemetry import ONE_OF

SCOPE = "onejob/loki"
_SERVICE_LABELS = (
    "service", "app", "application", "app_name", "name", "app_kubernetes_io_name", "container", "container_name",
    "component", "workload", "job",
)  # fmt: skip
_VERSION_LABELS = ("app_kubernetes_io_version", "version")
_UNKNOWN = "unknown_service"
_EARLIEST_NS, _LATEST_NS = 10**17, 2**63 - 1  # 1973: seconds, milliseconds and microseconds of today are before it
_IDS = {"trace_id": re.compile(r"[0-9a-fA-F]{32}"), "span_id": re.compile(r"[0-9a-fA-F]{16}")}
_SEVERITY = ("severity_text", "severity_number")

Entry = tuple[int, str, Mapping[str, str]]  # nanoseconds, line, structured metadata


@dataclass(slots=True)
class Records:
    """Streams are added to it; those of one resource are put together."""

    _by_resource: ByResource = field(default_factory=lambda: log_records(SCOPE))
    _items: int = 0
    _bad: int = 0
    _first: str = ""

    def add(self, labels: Mapping[str, str], entries: Iterable[Entry]) -> None:
        """Raises ValueError for texts that are none."""
        records = self._by_resource.items(resource_of(labels))
        for time_ns, line, metadata in entries:
            if not _EARLIEST_NS < time_ns <= _LATEST_NS:
                self.refuse(1, f"An entry has the time {time_ns}: send nanoseconds since 1970, of a time before 2262.")
                continue
            self._items += 1
            text, number = severity_of(metadata, labels)
            record = records.add(
                time_unix_nano=time_ns, severity_text=text, severity_number=number, body=AnyValue(string_value=line)
            )
            if metadata:
                _fill(record, metadata)

    def refuse(self, entries: int, why: str) -> None:
        self._bad += entries
        self._first = self._first or why

    def finished(self) -> Accepted:
        """Raises BadRequest if nothing was good."""
        if self._bad and not self._items:
            raise BadRequest(self._first)
        message = ""
        if self._bad:
            sent = self._bad + self._items
            message = (
                f"{self._bad} of {sent} {ONE_OF['logs']}s were refused, and the others taken. The first: {self._first}"
            )
        return Accepted("logs", self._by_resource.request.SerializeToString(), self._items, self._bad, message)


def _fill(record: Any, metadata: Mapping[str, str]) -> None:
    left = dict(metadata)
    for name, form in _IDS.items():
        if form.fullmatch(left.get(name, "")):
            setattr(record, name, bytes.fromhex(left.pop(name)))
    for name in _SEVERITY:
        left.pop(name, None)
    put(record.attributes, sorted(left.items()))


def resource_of(labels: Mapping[str, str]) -> Pairs:
    """All labels, known ones by their names in OpenTelemetry, and what they say about service and version."""
    resource = {RESOURCE_LABELS.get(name, name): value for name, value in labels.items() if value}
    service = next((labels[name] for name in _SERVICE_LABELS if labels.get(name)), _UNKNOWN)
    resource.setdefault("service.name", service)
    version = next((labels[name] for name in _VERSION_LABELS if labels.get(name)), "")
    if version:
        resource.setdefault("service.version", version)
    return tuple(sorted(resource.items()))
