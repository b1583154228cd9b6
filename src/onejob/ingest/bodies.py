"""Request bodies over HTTP, bounded while read and while decompressed: a bomb ends at the limit."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Callable

import pyarrow as pa

from onejob.ingest.errors import BadRequest, TooLarge

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_GZIP = 31  # zlib's window bits for the gzip format
_ZLIB = 15  # and for its own, which HTTP calls deflate (RFC 9110, 8.4.1.2)
_CHUNK = 1 << 20
_MOST_MEMBERS = 100  # each copies what follows it: without an end, a small body could cost minutes
# 2^25 bytes: what a frame may ask to be remembered of what it said before. Encoders ask for 8 MiB, seldom for more.
_ZSTD_WINDOW: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 25}


def too_large(limit: int) -> TooLarge:
    return TooLarge(
        f"The request is larger than {limit} bytes. Send less in one (the exporter's batch size), or raise "
        "ONEJOB_MAX_REQUEST_BYTES."
    )


def gunzip(data: bytes, limit: int) -> bytes:
    """At most `limit` bytes; several gzip members in a row are one body. Raises BadRequest."""
    pieces: list[bytes] = []
    room, members = limit, 0
    while data:
        members = _next_member(members, "gzip", "members")
        member = zlib.decompressobj(_GZIP)
        try:
            while not member.eof:
                piece = member.decompress(data, min(room + 1, _CHUNK))
                room = _room_after(piece, room, limit)
                pieces.append(piece)
                data = member.unconsumed_tail
                if not piece and not data and not member.eof:
                    raise BadRequest("The gzip body ends too early.")
        except zlib.error as error:
            raise BadRequest(f"The body says it is gzip, but it is not: {error}") from error
        data = member.unused_data
    return b"".join(pieces)


def unzstd(data: bytes, limit: int) -> bytes:
    """At most `limit` bytes; several zstd frames in a row are one body. Raises BadRequest."""
    pieces: list[bytes] = []
    room, frames = limit, 0
    while data:
        frames = _next_member(frames, "zstd", "frames")
        frame = zstd.ZstdDecompressor(options=_ZSTD_WINDOW)
        try:
            while not frame.eof:
                piece = frame.decompress(data, min(room + 1, _CHUNK))
                room = _room_after(piece, room, limit)
                pieces.append(piece)
                data = b""  # it keeps what it has not come to yet
                if not piece and frame.needs_input and not frame.eof:
                    raise BadRequest("The zstd body ends too early.")
        except zstd.ZstdError as error:
            raise BadRequest(f"The body says it is zstd, but it cannot be read as such: {error}") from error
        data = frame.unused_data
    return b"".join(pieces)


def inflate(data: bytes, limit: int) -> bytes:
    """At most `limit` bytes. Raises BadRequest."""
    stream = zlib.decompressobj(_ZLIB)
    try:
        body = stream.decompress(data, limit + 1)
    except zlib.error as error:
        raise BadRequest(f"The body says it is deflate, but it is not: {error}") from error
    _room_after(body, limit, limit)
    if not stream.eof:
        raise BadRequest("The deflate body ends too early.")
    return body


def unbrotli(data: bytes, limit: int) -> bytes:
    """At most `limit` bytes. Raises BadRequest."""
    pieces: list[bytes] = []
    room, buffer = limit, memoryview(bytearray(min(limit + 1, _CHUNK)))
    try:
        with pa.CompressedInputStream(pa.BufferReader(data), "brotli") as stream:
            while size := stream.readinto(buffer):  # `read` never gives back the memory of a body that is none
                piece = bytes(buffer[:size])
                room = _room_after(piece, room, limit)
                pieces.append(piece)
    except (pa.ArrowException, OSError) as error:
        raise BadRequest(f"The body says it is brotli, but it cannot be read as such: {error}") from error
    return b"".join(pieces)


DECOMPRESS: dict[str, Callable[[bytes, int], bytes]] = {"gzip": gunzip, "zstd": unzstd}


def _next_member(members: int, encoding: str, name: str) -> int:
    if members == _MOST_MEMBERS:
        raise BadRequest(f"The {encoding} body has more than {_MOST_MEMBERS} {name}; compress it as one.")
    return members + 1


def _room_after(piece: bytes, room: int, limit: int) -> int:
    if len(piece) > room:
        raise too_large(limit)
    return room - len(piece)
