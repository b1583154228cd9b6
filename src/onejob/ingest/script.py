"""The script that pages include, as the OTLP/HTTP port serves it: GET /rum.js.

It is built from `browser/` by `scripts/rum.py`. Under its plain address it may be kept for an hour, so that an upgrade
arrives by itself; under `/rum.js?v=VERSION` of the release that runs, for good, as it will never be another.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

from onejob import __version__

PATH = "/rum.js"
_FOR_AN_HOUR = b"public, max-age=3600"
_FOR_GOOD = b"public, max-age=31536000, immutable"
# It is meant for pages elsewhere, also for those that hold it against a hash or isolate themselves.
_ANYWHERE = [
    (b"content-type", b"text/javascript; charset=utf-8"),
    (b"access-control-allow-origin", b"*"),
    (b"cross-origin-resource-policy", b"cross-origin"),
    (b"x-content-type-options", b"nosniff"),
    (b"vary", b"accept-encoding"),
]


@dataclass(frozen=True, slots=True)
class Script:
    """What is served, as it is and compressed, and its mark for caches."""

    plain: bytes
    gzipped: bytes
    etag: bytes

    @classmethod
    def read(cls) -> Script:
        """The one that is part of the package."""
        plain = resources.files("onejob.ingest").joinpath("browser/rum.js").read_bytes()
        mark = hashlib.sha256(plain).hexdigest()[:16]
        return cls(plain, gzip.compress(plain, mtime=0), f'W/"{mark}"'.encode())

    async def __call__(
        self, scope: MutableMapping[str, Any], send: Callable[[MutableMapping[str, Any]], Awaitable[None]]
    ) -> None:
        status, headers, body = self._answer(scope, dict(scope["headers"]))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    def _answer(
        self, scope: MutableMapping[str, Any], asked: dict[bytes, bytes]
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        if scope["method"] not in ("GET", "HEAD"):
            return 405, [(b"allow", b"GET, HEAD"), (b"content-length", b"0")], b""
        kept = _FOR_GOOD if scope["query_string"] == f"v={__version__}".encode() else _FOR_AN_HOUR
        headers = [*_ANYWHERE, (b"cache-control", kept), (b"etag", self.etag)]
        if self.etag in asked.get(b"if-none-match", b""):
            return 304, headers, b""
        body = self.plain
        if b"gzip" in asked.get(b"accept-encoding", b""):
            body = self.gzipped
            headers.append((b"content-encoding", b"gzip"))
        return 200, [*headers, (b"content-length", str(len(body)).encode())], body
