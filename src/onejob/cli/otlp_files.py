"""OTLP requests in files, whatever wrote them: lines of JSON, protobuf, length-prefixed, compressed or not.

    bytes -> gzip? zstd? -> `{`: a request per line (or one in all)
                         -> a length of 4 bytes: a request, then the next; each may be compressed by itself
                         -> else: one export request in protobuf

What a file is, its first bytes say, not its name. The length-prefixed forms are those of the OpenTelemetry Collector's
file exporter: a big-endian unsigned 32-bit length before each message when `format: proto` is set, or (before its
stream compression) when `compression: zstd` is, each message then being a zstd frame of its own.

A large protobuf request is cut between its resources; a concatenation of such pieces is again a request. Of which kind
the requests are, the server looks: on the outside traces, logs and metrics are alike.
"""

import gzip
import io
import json
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol, cast

from onejob.cli.errors import MissingExtraError

JSON = "application/x-ndjson"
PROTOBUF = "application/x-protobuf"
# Where a large request is cut. Its pieces are recognised when the same file comes again, so this must stay as it is.
PIECE_BYTES = 4 * 2**20
MAX_REQUEST_BYTES = 64 * 2**20  # beyond it a length is taken for garbage; what the server takes is its own setting
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_RESOURCE = 0x0A  # field 1, length-delimited: ResourceSpans, ResourceLogs or ResourceMetrics
_HEAD_BYTES = 16


@dataclass(frozen=True, slots=True)
class Request:
    """`where` names its place in the file: `line 17`, `request 3`."""

    kind: str
    body: bytes
    where: str


@dataclass(frozen=True, slots=True)
class Broken:
    """A place that holds no request, and why."""

    where: str
    why: str


class _Zstd(Protocol):
    ZstdError: type[Exception]

    def open(self, file: BinaryIO) -> BinaryIO: ...

    def decompress(self, data: bytes) -> bytes: ...


def requests(stream: BinaryIO) -> Iterator[Request | Broken]:
    """What is in the file, in order. Reads on behind a broken place where the format allows it."""
    try:
        yield from _unpacked(stream)
    except _damage() as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's, not the file's
        yield Broken("its end", f"the compressed data cannot be read any further ({error}): is the file whole?")


def _unpacked(stream: BinaryIO) -> Iterator[Request | Broken]:
    head, stream = _peeked(stream)
    if head.startswith(_GZIP):
        yield from _unpacked(cast(BinaryIO, gzip.GzipFile(fileobj=stream)))
    elif head.startswith(_ZSTD):
        yield from _unpacked(_zstd().open(stream))
    elif head.lstrip()[:1] == b"{" and (head[0] != _RESOURCE or head.lstrip()[1:2] in b'"} \r\n\t'):
        yield from _lines(stream)
    elif _is_framed(head):
        yield from _framed(stream)
    elif head and head[0] == _RESOURCE:
        yield from _pieces(stream)
    elif head.strip():
        yield Broken("its beginning", "this is neither OTLP in JSON lines nor in protobuf, nor gzip or zstd of them")


def _peeked(stream: BinaryIO) -> tuple[bytes, BinaryIO]:
    """The first bytes, and the stream from its beginning on; a pipe gives as few at once as it likes."""
    head = b""
    while len(head) < _HEAD_BYTES and (more := stream.read(_HEAD_BYTES - len(head))):
        head += more
    return head, cast(BinaryIO, io.BufferedReader(_Rest(head, stream), 2**20))


class _Rest(io.RawIOBase):
    """A stream whose first bytes were read already."""

    def __init__(self, head: bytes, stream: BinaryIO) -> None:
        self._head = head
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:  # type: ignore[no-untyped-def]
        data = self._head[: len(buffer)] or self._stream.read(len(buffer))
        self._head = self._head[len(buffer) :]
        buffer[: len(data)] = data
        return len(data)


def _lines(stream: BinaryIO) -> Iterator[Request | Broken]:
    number = 0
    while line := stream.readline(MAX_REQUEST_BYTES + 1):
        number += 1
        if len(line) > MAX_REQUEST_BYTES:
            yield Broken(f"line {number}", f"it is longer than {MAX_REQUEST_BYTES >> 20} MiB")
            return
        if number == 1 and _is_open(line):
            whole = line + stream.read(MAX_REQUEST_BYTES)
            yield Request(JSON, _one_line(whole), "its only request") if not _is_open(whole) else _cut(whole)
            return
        if line.strip():
            yield Request(JSON, line.rstrip(b"\r\n"), f"line {number}")


def _is_open(text: bytes) -> bool:
    """Is it the beginning of JSON that goes on?"""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        return error.pos >= len(text.decode("utf-8", "replace").rstrip())
    except (ValueError, RecursionError):
        return False
    return False


def _one_line(text: bytes) -> bytes:
    """JSON over several lines as one; what is no JSON stays as it is, for the server to say what is wrong."""
    try:
        return json.dumps(json.loads(text), separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        return text.replace(b"\n", b" ")


def _cut(text: bytes) -> Broken:
    lines = text.count(b"\n") + 1
    return Broken(f"line {lines}", "the file ends in the middle of the JSON")


def _is_framed(head: bytes) -> bool:
    if len(head) < 4:
        return False
    size = int.from_bytes(head[:4], "big")
    rest = head[4:]
    is_request = rest.startswith(_ZSTD) or rest[:1] in (b"{", bytes([_RESOURCE]))
    return size <= MAX_REQUEST_BYTES and (size == 0 or is_request)


def _framed(stream: BinaryIO) -> Iterator[Request | Broken]:
    number = 0
    while prefix := stream.read(4):
        number += 1
        size = int.from_bytes(prefix, "big")
        if len(prefix) < 4 or size > MAX_REQUEST_BYTES:
            yield Broken(f"request {number}", "its length makes no sense: the file is damaged from there on")
            return
        body = stream.read(size)
        if len(body) < size:
            yield Broken(f"request {number}", f"the file ends after {len(body)} of its {size} bytes")
            return
        if body.startswith(_ZSTD):
            try:
                body = _zstd().decompress(body)
            except _damage() as error:
                yield Broken(f"request {number}", f"its zstd frame cannot be read ({error})")
                continue
        if body:
            yield Request(JSON if body[:1] == b"{" else PROTOBUF, _plain(body), f"request {number}")


def _plain(body: bytes) -> bytes:
    return _one_line(body) if body[:1] == b"{" and b"\n" in body else body


def _pieces(stream: BinaryIO) -> Iterator[Request | Broken]:
    piece: list[bytes] = []
    held = number = 0
    for field in _fields(stream):
        if isinstance(field, Broken):
            yield field
            return
        if piece and held + len(field) > PIECE_BYTES:
            number += 1
            yield Request(PROTOBUF, b"".join(piece), f"piece {number}")
            piece, held = [], 0
        piece.append(field)
        held += len(field)
    yield Request(PROTOBUF, b"".join(piece), f"piece {number + 1}" if number else "its only request")


def _fields(stream: BinaryIO) -> Iterator[bytes | Broken]:
    """The top-level fields of a request, each with its tag."""
    at = 0
    while tag := stream.read(1):
        size, length = _varint(stream)
        if tag[0] != _RESOURCE or size is None or size > MAX_REQUEST_BYTES:
            yield Broken(f"byte {at}", "there begins something that is no resource's part of an export request of OTLP")
            return
        body = stream.read(size)
        if len(body) < size:
            yield Broken(f"byte {at}", f"the file ends after {len(body)} of {size} bytes")
            return
        yield tag + length + body
        at += 1 + len(length) + size


def _varint(stream: BinaryIO) -> tuple[int | None, bytes]:
    """The number and its bytes; None where none ends within five."""
    read = b""
    while len(read) < 5 and (byte := stream.read(1)):
        read += byte
        if byte[0] < 0x80:
            return sum((b & 0x7F) << (7 * i) for i, b in enumerate(read)), read
    return None, read


def _damage() -> tuple[type[Exception], ...]:
    """What reading damaged compressed data raises. Evaluated only when something was raised."""
    zstd = sys.modules.get("compression.zstd") or sys.modules.get("backports.zstd")
    return (OSError, EOFError, zlib.error, *([zstd.ZstdError] if zstd else []))


def _zstd() -> _Zstd:
    """Python's own from 3.14 on, else the backport that the server's install has."""
    try:
        try:
            from compression import zstd  # type: ignore[import-not-found, unused-ignore]
        except ImportError:
            from backports import zstd  # type: ignore[no-redef, import-not-found, unused-ignore]
    except ImportError as error:
        raise MissingExtraError(
            "This file is compressed with zstd, which Python reads by itself from 3.14 on: "
            "pip install backports.zstd, or unpack it first (zstd -d FILE)."
        ) from error
    return cast(_Zstd, zstd)
