"""Histograms of request durations, as rows of the collector's tables."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from onejob.store.engine import Engine

BOUNDS = (0.1, 0.5)
CART = {"http.request.method": "GET", "http.route": "/cart"}
DELTA, CUMULATIVE = 1, 2


def a_point(
    service: str,
    at: float,
    buckets: Sequence[int],
    *,
    start: float = 0.0,
    version: str = "1",
    instance: str = "i",
    attributes: Mapping[str, str] = CART,
    name: str = "http.server.request.duration",
    unit: str = "s",
    temporality: int = CUMULATIVE,
    **more: Any,
) -> dict[str, Any]:
    """Of explicit bounds, unless `more` says otherwise; times are Unix seconds."""
    held = {"BucketCounts": list(buckets), "ExplicitBounds": list(BOUNDS)} if "Scale" not in more else {}
    return {
        "ServiceName": service,
        "MetricName": name,
        "MetricUnit": unit,
        "Attributes": dict(attributes),
        "StartTimeUnix": start,
        "TimeUnix": at,
        "Count": sum(buckets),
        "Sum": 0.2 * sum(buckets),
        "AggregationTemporality": temporality,
        "Environment": "production",
        "Version": version,
        "VersionSource": "service.version",
        "Build": "",
        "Instance": instance,
        **held,
        **more,
    }


def store(engine: Engine, points: Sequence[Mapping[str, Any]]) -> None:
    for table, mine in (
        ("otel_metrics_histogram", [p for p in points if "Scale" not in p]),
        ("otel_metrics_exponential_histogram", [p for p in points if "Scale" in p]),
    ):
        if mine:
            engine.execute(f"INSERT INTO {table} FORMAT JSONEachRow " + "\n".join(map(json.dumps, mine)))
