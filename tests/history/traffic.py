"""Spans of versions that served side by side, twenty minutes ago."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from onejob.store.engine import Engine
from onejob.store.otlp_tables import TABLES_OF
from otlp_builders import a_payload, a_service, a_span, attributes_of

BEGAN = (int(time.time()) // 60 - 20) * 60


def at(t: float) -> datetime:
    return datetime.fromtimestamp(BEGAN + t, UTC)


@dataclass(frozen=True)
class Arm:
    """A version on some instances from one second to another, ten requests a second each."""

    version: str
    seconds: tuple[int, int]
    instances: int = 1
    failing: float = 0.0
    slower: float = 1.0
    build: str = ""
    says: Says | None = None


@dataclass(frozen=True)
class Says:
    """What its spans carry: an order's total, a page view with an LCP, and in one of `rarity` an error."""

    total: float = 50.0
    lcp_ms: float = 1500.0
    throws_in: str = "price"
    rarity: int = 20

    def put(self, span: Span, rng: np.random.Generator) -> Span:
        total = self.total * float(np.exp(rng.normal(0, 0.5)))
        span.attributes.extend(attributes_of({"order.total": total, "order.paid": bool(rng.random() < total / 100)}))
        self._event(span, "browser.web_vital", name="lcp", value=float(self.lcp_ms * np.exp(rng.normal(0, 0.2))))
        if rng.integers(self.rarity) == 0:
            stack = f'File "/app/pricing.py", line {rng.integers(900)}, in {self.throws_in}\nKeyError'
            self._event(span, "exception", exception__type="KeyError", exception__stacktrace=stack)
        return span

    def _event(self, span: Span, event: str, /, **said: object) -> None:
        attributes = attributes_of({key.replace("__", "."): value for key, value in said.items()})
        span.events.add(name=event, time_unix_nano=span.end_time_unix_nano, attributes=attributes)


def store(engine: Engine, *arms: Arm, service: str = "", seed: int = 1) -> str:
    """A service's spans; returns its name."""
    service, rng = service or a_service(), np.random.default_rng(seed)
    for arm in arms:
        for instance in range(arm.instances):
            spans = [
                a_span(
                    start_ns=(BEGAN + t) * 10**9 + i * 10**8,
                    duration_s=float(arm.slower * 0.03 * np.exp(rng.normal(0, 0.3))),
                    error=bool(rng.random() < arm.failing),
                    http__request__method="GET",
                    http__route=f"/{'abc'[int(rng.integers(3))]}",
                )
                for t in range(*arm.seconds)
                for i in range(10)
            ]
            resource = {"service.version": arm.version, "service.instance.id": f"{arm.version}{arm.build}-{instance}"}
            if arm.says is not None:
                spans = [arm.says.put(span, rng) for span in spans]
                _store_metrics(engine, service, arm, resource, np.random.default_rng(seed + instance))
            if arm.build:
                resource["container.image.repo_digests"] = f"shop@sha256:{arm.build * 12}"
            token = f"{service}-{arm.version}-{arm.build}-{instance}-{arm.seconds}"
            engine.insert_traces(a_payload(*spans, service=service, resource=resource), token)
    return service


def _store_metrics(engine: Engine, service: str, arm: Arm, resource: dict[str, str], rng: np.random.Generator) -> None:
    """Every 3 s a counter of what it sold, and the length of its queue."""
    request, sold = ExportMetricsServiceRequest(), 0
    told_of = request.resource_metrics.add()
    told_of.resource.attributes.extend(attributes_of({"service.name": service} | resource))
    metrics = told_of.scope_metrics.add().metrics
    for t in range(arm.seconds[0] + 1, arm.seconds[1], 3):
        sold += int(rng.binomial(30, 0.4))
        when = {"time_unix_nano": (BEGAN + t) * 10**9, "start_time_unix_nano": (BEGAN + arm.seconds[0]) * 10**9}
        counter = metrics.add(name="sales").sum
        counter.is_monotonic, counter.aggregation_temporality = True, 2
        counter.data_points.add(as_int=sold, **when)
        metrics.add(name="queue").gauge.data_points.add(as_int=int(rng.integers(5, 9)), **when)
    for table in TABLES_OF["metrics"]:
        engine.insert(table.name, request.SerializeToString(), f"{service}-{resource['service.instance.id']}-metrics")
