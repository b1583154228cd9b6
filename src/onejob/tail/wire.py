"""Protobuf, as far as an export request of OTLP needs it.

The command line has no compiled dependencies, and protobuf's library is one. Writing takes three kinds of fields;
reading, the one answer that says what was refused.
"""

import struct

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


def varint(value: int) -> bytes:
    """`value` is not negative."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def integer(number: int, value: int) -> bytes:
    """A field of an integer or an enum."""
    return varint(number << 3 | _VARINT) + varint(value)


def fixed64(number: int, value: int) -> bytes:
    return varint(number << 3 | _FIXED64) + struct.pack("<Q", value)


def nested(number: int, value: bytes) -> bytes:
    """A field of bytes or of a message."""
    return varint(number << 3 | _BYTES) + varint(len(value)) + value


def text(number: int, value: str) -> bytes:
    return nested(number, value.encode("utf-8", "replace"))


def read(message: bytes) -> dict[int, int | bytes]:
    """The last value of each field. ValueError for what is no message."""
    found: dict[int, int | bytes] = {}
    at = 0
    while at < len(message):
        key, at = _read_varint(message, at)
        kind = key & 7
        if kind == _VARINT:
            found[key >> 3], at = _read_varint(message, at)
            continue
        size = {_FIXED64: 8, _FIXED32: 4}.get(kind)
        if kind == _BYTES:
            size, at = _read_varint(message, at)
        if size is None or at + size > len(message):
            raise ValueError("this is no protobuf message")
        found[key >> 3] = message[at : at + size]
        at += size
    return found


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(message) and shift < 64:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
    raise ValueError("this is no protobuf message")
