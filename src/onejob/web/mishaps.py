"""What nobody expected is said in one sentence, with the headers that every answer has: nothing of the inside.

The framework has a last answer too, but outside of the guard, so that it would come without them. The error goes on
from here: the server's log has all of it.
"""

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from onejob.web.messages import message
from onejob.web.pages.data import PageData

_DETAIL = "Something went wrong in onejob, and its log says what. Try again; if it stays, tell who runs this server."


class Mishaps:
    """ASGI middleware, inside the guard."""

    def __init__(self, app: ASGIApp, data: PageData) -> None:
        self._app = app
        self._data = data

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_begun = False

        async def noted(told: Message) -> None:
            nonlocal has_begun
            has_begun = True
            await send(told)

        try:
            await self._app(scope, receive, noted)
        except Exception:
            if scope["type"] == "http" and not has_begun:
                answer = message(Request(scope), 500, "Unexpected error", _DETAIL, data=self._data)
                await answer(scope, receive, send)
            raise
