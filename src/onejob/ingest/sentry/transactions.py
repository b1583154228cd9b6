"""Transactions as spans: one for the transaction itself, an entry of the service, and one for each of its spans.

`op` says what kind of span it is, and `status` how it ended, in gRPC's words. As OpenTelemetry has it, a server does
not fail by what its client did wrong ("Semantic conventions for HTTP spans", "for gRPC").
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from onejob.ingest.labels import put
from onejob.ingest.sentry.events import filled, requested, whose
from onejob.ingest.sentry.values import Unfit, fields, identity, listed, number, text, texts, time_ns

_CLIENT, _PRODUCER = Span.SPAN_KIND_CLIENT, Span.SPAN_KIND_PRODUCER
_SERVER, _CONSUMER, _INTERNAL = Span.SPAN_KIND_SERVER, Span.SPAN_KIND_CONSUMER, Span.SPAN_KIND_INTERNAL
_KINDS = (
    (re.compile(r"(?:http|grpc|rpc|websocket|mcp)\.server\b|(?:function|serverless)\.(?:aws|gcp|azure)\b"), _SERVER),
    (re.compile(r"queue\.(?:process|receive|task)\b|.*\.(?:consumer|consume)$"), _CONSUMER),
    (re.compile(r"queue\.(?:publish|submit|create)\b|.*\.producer$"), _PRODUCER),
    (re.compile(r"(?:http|grpc|rpc)\.client\b|(?:db|cache|ai|gen_ai)(?:\.|$)"), _CLIENT),
)
_FINE = {"", "ok", "cancelled", "unknown", "aborted"}
_SERVERS_FAULT = {
    "error", "internal_error", "unknown_error", "deadline_exceeded", "unimplemented", "unavailable", "data_loss",
}  # fmt: skip
_MAY_HOLD_ANYTHING = {"http.query", "http.fragment", "url.query", "url.fragment"}
_ADDRESSES = ("url", "url.full", "http.url")
_WITH_IDS = re.compile(r"/[^/]*[\d%][^/]*")
_VITALS = ("lcp", "inp", "cls", "fcp", "ttfb")
_NAME_CHARS = 200
_ALL = 2**56


@dataclass(frozen=True, slots=True)
class Added:
    """How many spans were, how many could not be, and what is wrong with the first of these."""

    spans: int
    bad: int = 0
    first: str = ""


def add_transaction(spans: Any, event: Mapping[str, Any], sample_rate: Any) -> Added:
    """To a list of spans. `sample_rate` is the share of traces that the SDK keeps. Raises Unfit."""
    trace = fields(fields(event.get("contexts")).get("trace"))
    kind = _kind_of(trace)
    root = _Span(trace, event, kind)
    attributes = texts(event.get("tags")) | root.data() | filled(whose(event) | requested(event))
    name, named = _named(event, attributes, kind)
    attributes |= named | {"sentry.op": root.op}
    attributes["http.response.status_code"] = _status_code(event, attributes)
    sampled = _trace_state(sample_rate)
    made = [root.made(name, attributes, sampled)]
    for name, value in _vitals(event):
        vital = made[0].events.add(name="browser.web_vital", time_unix_nano=root.end_ns)
        put(vital.attributes, (("browser.web_vital.name", name), ("browser.web_vital.value", value)))
    bad, first = 0, ""
    for child in listed(event.get("spans")):
        try:
            made.append(_child(fields(child), trace, sampled))
        except Unfit as error:
            bad, first = bad + 1, first or str(error)
    spans.extend(made)
    return Added(len(made), bad, first)


@dataclass(slots=True)
class _Span:
    """`said` has what a span says of itself, and `timed` its times: of a transaction, the event has those."""

    said: Mapping[str, Any]
    timed: Mapping[str, Any]
    kind: int
    op: str = ""
    start_ns: int = 0
    end_ns: int = 0

    def __post_init__(self) -> None:
        """Raises Unfit."""
        self.op = text(self.said.get("op"), _NAME_CHARS)
        self.start_ns, self.end_ns = time_ns(self.timed.get("start_timestamp")), time_ns(self.timed.get("timestamp"))
        if not self.start_ns or self.end_ns < self.start_ns:
            raise Unfit("a span has no time when it began and ended")

    def made(self, name: str, attributes: Mapping[str, str], trace_state: str) -> Span:
        """Raises Unfit."""
        trace_id, span_id = identity(self.said.get("trace_id"), 16), identity(self.said.get("span_id"), 8)
        if not trace_id or not span_id:
            raise Unfit("a span has no trace_id of 32 or span_id of 16 hexadecimal digits")
        status = text(self.said.get("status"), 50)
        made = Span(
            trace_id=trace_id,
            span_id=span_id,
            parent_span_id=identity(self.said.get("parent_span_id"), 8),
            trace_state=trace_state,
            name=name,
            kind=self.kind,  # type: ignore[arg-type]
            start_time_unix_nano=self.start_ns,
            end_time_unix_nano=self.end_ns,
            status=Status(code=_code(status, self.kind), message="" if status == "ok" else status),
        )
        put(made.attributes, sorted(filled(attributes).items()))
        return made

    def data(self) -> dict[str, str]:
        data = texts(self.said.get("data"))
        shorter = {name: data[name].partition("?")[0].partition("#")[0] for name in _ADDRESSES if name in data}
        return {name: value for name, value in data.items() if name not in _MAY_HOLD_ANYTHING} | shorter


def _child(child: Mapping[str, Any], trace: Mapping[str, Any], trace_state: str) -> Span:
    """Raises Unfit."""
    said = {"trace_id": trace.get("trace_id")} | {name: value for name, value in child.items() if value is not None}
    span = _Span(said, said, _kind_of(child))
    attributes = texts(child.get("tags")) | span.data() | {"sentry.op": span.op}
    described = text(child.get("description"))
    name = described
    if span.op.startswith("http.client"):
        name = described.partition(" ")[0]
    elif span.op == "db" or span.op.startswith("db."):
        attributes.setdefault("db.query.text", described)
    return span.made(name[:_NAME_CHARS] or span.op or "unnamed", attributes, trace_state)


def _kind_of(span: Mapping[str, Any]) -> int:
    op = text(span.get("op"), _NAME_CHARS)
    return next((kind for form, kind in _KINDS if form.match(op)), _INTERNAL)


def _code(status: str, kind: int) -> Any:
    serves = kind in (_SERVER, _CONSUMER)
    if status in _SERVERS_FAULT or (not serves and status not in _FINE):
        return Status.STATUS_CODE_ERROR
    return Status.STATUS_CODE_OK if status == "ok" else Status.STATUS_CODE_UNSET


def _named(event: Mapping[str, Any], attributes: Mapping[str, str], kind: int) -> tuple[str, dict[str, str]]:
    """What a transaction is called, and its route. An address has ids in it, which make no name."""
    name = text(event.get("transaction"), _NAME_CHARS) or "unnamed"
    source = text(fields(event.get("transaction_info")).get("source"), 20)
    method, space, path = name.partition(" ")
    if not (space and method.isalpha() and method.isupper() and path.startswith("/")):
        method, path = attributes.get("http.request.method") or attributes.get("http.method", ""), name
    if not path.startswith("/") or source not in ("route", "url"):
        return name, {}
    if source == "url":
        path = _WITH_IDS.sub("/{id}", path.partition("?")[0])
    if kind == _SERVER:
        return f"{method} {path}".strip(), {"http.route": path, "http.request.method": method}
    return (f"{method} {path}" if space else path), {"url.template": path}


def _status_code(event: Mapping[str, Any], attributes: Mapping[str, str]) -> str:
    response = fields(fields(event.get("contexts")).get("response"))
    known = (attributes.get("http.response.status_code"), attributes.get("http.status_code"))
    return next(filter(None, known), "") or text(response.get("status_code"), 10)


def _vitals(event: Mapping[str, Any]) -> list[tuple[str, str]]:
    """That browsers measured of a page: in milliseconds, but for the layout shift."""
    measured = fields(event.get("measurements"))
    values = ((name, number(fields(measured.get(name)).get("value"))) for name in _VITALS)
    return [(name, repr(value)) for name, value in values if value is not None]


def _trace_state(sample_rate: Any) -> str:
    """The threshold of those that are rejected (OpenTelemetry, "TraceState: Probability Sampling"), if any are."""
    rate = number(sample_rate)
    if rate is None or not 2**-50 < rate < 1:
        return ""
    return f"ot=th:{round((1 - rate) * _ALL):014x}".rstrip("0")
