"""Which kind of OTLP request is this? A file does not say, and in protobuf all three look alike on the outside.

    request 1-> of a resource 2-> of a scope 2-> item

The items differ: the times of a span have other field numbers than those of a log record, and those of a metric are
deeper, in its points. So the first items' fields are looked at: their numbers and wire types
(protobuf.dev/programming-guides/encoding). Where there is no time, what else there is makes a guess.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import islice

from onejob.model.telemetry import Kind

_KEY = re.compile(rb'"resource_?(spans|logs|metrics)"', re.IGNORECASE)
_KIND_OF_KEY: dict[bytes, Kind] = {b"spans": "traces", b"logs": "logs", b"metrics": "metrics"}
_KIND_OF_NAME: dict[str, Kind] = {
    "resourceSpans": "traces",
    "resource_spans": "traces",
    "resourceLogs": "logs",
    "resource_logs": "logs",
    "resourceMetrics": "metrics",
    "resource_metrics": "metrics",
}

_VARINT, _I64, _LEN, _I32 = 0, 1, 2, 5
_MOST_FIELDS = 50  # that are looked at on each level: an item is in the first of them, or a body is mostly empty
_MOST_ITEMS = 10
_SPAN_TIMES = {(7, _I64), (8, _I64)}
_SPAN_NUMBERS = {(4, _LEN), (6, _VARINT)}  # its parent and kind
_RECORD_TIMES = {(1, _I64), (11, _I64)}
_POINT_TIME = (3, _I64)  # in each of the five kinds
_RECORD_NUMBERS = {(1, _I64), (2, _VARINT), (8, _I32), (11, _I64)}
_METRIC_DATA = {(5, _LEN), (7, _LEN), (9, _LEN), (10, _LEN), (11, _LEN)}
_NAME = (1, _LEN)  # of a metric, or the trace id of a span; a log record has a time there

Fields = Iterator[tuple[int, int, memoryview]]


def kind_of_json(body: bytes) -> Kind:
    """Traces where it does not say."""
    key = _KEY.search(body)
    return _KIND_OF_KEY[key[1].lower()] if key else "traces"


def kind_by_key(document: Mapping[str, object]) -> Kind | None:
    """Of a JSON document that has something under a kind's name."""
    return next((kind for name, kind in _KIND_OF_NAME.items() if document.get(name)), None)


def kind_of_protobuf(body: bytes) -> Kind:
    """Traces where it does not say, or is none: whoever reads it will say what is wrong."""
    if kind := kind_by_time(body):
        return kind
    try:
        item = next(_items(memoryview(body)), None)
        tags = _tags(item) if item is not None else set()
    except (IndexError, ValueError):
        return "traces"
    if tags & _SPAN_NUMBERS:
        return "traces"
    if tags & _RECORD_NUMBERS:
        return "logs"
    if _NAME in tags:
        return "metrics" if tags & _METRIC_DATA else "traces"
    return "logs" if tags else "traces"


def kind_by_time(body: bytes) -> Kind | None:
    """Where the first items have a time, no other kind has one. None where they have none, or the body is none."""
    try:
        kinds = map(_kind_by_time, islice(_items(memoryview(body)), _MOST_ITEMS))
        return next(filter(None, kinds), None)
    except (IndexError, ValueError):
        return None


def _kind_by_time(item: memoryview) -> Kind | None:
    tags = _tags(item)
    if tags & _SPAN_TIMES:
        return "traces"
    if tags & _RECORD_TIMES:
        return "logs"
    if _NAME in tags and any(_POINT_TIME in _tags(point) for point in _points(item)):
        return "metrics"
    return None


def _tags(message: memoryview) -> set[tuple[int, int]]:
    return {(number, wire) for number, wire, _ in _first_fields(message)}


def _points(metric: memoryview) -> Iterator[memoryview]:
    for number, wire, data in _first_fields(metric):
        if (number, wire) in _METRIC_DATA:
            yield from _messages(data, 1)


def _items(request: memoryview) -> Iterator[memoryview]:
    for of_resource in _messages(request, 1):
        for of_scope in _messages(of_resource, 2):
            yield from _messages(of_scope, 2)


def _messages(data: memoryview, wanted: int) -> Iterator[memoryview]:
    return (value for number, wire, value in _first_fields(data) if (number, wire) == (wanted, _LEN))


def _first_fields(data: memoryview) -> Fields:
    return islice(_fields(data), _MOST_FIELDS)


def _fields(data: memoryview) -> Fields:
    """Number, wire type and, of what has a length, the content. Raises IndexError or ValueError where it is none."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        wire, size = tag & 7, 0
        if wire == _VARINT:
            _, at = _varint(data, at)
        elif wire == _LEN:
            size, at = _varint(data, at)
        elif wire in (_I64, _I32):
            at += 8 if wire == _I64 else 4
        else:
            raise ValueError(f"there is no wire type {wire}")
        yield tag >> 3, wire, data[at : at + size]
        at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number has no end")
