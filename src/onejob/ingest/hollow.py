"""Requests of messages that say nothing.

An empty message is 2 bytes on the wire, next to nothing when compressed; it has a hundred bytes in memory, here and in
the engine, and takes 4 us to look at (`{}`, 9 us in JSON). So 15 kB that arrive could take gigabytes, or minutes. A
body may hold no more of them than fit into it if they mean anything, and some.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from onejob.ingest.errors import BadRequest

HOLLOW = "The body is mostly empty {}, too many to look at: is the exporter broken?"
SOME = 10_000
_SOME_PARTS, _LEAST_PART_BYTES = 100_000, 8  # an attribute with a name of a letter
_EMPTY_BYTES = 2
_WHOLE = ("KeyValue", "AnyValue")  # what is within these is bounded by `nested`


def refuse_more(messages: int, size: int, least_bytes: int) -> None:
    """Than mean anything in a body of that size. Raises BadRequest."""
    if messages > SOME + size // least_bytes:
        raise BadRequest(HOLLOW.format("messages"))


def refuse_hollow_parts(request: Any, size: int) -> None:
    """Attributes, events, links, exemplars and all else in it. `size` is in bytes of protobuf. Raises BadRequest."""
    most = _SOME_PARTS + size // _LEAST_PART_BYTES
    if size // _EMPTY_BYTES > most and _count(request, most) > most:
        raise BadRequest(HOLLOW.format("attributes and other parts"))


def _count(message: Any, most: int) -> int:
    """Of repeated messages in it; more than `most` as soon as there are."""
    several, single = _fields(message.DESCRIPTOR)
    lists = [getattr(message, name) for name, _ in several]
    count = sum(map(len, lists))
    for (_, is_whole), parts in zip(several, lists, strict=True):
        if not is_whole:
            for part in parts:
                if count > most:
                    return count
                count += _count(part, most - count)
    return count + sum(_count(getattr(message, name), most - count) for name in single if message.HasField(name))


@cache
def _fields(of: Descriptor) -> tuple[tuple[tuple[str, bool], ...], tuple[str, ...]]:
    """Names of those with several messages, and whether these are counted as a whole; and of those with one."""
    fields = [field for field in of.fields if field.type == FieldDescriptor.TYPE_MESSAGE]
    several = [field for field in fields if field.is_repeated]
    single = [field.name for field in fields if not field.is_repeated and field.message_type.name not in _WHOLE]
    return tuple((field.name, field.message_type.name in _WHOLE) for field in several), tuple(single)
