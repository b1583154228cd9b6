"""Request bodies: JSON, small, and said to be JSON.

Asking for the content type is more than tidiness: a page of another origin can send a form or text, never JSON. So is
refusing what is said twice: a proxy that checks the one and a server that acts by the other would both be right.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from fastapi import Request
from starlette.types import Receive, Scope

MAX_BODY_BYTES = 64 * 1024
_WITHIN_S = 60.0


class BodyError(Exception):
    """A body that is not read at all. It may be sent again after `retry_after_s`, if that is said."""

    def __init__(self, status: int, title: str, message: str, *, retry_after_s: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.title = title
        self.retry_after_s = retry_after_s


class BoundedRequest(Request):
    """A request whose body is read up to a limit, whatever its Content-Length says, and for a minute at most.

    `hold` is told of each piece's bytes before it is kept, and may refuse it.
    """

    def __init__(
        self,
        scope: Scope,
        receive: Receive,
        limit: int = MAX_BODY_BYTES,
        hold: Callable[[int], None] = lambda _size: None,
        within_s: float = _WITHIN_S,
    ) -> None:
        super().__init__(scope, receive)
        self._limit = limit
        self._hold = hold
        self._within_s = within_s

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            try:
                async with asyncio.timeout(self._within_s):
                    self._body = await self._whole()
            except TimeoutError:
                raise BodyError(
                    408, "Body too slow", f"The body took longer than {self._within_s:g} s: send less at once."
                ) from None
        return self._body

    async def _whole(self) -> bytes:
        chunks, size = [], 0
        async for chunk in self.stream():
            size += len(chunk)
            if size > self._limit:
                raise BodyError(413, "Body too large", f"The body is larger than {self._limit // 1024} KiB: send less.")
            self._hold(len(chunk))
            chunks.append(chunk)
        return b"".join(chunks)

    async def json(self) -> Any:
        """BodyError for a field that is there twice."""
        if not hasattr(self, "_json"):
            self._json = json.loads(await self.body(), object_pairs_hook=_each_once)
        return self._json


async def check_body(request: BoundedRequest) -> None:
    """Refuse a body that is too large, compressed, or not said to be JSON."""
    if request.method not in ("POST", "PATCH", "PUT", "DELETE") or not await request.body():
        return
    media_type = plain_media_type(request)
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise BodyError(415, "Not JSON", f"The body is {media_type or 'unnamed'}: send Content-Type: application/json.")
    with suppress(ValueError, RecursionError):  # what is no JSON the route says in its own words
        await request.json()


def check_query(request: Request) -> None:
    """Refuse a parameter that is there twice."""
    _each_once(request.query_params.multi_items())


def _each_once(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    pairs = list(pairs)
    found = dict(pairs)
    if len(found) < len(pairs):
        name, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise BodyError(422, "A field cannot be right", f"{name[:100]!r} is sent twice: send it once.")
    return found


def plain_media_type(request: Request) -> str:
    """What the body is said to be; compressed ones are refused."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise BodyError(415, "Compressed body", "Send the body without Content-Encoding.")
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
