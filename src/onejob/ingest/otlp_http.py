"""Telemetry over HTTP, as a plain ASGI application: OTLP (POST /v1/traces, /v1/logs and /v1/metrics), Prometheus'
remote write, Loki's push and Sentry's envelopes, each as its dialect says.

Small protobuf bodies are parsed on the event loop; large ones and JSON in a thread, so that one client cannot hold up
the others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

from onejob.ingest import otlp_dialect
from onejob.ingest.bodies import too_large
from onejob.ingest.dialect import Dialect, Headers, Refusal, Reply, Way, head_of, status_of
from onejob.ingest.door import INLINE_BYTES, Door
from onejob.ingest.doors import Doors
from onejob.ingest.errors import BadRequest, IntakeError, TryLater, Unauthenticated
from onejob.ingest.loki import http as loki
from onejob.ingest.remote_write import http as remote_write
from onejob.ingest.sentry import http as sentry
from onejob.ingest.turns import SharedThreads
from onejob.ingest.validate import Accepted

_DIALECTS: dict[str, Dialect] = {
    **dict.fromkeys((*otlp_dialect.PATHS, otlp_dialect.PROFILES), otlp_dialect),
    remote_write.PATH: remote_write,
    loki.PATH: loki,
}
_TAKEN = ", ".join([*(path for path in _DIALECTS if path != otlp_dialect.PROFILES), sentry.SHOWN_PATH])
_BODY_TIMEOUT_S = 30.0

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


@dataclass(slots=True)
class _Held:
    """How much of one request is in memory."""

    size: int = 0


class OtlpHttpApp:
    """ASGI."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._threads = SharedThreads(2, "otlp-http")
        # JSON takes a hundred times as long as protobuf, which must not wait for it.
        self._json_thread = SharedThreads(1, "otlp-http-json")

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"OTLP/HTTP does not speak {scope['type']}.")
        headers = dict(scope["headers"])
        head = head_of(scope["method"], scope["path"], headers)
        dialect = _dialect_of(head.path)
        origin = headers[b"origin"].decode("latin-1") if b"origin" in headers else None
        try:
            if dialect is otlp_dialect and head.path not in _DIALECTS:
                raise Refusal(404, f"There is nothing at {head.path[:200]}: onejob takes POST {_TAKEN}.")
            door = self._doors.admit(_authorization(dialect, headers, scope), origin)
            way = dialect.way(head, door.max_request_bytes)
            accepted = await self._accept(door, way, dialect.DOOR, headers, receive)
        except Refusal as refusal:
            reply = dialect.refuse(head, refusal.status, BadRequest(refusal.message), refusal.headers)
        except IntakeError as error:
            reply = dialect.refuse(head, status_of(error), error, _headers_of(error))
        else:
            reply = dialect.answer(head, accepted)
        await _send(send, reply)

    async def _accept(
        self, door: Door, way: Way, through: str, headers: dict[bytes, bytes], receive: Receive
    ) -> Accepted:
        limit, decompress = door.max_request_bytes, way.decompress
        held = _Held()
        try:
            body = await _read(receive, door, int(headers.get(b"content-length", b"0") or 0), held)
            came_at = time.monotonic()

            def work() -> tuple[Accepted, Any]:
                plain = decompress(body, limit) if decompress else body
                return door.check_and_spool(plain, way.check, through=through)

            if way.is_slow or decompress or len(body) > INLINE_BYTES:
                threads = self._json_thread if way.is_slow else self._threads
                accepted, waiting = await asyncio.wrap_future(threads.run(door, work))
            else:
                accepted, waiting = work()
            if waiting is not None:
                await asyncio.wrap_future(waiting)
                door.counters.acknowledgements.add(through, time.monotonic() - came_at)
        finally:
            door.release(held.size)
        return accepted


async def _read(receive: Receive, door: Door, announced: int, held: _Held) -> bytes:
    """Counts what is held as it arrives: clients that stop midway hold memory too."""
    limit = door.max_request_bytes
    if announced > limit:
        raise too_large(limit)
    pieces, more = [], True
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise Refusal(400, "The connection ended before the body did.")
                piece = message.get("body", b"")
                door.hold(len(piece))
                held.size += len(piece)
                if held.size > limit:
                    raise too_large(limit)
                pieces.append(piece)
                more = message.get("more_body", False)
    except TimeoutError:
        raise Refusal(408, f"The body took longer than {_BODY_TIMEOUT_S:.0f} s.") from None
    return b"".join(pieces)


def _dialect_of(path: str) -> Dialect:
    """OTLP's, where there is none."""
    return _DIALECTS.get(path) or (sentry if sentry.is_path(path) else otlp_dialect)


def _authorization(dialect: Dialect, headers: Mapping[bytes, bytes], scope: Mapping[str, Any]) -> str:
    if dialect is sentry:
        return sentry.authorization(headers, scope.get("query_string", b""))
    return headers.get(b"authorization", b"").decode("latin-1")


def _headers_of(error: IntakeError) -> Headers:
    if isinstance(error, TryLater):
        return ((b"retry-after", str(error.retry_after_s).encode()),)
    return ((b"www-authenticate", b'Bearer realm="onejob telemetry"'),) if isinstance(error, Unauthenticated) else ()


async def _send(send: Send, reply: Reply) -> None:
    head = [(b"content-type", reply.media.encode()), (b"content-length", str(len(reply.body)).encode())]
    if reply.status == 204:  # which has no body (RFC 9110, 8.6)
        head = []
    await send({"type": "http.response.start", "status": reply.status, "headers": [*head, *reply.headers]})
    await send({"type": "http.response.body", "body": reply.body})
