"""Requests as an export request of OTLP: a server span each, in OpenTelemetry's names (semantic conventions, HTTP).

Field numbers are those of `opentelemetry/proto/trace/v1/trace.proto`. Version and instance are the resource's, so spans
are put together by them.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from onejob import __version__
from onejob.tail import wire
from onejob.tail.entry import Entry

_SERVER = 2  # SPAN_KIND_SERVER
_ERROR = 2  # STATUS_CODE_ERROR
_LONGEST = 200  # of a text that a client or a service chose
_METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "QUERY"))
_OTHER_METHOD = "_OTHER"
_SCOPE = wire.nested(1, wire.text(1, "onejob.tail") + wire.text(2, __version__))


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request whose route, version and instance are known."""

    entry: Entry
    route: str
    version: str
    instance: str


def export_request(requests: Iterable[Request], resource: dict[str, str]) -> bytes:
    """ExportTraceServiceRequest; `resource` are attributes that all of them share."""
    groups: dict[tuple[str, str], list[Request]] = {}
    for request in requests:
        groups.setdefault((request.version, request.instance), []).append(request)
    return b"".join(_resource_spans(group, resource, *of) for of, group in groups.items())


def _resource_spans(requests: list[Request], shared: dict[str, str], version: str, instance: str) -> bytes:
    attributes = {**shared, "service.version": version, "service.instance.id": instance}
    resource = b"".join(wire.nested(1, _text(name, value)) for name, value in attributes.items() if value)
    ids = os.urandom(24 * len(requests))
    spans = b"".join(
        wire.nested(2, _span(request, ids[24 * number : 24 * number + 24])) for number, request in enumerate(requests)
    )
    return wire.nested(1, wire.nested(1, resource) + wire.nested(2, _SCOPE + spans))


def _span(request: Request, ids: bytes) -> bytes:
    entry = request.entry
    return b"".join(
        (
            wire.nested(1, ids[:16]),
            wire.nested(2, ids[16:]),
            wire.fixed64(7, max(0, entry.ended_ns - entry.duration_ns)),
            wire.fixed64(8, entry.ended_ns),
            _said(entry.method, request.route, entry.status, entry.protocol, entry.agent[:_LONGEST]),
            _size("http.request.size", entry.received_bytes),
            _size("http.response.size", entry.sent_bytes),
        )
    )


@lru_cache(maxsize=4096)
def _said(method: str, route: str, status: int, protocol: str, agent: str) -> bytes:
    """What many spans have in common: name, kind, status and attributes."""
    known = method if method in _METHODS else _OTHER_METHOD
    shown = known if known != _OTHER_METHOD else "HTTP"
    texts = {
        "http.request.method": known,
        "http.request.method_original": method if known == _OTHER_METHOD else "",
        "http.route": route,
        "network.protocol.version": protocol,
        "user_agent.original": agent,
    }
    return b"".join(
        (
            wire.text(5, f"{shown} {route}" if route else shown),
            wire.integer(6, _SERVER),
            *(wire.nested(9, _text(name, value)) for name, value in texts.items() if value),
            wire.nested(9, _integer("http.response.status_code", status)) if status else b"",
            wire.nested(15, wire.integer(3, _ERROR)) if status >= 500 else b"",
        )
    )


def _size(name: str, value: int | None) -> bytes:
    return b"" if value is None else wire.nested(9, _integer(name, value))


def _text(name: str, value: str) -> bytes:
    return wire.text(1, name) + wire.nested(2, wire.text(1, value))


def _integer(name: str, value: int) -> bytes:
    return wire.text(1, name) + wire.nested(2, wire.integer(3, value))
