"""HTTP connections that say nothing must not use up the open files that everybody else needs.

Uvicorn closes a connection that is idle after an answer, and no other: one whose head never ends stays for good.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Any

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_WITHIN_S = 20.0
MOST_FILES = 65_536  # that a process asks for, or counts on where the system allows as many as it likes
_SHARE = 4  # of the open files, which the other ports, the engine and the spools need too
_QUIET = (h11.IDLE, h11.DONE)


def server_config(app: ASGIApp, *, grace_s: int, **more: Any) -> uvicorn.Config:
    """Of a server in a thread of this process: it says nothing by itself, and bounds its connections."""
    return uvicorn.Config(
        app,
        http=bounded_http(),
        ws="none",
        loop="asyncio",
        log_config=None,
        access_log=False,
        lifespan="off",
        timeout_graceful_shutdown=grace_s,
        **more,
    )


def bounded_http(head_within_s: float = HEAD_WITHIN_S, most: int | None = None) -> type[H11Protocol]:
    """For `uvicorn.Config(http=...)` of one server.

    A connection without a whole head, or with a body that goes on after the answer, is closed after `head_within_s`.
    Beyond `most` connections, by default a quarter of the open files that the process may have, the one that has
    waited for its client the longest is closed for the new one; or the new one, where all are being answered.
    """
    limit = most_connections() if most is None else most
    quiet: dict[BoundedConnection, None] = {}

    class Bounded(BoundedConnection):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.most, self.head_within_s, self.quiet = limit, head_within_s, quiet

    return Bounded


class BoundedConnection(H11Protocol):
    """`quiet` are those of the server whose clients it waits for, the longest first."""

    most: int
    head_within_s: float
    quiet: dict[BoundedConnection, None]
    _head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self.most:
            next(iter(self.quiet), self).drop()
        self._look()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._look()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._look()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget()
        super().connection_lost(exc)

    def drop(self) -> None:
        """At once, whatever is not yet sent."""
        self._forget()
        self.connections.discard(self)
        self.transport.abort()

    def _look(self) -> None:
        if self.transport.is_closing() or self.conn.our_state not in _QUIET:
            self._forget()
            return
        self.quiet.setdefault(self)
        if self._head_timer is None and self.timeout_keep_alive_task is None:
            self._head_timer = self.loop.call_later(self.head_within_s, self.drop)

    def _forget(self) -> None:
        self.quiet.pop(self, None)
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None


def most_connections() -> int:
    """That a port may have at a time."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (MOST_FILES if soft == resource.RLIM_INFINITY else soft) // _SHARE
