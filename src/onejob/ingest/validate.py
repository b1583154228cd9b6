"""Is this an OTLP trace request that the engine will be able to read? Asked before the acknowledgement.

The engine parses whole batches, and one bad message fails its batch; so each request is parsed once here (upb, native
code), and ids are checked by the only loop over spans in the whole path (0.4 us a span). A request with some bad
spans is accepted without them, as OTLP's partial success; one with nothing good in it is refused.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from onejob.ingest.errors import BadRequest

_NO_TRACE = bytes(16)
_NO_SPAN = bytes(8)
_MAX_JSON_DEPTH = 100  # protobuf's own limit
# An empty message is 2 bytes on the wire and takes 4 us here (`{}`, 9 us in JSON): 16 MiB of them would take minutes.
# So a body may hold no more than fit into it if they mean anything, and some.
_LEAST_SPAN_BYTES = 30  # with both ids
_LEAST_OBJECT_BYTES = 12  # of JSON; an attribute is two objects and 38 bytes at least
_SOME = 10_000
_HOLLOW = "The body is mostly empty {}, too many to look at: is the exporter broken?"


@dataclass(frozen=True, slots=True)
class Accepted:
    """`payload` is a serialized request that the engine can read; `rejected` spans were left out of it, and why."""

    payload: bytes
    spans: int
    rejected: int = 0
    message: str = ""


def accept_protobuf(body: bytes) -> Accepted:
    """Raises BadRequest."""
    try:
        request = ExportTraceServiceRequest.FromString(body)
    except DecodeError as error:
        raise BadRequest(
            "The body is not an ExportTraceServiceRequest in protobuf: is it truncated, another signal, or JSON sent "
            "with the wrong content type, or a text in it not UTF-8?"
        ) from error
    return _accept(request, body)


def accept_json(body: bytes) -> Accepted:
    """OTLP/JSON: ids in hex, integers as strings or numbers, enums as integers. Raises BadRequest."""
    try:
        document = json.loads(body, object_hook=_Bounded(_SOME + len(body) // _LEAST_OBJECT_BYTES))
        _hex_ids_to_base64(document)
        request = json_format.ParseDict(
            document, ExportTraceServiceRequest(), ignore_unknown_fields=True, max_recursion_depth=_MAX_JSON_DEPTH
        )
        payload = request.SerializeToString()
    except (ValueError, RecursionError, TypeError, AttributeError, json_format.Error) as error:
        raise BadRequest(f"The body is not an ExportTraceServiceRequest in OTLP/JSON: {str(error)[:300]}") from error
    return _accept(request, payload)


class _Bounded:
    """Lets so many JSON objects pass. Raises BadRequest."""

    def __init__(self, most: int) -> None:
        self._left = most

    def __call__(self, found: dict[str, Any]) -> dict[str, Any]:
        self._left -= 1
        if self._left < 0:
            raise BadRequest(_HOLLOW.format("objects"))
        return found


def _is_hollow(request: ExportTraceServiceRequest, size: int) -> bool:
    most = _SOME + size // _LEAST_SPAN_BYTES
    if len(request.resource_spans) > most:
        return True
    scopes = [resource_spans.scope_spans for resource_spans in request.resource_spans]
    if sum(len(of_resource) for of_resource in scopes) > most:
        return True
    return sum(len(scope_spans.spans) for of_resource in scopes for scope_spans in of_resource) > most


def _accept(request: ExportTraceServiceRequest, payload: bytes) -> Accepted:
    if _is_hollow(request, len(payload)):
        raise BadRequest(_HOLLOW.format("messages"))
    spans, bad, first = 0, 0, ""
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            for span in scope_spans.spans:
                if (
                    len(span.trace_id) != 16
                    or len(span.span_id) != 8
                    or len(span.parent_span_id) not in (0, 8)
                    or span.trace_id == _NO_TRACE
                    or span.span_id == _NO_SPAN
                    or span.links
                ) and (problem := _problem(span)):
                    bad += 1
                    first = first or problem
            spans += len(scope_spans.spans)
    if not bad:
        return Accepted(payload, spans)
    if bad == spans:
        raise BadRequest(first)
    _drop_bad(request)
    message = f"{bad} of {spans} spans were refused. The first: {first}"
    return Accepted(request.SerializeToString(), spans - bad, bad, message)


def _problem(span: Span) -> str:
    """What is wrong with the span's ids and what to do, or nothing."""
    ids = [("trace_id", span.trace_id, 16), ("span_id", span.span_id, 8)]
    if span.parent_span_id:
        ids.append(("parent_span_id", span.parent_span_id, 8))
    for link in span.links:
        ids += [("links.trace_id", link.trace_id, 16), ("links.span_id", link.span_id, 8)]
    for field, value, size in ids:
        if len(value) != size:
            return f"{field} of span {span.name[:100]!r} has {len(value)} bytes; it must have exactly {size}."
        if field in ("trace_id", "span_id") and not any(value):
            return f"{field} of span {span.name[:100]!r} is all zeros; it must not be."
    return ""


def _drop_bad(request: ExportTraceServiceRequest) -> None:
    for resource_spans in request.resource_spans:
        for scope_spans in resource_spans.scope_spans:
            good = [span for span in scope_spans.spans if not _problem(span)]
            if len(good) != len(scope_spans.spans):
                del scope_spans.spans[:]
                scope_spans.spans.extend(good)


def _hex_ids_to_base64(document: Any) -> None:
    """OTLP/JSON departs from protobuf's JSON in one point: ids are hex. In place."""
    for resource_spans in _list(document, "resourceSpans", "resource_spans"):
        for scope_spans in _list(resource_spans, "scopeSpans", "scope_spans"):
            for span in _list(scope_spans, "spans", "spans"):
                _hex_to_base64(span, "span")
                for link in _list(span, "links", "links"):
                    _hex_to_base64(link, "link")


def _list(parent: Any, *names: str) -> list[Any]:
    if not isinstance(parent, dict):
        raise BadRequest(f"The OTLP/JSON has a {type(parent).__name__} where an object with {names[0]!r} should be.")
    value: Any = next((parent[name] for name in names if parent.get(name) is not None), [])
    if not isinstance(value, list):
        raise BadRequest(f"The OTLP/JSON has a {type(value).__name__} as {names[0]!r}; it must be a list.")
    return value


def _hex_to_base64(holder: Any, what: str) -> None:
    if not isinstance(holder, dict):
        raise BadRequest(f"The OTLP/JSON has a {type(holder).__name__} where a {what} should be.")
    for name in ("traceId", "spanId", "parentSpanId", "trace_id", "span_id", "parent_span_id"):
        value = holder.get(name)
        if value is None:
            continue
        try:
            holder[name] = base64.b64encode(binascii.unhexlify(value)).decode()
        except (binascii.Error, TypeError, ValueError) as error:
            raise BadRequest(
                f"{name} of a {what} is {str(value)[:64]!r}; OTLP/JSON wants it in hexadecimal."
            ) from error
