"""Three ways in which a process breaks without a bug in any handler, for versions that must never get through.

They begin with the first customer: a version that broke during its warm-up would never be shipped.
"""

import asyncio
import os
import random
import time

from starlette.types import ASGIApp, Receive, Scope, Send

from onejob.demo.shop.telemetry import WARM_UP_USER_AGENT
from onejob.demo.shop.variant import Breakdown

EXIT_SHARE = 0.2
FOREVER_S = 3600.0


class BreaksDown:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, how: Breakdown) -> None:
        self._app = app
        self._how = how

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _is_from_a_customer(scope):
            await self._break()
        await self._app(scope, receive, send)

    async def _break(self) -> None:
        if self._how == "exits" and random.random() < EXIT_SHARE:
            os._exit(1)
        if self._how == "silent":
            await asyncio.sleep(FOREVER_S)
        if self._how == "hangs":
            time.sleep(FOREVER_S)  # blocking the whole process is the point


def _is_from_a_customer(scope: Scope) -> bool:
    if scope["path"] == "/healthz":
        return False
    return (b"user-agent", WARM_UP_USER_AGENT.encode()) not in scope["headers"]
