"""OTLP metrics made of what came in another protocol: found again by resource, scope and name, and bounded in size.

Other protocols say things once that OTLP repeats for each point, so a small request could become a huge one. Whoever
adds a point says before how large it will be.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from onejob.ingest.errors import TooLarge
from onejob.ingest.labels import Pairs, put
from onejob.ingest.validate_metrics import RULES

Form = Literal["gauge", "sum", "histogram", "exponential_histogram", "summary"]
CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
DELTA = AggregationTemporality.AGGREGATION_TEMPORALITY_DELTA
NO_RECORDED_VALUE = 1  # DataPointFlags: a series that ended here
_POINT_BYTES = 60  # of one without attributes and buckets, at most
_PAIR_BYTES = 10  # that an attribute takes beside its two texts
EXEMPLAR_BYTES = 40  # of one without labels, at most
_TRACE = re.compile(r"[0-9a-fA-F]{32}")
_SPAN = re.compile(r"[0-9a-fA-F]{16}")
_SCOPES = {"otel_scope_name", "otel_scope_version"}
# As OpenTelemetry calls the units that Prometheus spells out (compatibility/prometheus_and_openmetrics.md, "Metadata").
_UNITS = {
    "seconds": "s", "milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns", "minutes": "min", "hours": "h",
    "days": "d", "bytes": "By", "kibibytes": "KiBy", "mebibytes": "MiBy", "gibibytes": "GiBy", "meters": "m",
    "volts": "V", "amperes": "A", "joules": "J", "watts": "W", "grams": "g", "celsius": "Cel", "hertz": "Hz",
    "ratio": "1", "percent": "%", "second": "s", "minute": "min", "hour": "h", "day": "d",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Family:
    """What points have in common. `is_monotonic` is for sums; `is_delta`: each point counts what it alone tells of."""

    name: str
    form: Form
    is_monotonic: bool = False
    description: str = ""
    unit: str = ""
    is_delta: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """Whose points these are."""

    resource: Pairs
    scope: tuple[str, str]  # name and version


@dataclass(slots=True)
class Metrics:
    """`limit` is how many bytes the request may become."""

    limit: int
    request: ExportMetricsServiceRequest = field(default_factory=ExportMetricsServiceRequest)
    _size: int = 0
    _resources: dict[Pairs, Any] = field(default_factory=dict)
    _scopes: dict[Source, Any] = field(default_factory=dict)
    _points: dict[tuple[Source, Family], Any] = field(default_factory=dict)

    def points(self, source: Source, family: Family) -> Any:
        """Where to add points. Raises TooLarge."""
        found = self._points.get((source, family))
        if found is None:
            self.spend(_POINT_BYTES + sum(map(len, (family.name, family.description, family.unit))))
            metric = self._scope(source).metrics.add(
                name=family.name, description=family.description, unit=otel_unit(family.unit)
            )
            data = getattr(metric, family.form)
            data.SetInParent()
            if family.form in ("sum", "histogram", "exponential_histogram"):
                data.aggregation_temporality = DELTA if family.is_delta else CUMULATIVE
            if family.form == "sum":
                data.is_monotonic = family.is_monotonic
            found = self._points[source, family] = data.data_points
        return found

    def spend(self, size: int, points: int = 0) -> None:
        """So many bytes more, and so many points. Raises TooLarge."""
        self._size += size + points * _POINT_BYTES
        if self._size > self.limit:
            raise TooLarge(
                f"As OTLP this would be larger than {self.limit} bytes. Send fewer samples in one request "
                "(max_samples_per_send of a Prometheus), or raise ONEJOB_MAX_REQUEST_BYTES."
            )

    def tables(self) -> tuple[int, int]:
        """How many points there are, and a bit for each table that they fill."""
        found = RULES.look(self.request)
        return found.items, found.tables

    def _scope(self, source: Source) -> Any:
        found = self._scopes.get(source)
        if found is None:
            self.spend(_POINT_BYTES + sum(map(len, source.scope)))
            found = self._scopes[source] = self._resource(source.resource).scope_metrics.add()
            found.scope.name, found.scope.version = source.scope
        return found

    def _resource(self, resource: Pairs) -> Any:
        found = self._resources.get(resource)
        if found is None:
            self.spend(size_of(resource))
            found = self._resources[resource] = self.request.resource_metrics.add()
            put(found.resource.attributes, resource)
        return found


def size_of(pairs: Iterable[tuple[str, str]]) -> int:
    """Bytes that they take as attributes, about: characters are counted once."""
    return sum(len(key) + len(value) + _PAIR_BYTES for key, value in pairs)


def scope_of(labels: dict[str, str], door: str) -> tuple[str, str]:
    """Taken out of the labels; that of the door for what has none."""
    if labels.keys().isdisjoint(_SCOPES):
        return door, ""
    return labels.pop("otel_scope_name", ""), labels.pop("otel_scope_version", "")


def otel_unit(unit: str) -> str:
    """`seconds` is `s`, `bytes_per_second` is `By/s`; what is not known stays."""
    words = unit.split("_per_")
    return "/".join(_UNITS.get(word, word) for word in words)


def fill_exemplar(exemplar: Any, labels: Mapping[str, str], value: float, time_ns: int) -> None:
    """Labels that are ids of a trace and span become those."""
    left = dict(labels)
    if _TRACE.fullmatch(left.get("trace_id", "")):
        exemplar.trace_id = bytes.fromhex(left.pop("trace_id"))
    if _SPAN.fullmatch(left.get("span_id", "")):
        exemplar.span_id = bytes.fromhex(left.pop("span_id"))
    exemplar.time_unix_nano, exemplar.as_double = time_ns, value
    put(exemplar.filtered_attributes, sorted(left.items()))
