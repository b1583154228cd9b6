"""Spans as the instrumentations of FastAPI, httpx and psycopg make them, and what a verdict says of them."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from onejob.model.deployment import Deployment, Source, Status, Strategy
from onejob.model.verdict import ArmSummary, EffectKind, SignalResult, State, Verdict
from onejob.store.engine import Engine

# Recent, or retention would drop the spans as they are stored.
START = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=5)
SERVER, CLIENT, INTERNAL = "SERVER", "CLIENT", "INTERNAL"
ORDERS = "POST /orders"
OLD, NEW = "2.0.0", "3.0.0"

Attributes = Mapping[str, str | int | bool]


@dataclass(kw_only=True)
class ASpan:
    """One span; times in seconds, `at` from START."""

    name: str
    at: float
    took: float
    kind: str = INTERNAL
    service: str = "checkout"
    version: str = OLD
    attributes: dict[str, str | int | bool] = field(default_factory=dict)
    failed: bool = False
    trace_id: bytes = b""
    span_id: bytes = b""
    parent_id: bytes = b""
    resource: Attributes = field(default_factory=dict)

    def child(self, name: str, at: float, took: float, **fields: object) -> ASpan:
        """A span below, `at` seconds after this one began; of the same service unless said otherwise."""
        common: dict[str, object] = {"service": self.service, "version": self.version, "resource": self.resource}
        span = ASpan(name=name, at=self.at + at, took=took, **{**common, **fields})  # type: ignore[arg-type]
        span.trace_id, span.parent_id = self.trace_id, self.span_id
        span.span_id = hashlib.sha256(self.span_id + f"{name}{at}{span.service}".encode()).digest()[:8]
        return span


@dataclass(kw_only=True)
class Traffic:
    """Requests of customers to a checkout with one database and a payments service behind it, drawn from a seed."""

    environment: str
    seed: int = 1
    tenants_per_size: int = 12
    new_names: bool = False
    operation: str = "/orders"

    def __post_init__(self) -> None:
        self.random = random.Random(f"{self.environment}{self.seed}")

    def order(self, number: int, version: str, **overrides: str) -> Order:
        """One request; attributes that are not overridden are drawn as customers come."""
        draw = self.random
        size = overrides.get("size") or draw.choices(["small", "medium", "large"], [30, 30, 40])[0]
        return Order(
            traffic=self,
            number=number,
            version=version,
            size=size,
            tenant=f"t-{size[0]}{draw.randrange(self.tenants_per_size)}",
            method=overrides.get("method") or draw.choice(["card", "paypal", "sepa", "invoice"]),
            session=f"s-{draw.randrange(60)}",
            region=overrides.get("region") or draw.choice(["eu", "us", "asia"]),
            speed=draw.lognormvariate(0, 0.25),
            port=draw.randrange(30_000, 60_000),
        )


@dataclass(kw_only=True)
class Order:
    """A request that can be told what is wrong with it before its spans are made."""

    traffic: Traffic
    number: int
    version: str
    size: str
    tenant: str
    method: str
    session: str
    region: str
    speed: float
    port: int
    queries: int = 1
    query_s: float = 0.002
    between_s: float = 0.0003
    charge_s: float = 0.008
    wait_s: float = 0.0
    charge_fails: bool = False
    payments_version: str = "1.4"
    storefront_version: str = "1.0"
    tenant_on: str = "checkout"
    method_on: str = "checkout"
    extra: dict[str, str | int | bool] = field(default_factory=dict)

    def spans(self) -> list[ASpan]:
        """storefront -> checkout -> (SELECT ..., payments)."""
        entry = self._entry()
        made = [entry]
        at = 0.001 * self.speed
        for index in range(self.queries):
            took = self.query_s * self.speed
            made.append(entry.child("SELECT", at, took, kind=CLIENT, attributes=self._query(index)))
            at += took + self.between_s
        at += self.wait_s
        made += self._charge(entry, at)
        at += self.charge_s * self.speed + 0.001
        if not self.charge_fails:
            made.append(entry.child("INSERT", at, 0.002 * self.speed, kind=CLIENT, attributes=self._insert()))
            at += 0.002 * self.speed
        entry.took = at + 0.001
        front = made[0]
        entry_of_front = self._front(front)
        return [entry_of_front, *made, *self._asgi(entry)]

    def _entry(self) -> ASpan:
        names = ("http.request.method", "url.path") if self.traffic.new_names else ("http.method", "http.target")
        status = "http.response.status_code" if self.traffic.new_names else "http.status_code"
        port = "9002" if self.version == NEW else "9001"
        attributes: dict[str, str | int | bool] = {
            names[0]: "POST", names[1]: self.traffic.operation, "http.route": self.traffic.operation,
            status: 500 if self.charge_fails else 200,
            "http.host": f"127.0.0.1:{port}", "net.host.port": int(port), "net.peer.port": self.port,
            "net.peer.ip": "127.0.0.1", "http.user_agent": "python-httpx/0.28", "http.url": f"http://127.0.0.1:{port}/",
            "session.id": self.session, **self.extra,
        }  # fmt: skip
        if self.tenant_on == "checkout":
            attributes |= self._tenant()
        if self.method_on == "checkout":
            attributes["payment.method"] = self.method
        trace_id = hashlib.md5(f"{self.traffic.environment}{self.traffic.seed}{self.number}".encode()).digest()  # noqa: S324
        return ASpan(
            name=ORDERS, at=self.number * 0.05, took=0.0, kind=SERVER, version=self.version, attributes=attributes,
            failed=self.charge_fails, trace_id=trace_id, span_id=trace_id[:8], parent_id=trace_id[8:],
            resource={
                "deployment.environment.name": self.traffic.environment, "service.instance.id": f"i-{self.version}",
                "process.pid": 4711 if self.version == NEW else 42,
            },
        )  # fmt: skip

    def _tenant(self) -> dict[str, str | int | bool]:
        return {"tenant.size": self.size, "tenant.id": self.tenant, "region": self.region}

    def _front(self, entry: ASpan) -> ASpan:
        attributes: dict[str, str | int | bool] = {"http.method": "POST", "http.route": "/buy"}
        if self.tenant_on == "storefront":
            attributes |= self._tenant()
        return ASpan(
            name="POST /buy", at=entry.at - 0.001, took=entry.took + 0.002, kind=SERVER, service="storefront",
            version=self.storefront_version, attributes=attributes, trace_id=entry.trace_id, span_id=entry.parent_id,
            resource=entry.resource,
        )  # fmt: skip

    def _query(self, index: int) -> dict[str, str | int | bool]:
        text, system = ("db.query.text", "db.system.name") if self.traffic.new_names else ("db.statement", "db.system")
        statement = f"SELECT price FROM prices WHERE product_id = '{index}'"  # noqa: S608  a span's attribute
        return {text: statement, system: "postgresql"}

    def _insert(self) -> dict[str, str | int | bool]:
        text = "db.query.text" if self.traffic.new_names else "db.statement"
        return {text: "INSERT INTO orders (tenant, total) VALUES (%s, %s) /*traceparent='00'*/"}

    def _charge(self, entry: ASpan, at: float) -> Iterator[ASpan]:
        took = self.charge_s * self.speed
        status = {"http.status_code": 500 if self.charge_fails else 200}
        client = entry.child(
            "POST", at, took, kind=CLIENT, failed=self.charge_fails,
            attributes={"http.method": "POST", "http.url": "http://127.0.0.1:9100/charges", **status},
        )  # fmt: skip
        server = client.child(
            "POST /charges", 0.001, took - 0.002, kind=SERVER, service="payments", version=self.payments_version,
            failed=self.charge_fails,
            attributes={"http.method": "POST", "http.route": "/charges", "http.target": "/charges", **status},
        )  # fmt: skip
        if self.method_on == "payments":
            server.attributes["payment.method"] = self.method
        yield client
        yield server
        yield from self._asgi(server)

    def _asgi(self, server: ASpan) -> Iterator[ASpan]:
        yield server.child(
            f"{server.name} http send", max(0.0, server.took - 0.0005), 0.0001, failed=server.failed,
            attributes={"asgi.event.type": "http.response.start"},
        )  # fmt: skip


def store(engine: Engine, spans: Iterable[ASpan], token: str) -> None:
    """Sends spans the way an exporter does."""
    by_resource: dict[tuple[tuple[str, object], ...], list[ASpan]] = {}
    for span in spans:
        resource = {"service.name": span.service, "service.version": span.version, **span.resource}
        by_resource.setdefault(tuple(sorted(resource.items())), []).append(span)
    request = ExportTraceServiceRequest()
    for resource_items, of_resource in by_resource.items():
        resource_spans = request.resource_spans.add()
        resource_spans.resource.attributes.extend(_key_values(dict(resource_items)))
        resource_spans.scope_spans.add().spans.extend(_proto(span) for span in of_resource)
    engine.insert_traces(request.SerializeToString(), token)


def _proto(span: ASpan) -> trace_pb2.Span:
    start = int(START.timestamp()) * 10**9 + round(span.at * 1e9)
    return trace_pb2.Span(
        trace_id=span.trace_id, span_id=span.span_id, parent_span_id=span.parent_id, name=span.name,
        kind=trace_pb2.Span.SpanKind.Value(f"SPAN_KIND_{span.kind}"), start_time_unix_nano=start,
        end_time_unix_nano=start + round(span.took * 1e9), attributes=_key_values(span.attributes),
        status=trace_pb2.Status(code=2 if span.failed else 0),
    )  # fmt: skip


def _key_values(attributes: Mapping[str, object]) -> list[KeyValue]:
    return [KeyValue(key=key, value=_any_value(value)) for key, value in attributes.items()]


def _any_value(value: object) -> AnyValue:
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    return AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=str(value))


def a_deployment(environment: str, **fields: object) -> Deployment:
    return Deployment(
        **{  # type: ignore[arg-type]
            "id": "dep_1", "service": "checkout", "environment": environment, "version": NEW, "previous_version": OLD,
            "strategy": Strategy.CANARY, "source": Source.REPORTED, "status": Status.IN_PROGRESS, "started_at": START,
            **fields,
        }
    )  # fmt: skip


def a_signal(signal: str = "latency_p95", operation: str = ORDERS, **fields: object) -> SignalResult:
    return SignalResult(
        **{  # type: ignore[arg-type]
            "operation": operation, "signal": signal, "state": State.WORSE, "effect_kind": EffectKind.RATIO,
            "control": 0.02, "treatment": 0.06, "effect": 3.0, "low": 2.0, "high": 4.0, "tolerance": 1.1,
            "missing": None, "log_evidence": 9.0, "log_evidence_better": -3.0, "weight": 0.3, "phi": 1.0,
            "theta_0": 1.0, "control_requests": 300, "treatment_requests": 100, **fields,
        }
    )  # fmt: skip


def a_verdict(*signals: SignalResult, **fields: object) -> Verdict:
    return Verdict(
        **{  # type: ignore[arg-type]
            "deployment_id": "dep_1", "state": State.WORSE, "reason": None, "sentence": "worse",
            "judged_at": START, "decided_at": START, "first_visible_at": START,
            "control": ArmSummary(kind="concurrent", versions=(OLD,), instances=("a",), requests=300),
            "treatment": ArmSummary(kind="concurrent", versions=(NEW,), instances=("b",), requests=100),
            "signals": signals or (a_signal(),), "log_evidence": 9.0, "alpha": 0.01,
            "window_start": START - timedelta(seconds=60), "window_end": START + timedelta(hours=2),
            "left_out": (), "engine_version": "1", **fields,
        }
    )  # fmt: skip
