"""Request bodies: JSON, small, and said to be JSON.

Asking for the content type is more than tidiness: a page of another origin can send a form or text, never JSON.
"""

from fastapi import Request
from starlette.types import Receive, Scope

MAX_BODY_BYTES = 64 * 1024


class BodyError(Exception):
    """A body that is not read at all."""

    def __init__(self, status: int, title: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.title = title


class BoundedRequest(Request):
    """A request whose body is read up to a limit, whatever its Content-Length says."""

    def __init__(self, scope: Scope, receive: Receive, limit: int = MAX_BODY_BYTES) -> None:
        super().__init__(scope, receive)
        self._limit = limit

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            chunks, size = [], 0
            async for chunk in self.stream():
                size += len(chunk)
                if size > self._limit:
                    raise BodyError(
                        413, "Body too large", f"The body is larger than {self._limit // 1024} KiB: send less."
                    )
                chunks.append(chunk)
            self._body = b"".join(chunks)
        return self._body


async def check_body(request: BoundedRequest) -> None:
    """Refuse a body that is too large, compressed, or not said to be JSON."""
    if request.method not in ("POST", "PATCH", "PUT", "DELETE") or not await request.body():
        return
    media_type = plain_media_type(request)
    if media_type != "application/json" and not media_type.endswith("+json"):
        raise BodyError(415, "Not JSON", f"The body is {media_type or 'unnamed'}: send Content-Type: application/json.")


def plain_media_type(request: Request) -> str:
    """What the body is said to be; compressed ones are refused."""
    if request.headers.get("content-encoding", "identity") != "identity":
        raise BodyError(415, "Compressed body", "Send the body without Content-Encoding.")
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()
