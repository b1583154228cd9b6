"""News for live pages, within this process: "something about this deployment changed".

Publishers are threads (the judge, the rollout controller, the API); listeners are browsers behind asyncio. A listener
that does not keep up loses the oldest news, never the newest: news say only *that* something changed.
"""

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

_BACKLOG = 1000


@dataclass(frozen=True, slots=True)
class Event:
    """`what` is `deployment`, `verdict`, `explanation` or `rollout`."""

    deployment_id: str
    what: str


class Events:
    """Publish and subscribe; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners: set[_Listener] = set()
        self._is_closed = False

    def publish(self, deployment_id: str, what: str = "deployment") -> None:
        """Tell everyone who follows; never blocks."""
        with self._lock:
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener.put(Event(deployment_id, what))

    async def follow(self, heartbeat_s: float | None = None) -> AsyncIterator[Event | None]:
        """Events from now on, until `close`; None every `heartbeat_s` without one."""
        listener = _Listener(asyncio.get_running_loop())
        with self._lock:
            if self._is_closed:
                return
            self._listeners.add(listener)
        try:
            while not self._is_closed or listener.has_news:
                event = await listener.next(heartbeat_s)
                if event is not None or not self._is_closed:
                    yield event
        finally:
            with self._lock:
                self._listeners.discard(listener)

    def close(self) -> None:
        """End all streams, so that the server can stop."""
        with self._lock:
            self._is_closed = True
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener.wake()


class _Listener:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._news: deque[Event] = deque(maxlen=_BACKLOG)
        self._arrived = asyncio.Event()

    @property
    def has_news(self) -> bool:
        return bool(self._news)

    def put(self, event: Event) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(self._accept, event)

    def wake(self) -> None:
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._arrived.set)

    def _accept(self, event: Event) -> None:
        if event not in self._news:
            self._news.append(event)
        self._arrived.set()

    async def next(self, timeout_s: float | None) -> Event | None:
        if not self._news:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), timeout_s)
        self._arrived.clear()
        return self._news.popleft() if self._news else None
