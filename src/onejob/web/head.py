"""HEAD, answered as GET without its body, at every address at once.

Monitors and proxies ask HEAD first; routes that name GET alone would refuse them. An answer that never ends, such as
the stream of news, ends where its body would begin, and so does the work of making it.
"""

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class _HeadSent(Exception):  # noqa: N818
    """All that was asked for is sent."""


class HeadAsGet:
    """ASGI middleware: the application never sees HEAD."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def head_only(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.start":
                await send({"type": "http.response.body", "body": b""})
                raise _HeadSent

        try:
            await self._app({**scope, "method": "GET"}, receive, head_only)
        except* _HeadSent:  # in a group where the answer was made in a task of its own
            pass
