"""Request bodies over HTTP, bounded while read and while decompressed: a gzip bomb ends at the limit."""

from __future__ import annotations

import zlib

from onejob.ingest.errors import BadRequest, TooLarge

_GZIP = 31  # zlib's window bits for the gzip format
_CHUNK = 1 << 20
_MOST_MEMBERS = 100  # each copies what follows it: without an end, a small body could cost minutes


def too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"The request is larger than {limit} bytes. Send fewer spans in one (the exporter's batch size), or raise "
        "ONEJOB_MAX_REQUEST_BYTES."
    )


def gunzip(data: bytes, limit: int) -> bytes:
    """At most `limit` bytes; several gzip members in a row are one body. Raises BadRequest."""
    pieces: list[bytes] = []
    room = limit
    members = 0
    while data:
        members += 1
        if members > _MOST_MEMBERS:
            raise BadRequest(f"The gzip body has more than {_MOST_MEMBERS} members; compress it as one.")
        member = zlib.decompressobj(_GZIP)
        try:
            while not member.eof:
                piece = member.decompress(data, min(room + 1, _CHUNK))
                room -= len(piece)
                if room < 0:
                    raise too_large(limit)
                pieces.append(piece)
                data = member.unconsumed_tail
                if not piece and not data and not member.eof:
                    raise BadRequest("The gzip body ends too early.")
        except zlib.error as error:
            raise BadRequest(f"The body says it is gzip, but it is not: {error}") from error
        data = member.unused_data
    return b"".join(pieces)
