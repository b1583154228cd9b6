"""OTLP over HTTP: POST /v1/traces, /v1/logs and /v1/metrics, protobuf or JSON, gzip, zstd or neither, as a plain ASGI
application.

Small protobuf bodies are parsed on the event loop; large ones and JSON in a thread, so that one client cannot hold up
the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import Message

from onejob.ingest.answers import NO_PROFILES, failure, success
from onejob.ingest.bodies import DECOMPRESS, too_large
from onejob.ingest.door import INLINE_BYTES, Door
from onejob.ingest.errors import BadRequest, IntakeError, TooLarge, TryLater
from onejob.ingest.validate import JSON_CHECKS, PROTOBUF_CHECKS, Accepted, Check
from onejob.model.telemetry import Kind

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
_PATHS: dict[str, Kind] = {"/v1/traces": "traces", "/v1/logs": "logs", "/v1/metrics": "metrics"}
_PROFILES = "/v1development/profiles"
_BODY_TIMEOUT_S = 30.0
_MAX_HELD_BYTES = 256 * 2**20

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Refusal(Exception):  # noqa: N818
    """An answer that is about HTTP rather than about telemetry."""

    status: int
    message: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass(slots=True)
class _Held:
    """How much of one request is in memory."""

    size: int = 0


class OtlpHttpApp:
    """ASGI."""

    def __init__(self, door: Door, max_held_bytes: int = _MAX_HELD_BYTES) -> None:
        self._door = door
        self._max_held_bytes = max_held_bytes
        self._held_bytes = 0
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="otlp-http")
        # JSON takes a hundred times as long as protobuf, which must not wait for it.
        self._json_thread = ThreadPoolExecutor(1, thread_name_prefix="otlp-http-json")

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"OTLP/HTTP does not speak {scope['type']}.")
        headers = dict(scope["headers"])
        media = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
        try:
            check = _check_of(scope["method"], scope["path"], media)
            accepted = await self._accept(check, media, headers, receive)
        except _Refusal as refusal:
            await _answer(send, refusal.status, failure(BadRequest(refusal.message)), media, refusal.headers)
        except IntakeError as error:
            retry = ((b"retry-after", str(error.retry_after_s).encode()),) if isinstance(error, TryLater) else ()
            await _answer(send, _status(error), failure(error), media, retry)
        else:
            await _answer(send, 200, success(accepted), media)

    async def _accept(self, check: Check, media: str, headers: dict[bytes, bytes], receive: Receive) -> Accepted:
        limit = self._door.max_request_bytes
        decompress = _decompressing(headers.get(b"content-encoding", b""))
        held = _Held()
        try:
            body = await self._read(receive, limit, int(headers.get(b"content-length", b"0") or 0), held)

            def work() -> tuple[Accepted, Any]:
                return self._door.check_and_spool(decompress(body, limit) if decompress else body, check)

            if media == JSON or decompress or len(body) > INLINE_BYTES:
                threads = self._json_thread if media == JSON else self._threads
                accepted, waiting = await asyncio.get_running_loop().run_in_executor(threads, work)
            else:
                accepted, waiting = work()
            if waiting is not None:
                await asyncio.wrap_future(waiting)
        finally:
            self._held_bytes -= held.size
        return accepted

    async def _read(self, receive: Receive, limit: int, announced: int, held: _Held) -> bytes:
        """Counts what is held as it arrives: clients that stop midway hold memory too."""
        if announced > limit:
            raise too_large(limit)
        pieces, more = [], True
        try:
            async with asyncio.timeout(_BODY_TIMEOUT_S):
                while more:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise _Refusal(400, "The connection ended before the body did.")
                    piece = message.get("body", b"")
                    held.size += len(piece)
                    self._held_bytes += len(piece)
                    if held.size > limit:
                        raise too_large(limit)
                    if self._held_bytes > self._max_held_bytes:
                        raise TryLater("Too much is being sent at once.", retry_after_s=1, is_overload=True)
                    pieces.append(piece)
                    more = message.get("more_body", False)
        except TimeoutError:
            raise _Refusal(408, f"The body took longer than {_BODY_TIMEOUT_S:.0f} s.") from None
        return b"".join(pieces)


def _check_of(method: str, path: str, media: str) -> Check:
    """What the body must pass."""
    if path == _PROFILES:
        raise _Refusal(404, NO_PROFILES)
    if path not in _PATHS:
        raise _Refusal(404, f"There is nothing at {path[:200]}: onejob takes POST {', '.join(_PATHS)}.")
    if method != "POST":
        raise _Refusal(405, f"Send {_PATHS[path]} with POST.", ((b"allow", b"POST"),))
    if media not in (PROTOBUF, JSON):
        raise _Refusal(415, f"The content type is {media[:100]!r}; OTLP/HTTP is {PROTOBUF} or {JSON}.")
    return (JSON_CHECKS if media == JSON else PROTOBUF_CHECKS)[_PATHS[path]]


def _decompressing(encoding: bytes) -> Callable[[bytes, int], bytes] | None:
    name = encoding.decode("latin-1").strip().lower()
    if name in ("", "identity"):
        return None
    if name not in DECOMPRESS:
        known = ", ".join(DECOMPRESS)
        raise _Refusal(
            415,
            f"The content encoding is {name[:100]!r}; use {known} or none.",
            ((b"accept-encoding", known.encode()),),
        )
    return DECOMPRESS[name]


def _status(error: IntakeError) -> int:
    if isinstance(error, TryLater):
        return 429 if error.is_overload else 503
    return 413 if isinstance(error, TooLarge) else 400


async def _answer(
    send: Send, status: int, message: Message, media: str, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    """As the client sent it, as OTLP asks for; JSON where that is neither."""
    if media == PROTOBUF:
        body = message.SerializeToString()
    else:
        media, body = JSON, json_format.MessageToJson(message, indent=None).encode()
    head = [(b"content-type", media.encode()), (b"content-length", str(len(body)).encode()), *headers]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body})
