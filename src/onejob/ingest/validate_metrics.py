"""Data points must be what their kind says: a histogram's counts must fit its bounds, or nobody knows what was counted.

Numbers are not looked at one by one; histograms and summaries are, in native code but for one call for each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import HistogramDataPoint, Metric, SummaryDataPoint

from onejob.ingest.rules import Found, Rules, ids_to_base64, keep, listed
from onejob.model.telemetry import POINTS

_LEAST_BYTES = 11  # with a time
_BIT_OF = {kind: 1 << place for place, kind in enumerate(POINTS)}
_JSON_NAMES = ("gauge", "sum", "histogram", "exponentialHistogram", "exponential_histogram", "summary")


def _sizes(request: ExportMetricsServiceRequest) -> Iterator[int]:
    yield len(request.resource_metrics)
    scopes = [of_resource.scope_metrics for of_resource in request.resource_metrics]
    yield sum(map(len, scopes))
    yield sum(len(of_scope.metrics) for of_resource in scopes for of_scope in of_resource)
    yield sum(len(points) for _, _, points in _points(request))


def _look(request: ExportMetricsServiceRequest) -> Found:
    found = Found(tables=0)
    for kind, metric, points in _points(request):
        if points:
            found.items += len(points)
            found.time_ns = points[0].time_unix_nano
            found.tables |= _BIT_OF[kind]
            if kind in _PROBLEMS:
                problems = list(filter(None, _PROBLEMS[kind](points)))
                found.bad += len(problems)
                if problems and not found.first:
                    found.first = f"A {kind} point of {metric.name[:100]!r} {problems[0]}"
    return found


def _points(request: ExportMetricsServiceRequest) -> Iterator[tuple[str, Metric, Any]]:
    for resource_metrics in request.resource_metrics:
        for scope_metrics in resource_metrics.scope_metrics:
            for metric in scope_metrics.metrics:
                if kind := metric.WhichOneof("data"):
                    yield kind, metric, getattr(metric, kind).data_points


def _histogram_problems(points: Iterable[HistogramDataPoint]) -> Iterator[str]:
    """Of each, empty where there is none. One histogram's points mostly have the same bounds: these are sorted once."""
    rising: list[float] = []
    for point in points:
        bounds, counts = list(point.explicit_bounds), len(point.bucket_counts)
        if counts != len(bounds) + 1 and (counts or bounds):
            yield f"has {counts} counts for {len(bounds)} bounds; there must be one more than bounds, or none of both."
        elif bounds == rising or bounds == sorted(set(bounds)):
            rising = bounds
            yield ""
        else:
            yield "has bounds that do not rise; each must be larger than the one before."


def _summary_problems(points: Iterable[SummaryDataPoint]) -> Iterator[str]:
    return map(_summary_problem, points)


def _summary_problem(point: SummaryDataPoint) -> str:
    for value in point.quantile_values:
        if not 0 <= value.quantile <= 1:
            return f"has a quantile {value.quantile}; it must lie between 0 and 1."
    return ""


_PROBLEMS: dict[str, Callable[[Any], Iterator[str]]] = {"histogram": _histogram_problems, "summary": _summary_problems}


def _drop_bad(request: ExportMetricsServiceRequest) -> None:
    for kind, _, points in _points(request):
        if kind in _PROBLEMS:
            keep(points, [point for point, problem in zip(points, _PROBLEMS[kind](points), strict=True) if not problem])


def _hex_to_base64(document: Any) -> None:
    for resource_metrics in listed(document, "resourceMetrics", "resource_metrics"):
        for scope_metrics in listed(resource_metrics, "scopeMetrics", "scope_metrics"):
            for metric in listed(scope_metrics, "metrics"):
                for exemplar in _json_exemplars(metric):
                    ids_to_base64(exemplar, "exemplar")


def _json_exemplars(metric: Any) -> Iterator[Any]:
    for name in _JSON_NAMES:
        data = metric.get(name) if isinstance(metric, dict) else None
        if data is not None:
            for point in listed(data, "dataPoints", "data_points"):
                yield from listed(point, "exemplars")


RULES = Rules("metrics", ExportMetricsServiceRequest, _LEAST_BYTES, _sizes, _look, _drop_bad, _hex_to_base64)
