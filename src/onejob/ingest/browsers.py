"""Browsers at the OTLP/HTTP port: whose pages may send, and how they are told.

A browser says in `Origin` whose page makes it send. Any page that somebody opens could make their browser post here,
also to a server that only they can reach; so telemetry with an origin is taken only where that origin was named, or is
of this machine itself. A page cannot leave `Origin` out or change it. What is no browser sends none and is not asked.

Because the origin is checked on each request, and not only in the question beforehand (the preflight of CORS), log
records may come as `text/plain` from an origin that is known: then there is no such question, for which a page on its
way out has no time. For the same reason the token that a server may want is in the address where pages send log
records: it is in each page for all to see, and taken with the origins it was made for only. Cookies are never asked
for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from onejob.ingest.script import PATH, Script

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_LOCALHOST = re.compile(r"(?:[a-z0-9-]+\.)*localhost")
_LOGS = "/v1/logs"
_TOKEN = re.compile(rb"(?:^|&)token=([\w.~-]{1,200})(?:&|$)")
_PERMISSION_DENIED = 7  # google.rpc.Code
_PREFLIGHT = [
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", b"authorization, content-type, content-encoding, x-sentry-auth"),
    (b"access-control-max-age", b"7200"),  # browsers remember it no longer
]


class Browsers:
    """ASGI: the script for pages, and `app` for those origins that may send.

    `welcomes` knows them, as browsers write them.
    """

    def __init__(self, app: App, welcomes: Callable[[str], bool]) -> None:
        self._app = app
        self._welcomes = welcomes
        self._script = Script.read()

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", ()))
        said = headers.get(b"origin")
        if scope["type"] == "http" and scope["path"] == PATH:
            await self._script(scope, send)
            return
        if said is None or scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        origin = said.decode("latin-1")
        if not self._welcomes(origin):
            await _refuse(send, origin)
        elif scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            await _answer(send, 204, [*_allowing(said), *_PREFLIGHT])
        else:
            await self._app(_as_of_a_program(scope, headers), receive, _telling(send, said))


def is_of_this_machine(origin: str) -> bool:
    """Whether it is a page that this machine serves itself; no name elsewhere can be made to look like that."""
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    if "@" in parts.netloc:
        return False
    host = parts.hostname or ""
    if _LOCALHOST.fullmatch(host):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _as_of_a_program(scope: MutableMapping[str, Any], headers: dict[bytes, bytes]) -> MutableMapping[str, Any]:
    """Text is JSON where pages send log records, and a token in the address is one in the header."""
    if scope["path"] != _LOGS:
        return scope
    found = _TOKEN.search(scope.get("query_string", b""))
    if found:
        headers = {b"authorization": b"Bearer " + found[1]} | headers
    if headers.get(b"content-type", b"").partition(b";")[0].strip().lower() == b"text/plain":
        headers = headers | {b"content-type": b"application/json"}
    return {**scope, "headers": [*headers.items()]}


def _allowing(origin: bytes) -> list[tuple[bytes, bytes]]:
    return [
        (b"access-control-allow-origin", origin),
        (b"access-control-expose-headers", b"retry-after, x-sentry-rate-limits"),
        (b"vary", b"origin"),
    ]


def _telling(send: Send, origin: bytes) -> Send:
    async def told(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], *_allowing(origin)]}
        await send(message)

    return told


async def _refuse(send: Send, origin: str) -> None:
    message = (
        f"Pages of {origin[:200] or 'nowhere'} may not send telemetry here. Name the sites whose pages may in "
        'ONEJOB_BROWSER_ORIGINS, such as ["https://shop.example"].'
    )
    body = json.dumps({"code": _PERMISSION_DENIED, "message": message}).encode()
    await _answer(send, 403, [(b"content-type", b"application/json"), (b"vary", b"origin")], body)


async def _answer(send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes = b"") -> None:
    length = [] if status == 204 else [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, *length]})
    await send({"type": "http.response.body", "body": body})
