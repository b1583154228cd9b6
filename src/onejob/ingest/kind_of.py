"""Which kind of OTLP request is this? A file does not say, and in protobuf all three look alike on the outside.

    request 1-> of a resource 2-> of a scope 2-> item

The items differ: the times of a span have other field numbers than those of a log record, and the data of a metric are
messages where both others have numbers or text. So the first item's fields are looked at: their numbers and wire types
(protobuf.dev/programming-guides/encoding).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from onejob.model.telemetry import Kind

_KEY = re.compile(rb'"resource_?(spans|logs|metrics)"', re.IGNORECASE)
_KIND_OF_KEY: dict[bytes, Kind] = {b"spans": "traces", b"logs": "logs", b"metrics": "metrics"}

_VARINT, _I64, _LEN, _I32 = 0, 1, 2, 5
_MOST_FIELDS = 50  # that are looked at on each level: an item is in the first of them, or a body is mostly empty
_SPAN_TIMES = {(7, _I64), (8, _I64)}
_RECORD_NUMBERS = {(1, _I64), (2, _VARINT), (8, _I32), (11, _I64)}
_METRIC_DATA = {(5, _LEN), (7, _LEN), (9, _LEN), (10, _LEN), (11, _LEN)}
_NAME = (1, _LEN)  # of a metric, or the trace id of a span; a log record has a time there

Fields = Iterator[tuple[int, int, memoryview]]


def kind_of_json(body: bytes) -> Kind:
    """Traces where it does not say."""
    key = _KEY.search(body)
    return _KIND_OF_KEY[key[1].lower()] if key else "traces"


def kind_of_protobuf(body: bytes) -> Kind:
    """Traces where it does not say, or is none: whoever reads it will say what is wrong."""
    try:
        item = next(_items(memoryview(body)), None)
        tags = {(number, wire) for number, wire, _ in _first_fields(item)} if item is not None else set()
    except (IndexError, ValueError):
        return "traces"
    if tags & _SPAN_TIMES:
        return "traces"
    if tags & _RECORD_NUMBERS:
        return "logs"
    if _NAME in tags:
        return "metrics" if tags & _METRIC_DATA else "traces"
    return "logs" if tags else "traces"


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
