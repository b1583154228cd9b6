"""Spans must have ids of the right size: without them they belong nowhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from onejob.ingest.rules import Found, Rules, ids_to_base64, keep, listed

_NO_TRACE = bytes(16)
_NO_SPAN = bytes(8)
_LEAST_BYTES = 30  # with both ids
_NONE = Span()


def _sizes(request: ExportTraceServiceRequest) -> Iterator[int]:
    yield len(request.resource_spans)
    scopes = [resource_spans.scope_spans for resource_spans in request.resource_spans]
    yield sum(map(len, scopes))
    yield sum(len(scope_spans.spans) for of_resource in scopes for scope_spans in of_resource)


def _look(request: ExportTraceServiceRequest) -> Found:
    spans, bad, first, span = 0, 0, "", _NONE
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
    return Found(spans, time_ns=span.end_time_unix_nano, bad=bad, first=first)


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
            keep(scope_spans.spans, [span for span in scope_spans.spans if not _problem(span)])


def _hex_to_base64(document: Any) -> None:
    for resource_spans in listed(document, "resourceSpans", "resource_spans"):
        for scope_spans in listed(resource_spans, "scopeSpans", "scope_spans"):
            for span in listed(scope_spans, "spans"):
                ids_to_base64(span, "span")
                for link in listed(span, "links"):
                    ids_to_base64(link, "link")


RULES = Rules("traces", ExportTraceServiceRequest, _LEAST_BYTES, _sizes, _look, _drop_bad, _hex_to_base64)
