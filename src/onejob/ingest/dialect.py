"""What the HTTP door must know of a protocol: how its bodies are read, and how it is answered.

The rest is the same for all: bodies are bounded while read and decompressed, and acknowledged when the spool has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from onejob.ingest.errors import IntakeError, TooLarge, TryLater, Unauthenticated
from onejob.ingest.validate import Accepted, Check

Headers = tuple[tuple[bytes, bytes], ...]
Decompress = Callable[[bytes, int], bytes]  # a body and the limit of what it may hold; raises BadRequest
PLAIN = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Head:
    """What a request says of itself. `media` and `parameters` are those of its content type."""

    method: str
    path: str
    media: str
    parameters: Mapping[str, str]
    encoding: str


@dataclass(frozen=True, slots=True)
class Way:
    """What is done with a body; `is_slow`: where it takes long and others must not wait for it."""

    check: Check
    decompress: Decompress | None = None
    is_slow: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    media: str
    body: bytes
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Refusal(Exception):  # noqa: N818
    """An answer that is about HTTP rather than about telemetry."""

    status: int
    message: str
    headers: Headers = ()


class Dialect(Protocol):
    """A protocol; a module with these functions is one. `DOOR` is what it is called where requests are counted."""

    DOOR: str

    def way(self, head: Head, limit: int) -> Way:
        """`limit` is how many bytes a request may be. Raises Refusal."""

    def answer(self, head: Head, accepted: Accepted) -> Reply:
        """What was accepted is on disk."""

    def refuse(self, head: Head, status: int, error: Exception, headers: Headers) -> Reply:
        """Nothing was."""


def head_of(method: str, path: str, headers: Mapping[bytes, bytes]) -> Head:
    """Of the headers of ASGI."""
    media, *rest = headers.get(b"content-type", b"").decode("latin-1").split(";")
    parameters = {}
    for text in rest:
        name, _, value = text.partition("=")
        parameters[name.strip().lower()] = value.strip().strip('"')
    encoding = headers.get(b"content-encoding", b"").decode("latin-1").strip().lower()
    return Head(method, path, media.strip().lower(), parameters, encoding)


def refuse_unless_post(head: Head, what: str) -> None:
    """Raises Refusal."""
    if head.method != "POST":
        raise Refusal(405, f"Send {what} with POST.", ((b"allow", b"POST"),))


def unsupported_encoding(head: Head, known: str) -> Refusal:
    """`known` are the encodings that are understood."""
    message = f"The content encoding is {head.encoding[:100]!r}; use {known}."
    accepted = known.partition(" or ")[0].encode()
    return Refusal(415, message, ((b"accept-encoding", accepted),))


def said_plainly(status: int, error: Exception, headers: Headers = ()) -> Reply:
    """For clients that log what they are told and never try again what is answered with 4xx, but for 429.

    So a body that arrived too slowly is put as our trouble, not as theirs.
    """
    return Reply(503 if status == 408 else status, PLAIN, f"{error}\n".encode(), headers)


def status_of(error: IntakeError) -> int:
    if isinstance(error, TryLater):
        return 429 if error.is_overload else 503
    if isinstance(error, Unauthenticated):
        return 401
    return 413 if isinstance(error, TooLarge) else 400
