"""Requests whose attributes and bodies hold millions of values within values.

Those become one text each, value by value in Python (`store.any_value`), at 2 to 30 us each: 15 kB of compressed empty
values would hold up whatever comes after them for half a minute. Said at the door.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableSequence
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from onejob.ingest.errors import BadRequest

MOST = 500_000


def refuse_nested(request: Any, payload: bytes) -> None:
    """`payload` is the request as protobuf. Raises BadRequest."""
    # A value takes two bytes, the first of which is one of these: mostly they need not be counted.
    if len(payload) // 2 <= MOST or payload.count(b"\n") + payload.count(b"\x8a") <= MOST:
        return
    if (within := sum(map(_within, _values(request)))) > MOST:
        raise BadRequest(
            f"The lists and maps in attributes and bodies of this request hold {within} values, more than {MOST}: send "
            "fewer items at a time, and no list that is as long as a file."
        )


def _values(message: Any) -> Iterator[AnyValue]:
    """Of all attributes and bodies in it."""
    for field, found in message.ListFields():
        if field.message_type is None:
            continue
        for part in found if isinstance(found, MutableSequence) else (found,):
            if isinstance(part, KeyValue):
                yield part.value
            elif isinstance(part, AnyValue):
                yield part
            else:
                yield from _values(part)


def _within(value: AnyValue) -> int:
    member = value.WhichOneof("value")
    if member == "array_value":
        return sum(1 + _within(one) for one in value.array_value.values)
    if member == "kvlist_value":
        return sum(1 + _within(entry.value) for entry in value.kvlist_value.values)
    return 0
