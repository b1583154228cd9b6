"""What is in the bytes of a request that could not be stored: enough to know whose it is, never all of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from onejob.ingest.validate import RULES
from onejob.model.telemetry import Kind
from onejob.words import shorten

_MOST_SERVICES = 10
_MOST_CHARS = 200


@dataclass(frozen=True, slots=True)
class Contents:
    """The services of its resources, ten at most; and what its first span, log record or metric is called."""

    services: tuple[str, ...] = ()
    first_name: str | None = None


def contents_of(kind: Kind, payload: bytes) -> Contents:
    """Of bytes that are no request: nothing."""
    try:
        request: Any = RULES[kind].request.FromString(payload)
    except DecodeError:
        return Contents()
    if kind == "traces":
        resources = request.resource_spans
        names = (span.name for one in resources for scope in one.scope_spans for span in scope.spans)
    elif kind == "logs":
        resources = request.resource_logs
        names = (
            record.event_name or scope.scope.name
            for one in resources
            for scope in one.scope_logs
            for record in scope.log_records
        )
    else:
        resources = request.resource_metrics
        names = (metric.name for one in resources for scope in one.scope_metrics for metric in scope.metrics)
    services = dict.fromkeys(filter(None, map(_service, resources)))
    first = next(filter(None, names), None)
    return Contents(tuple(services)[:_MOST_SERVICES], shorten(first, _MOST_CHARS) if first else None)


def has_attribute(kind: Kind, payload: bytes, attribute: str, value: str) -> bool:
    """Whether the attribute has the value anywhere in it; also if that cannot be said, as it cannot be read."""
    if attribute.encode() not in payload:
        return False
    try:
        request = RULES[kind].request.FromString(payload)
    except DecodeError:
        return True
    return any(pair.key == attribute and _text(pair.value) == value for pair in _pairs(request))


def _service(of_resource: Any) -> str:
    attributes = of_resource.resource.attributes
    return next((shorten(_text(pair.value), _MOST_CHARS) for pair in attributes if pair.key == "service.name"), "")


def _pairs(message: Message) -> Iterator[KeyValue]:
    """All attributes in it, however deep."""
    if isinstance(message, KeyValue):
        yield message
    for field, held in message.ListFields():
        if field.message_type is not None:
            for inner in held if isinstance(held, Sequence) else (held,):
                yield from _pairs(inner)


def _text(value: AnyValue) -> str:
    """As the tables have a value that is no array, map or bytes."""
    member = value.WhichOneof("value")
    held = getattr(value, member) if member else ""
    return str(held).lower() if isinstance(held, bool) else str(held)
