"""Snappy's block format (google/snappy, format_description.txt), of which a body says first how large it will be."""

from __future__ import annotations

import pyarrow as pa

from onejob.ingest.bodies import too_large
from onejob.ingest.errors import BadRequest

_MOST_SIZE_BYTES = 5  # of 7 bits each: a size has 32
_FRAMED = b"\xff\x06\x00\x00sNaPpY"
_CODEC = "snappy"


def unsnappy(data: bytes, limit: int) -> bytes:
    """At most `limit` bytes: no memory is taken for more. Raises BadRequest."""
    if data.startswith(_FRAMED):
        raise BadRequest("The body is in snappy's framed format; send the block format, without frames.")
    size, start = _size(data)
    if size > limit:
        raise too_large(limit)
    if size == 0 and start == len(data):
        return b""
    try:
        return bytes(pa.Codec(_CODEC).decompress(data, decompressed_size=size, asbytes=True))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BadRequest("The body is not in snappy's block format, or cut off: is it sent uncompressed?") from error


def _size(data: bytes) -> tuple[int, int]:
    """And where what it is of starts."""
    size = 0
    for at, byte in enumerate(data[:_MOST_SIZE_BYTES]):
        size |= (byte & 0x7F) << 7 * at
        if byte < 0x80:
            return size, at + 1
    raise BadRequest("The body is not in snappy's block format: it does not start with its size.")
