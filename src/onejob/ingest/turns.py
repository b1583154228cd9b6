"""Turns that projects take at what they share, so that a flood of one keeps no other waiting for more than one piece of
its work.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

_LOOK_EVERY_S = 0.1
Result = TypeVar("Result")


class Turns:
    """So many at once, first come, first served. Who has had a turn comes last again."""

    def __init__(self, at_once: int) -> None:
        self._free = at_once
        self._waiting: deque[threading.Event] = deque()
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, give_up: threading.Event) -> Iterator[bool]:
        """False if `give_up` was set before it came."""
        is_ours = self._take(give_up)
        try:
            yield is_ours
        finally:
            if is_ours:
                self._give()

    def _take(self, give_up: threading.Event) -> bool:
        with self._lock:
            if self._free:
                self._free -= 1
                return True
            mine = threading.Event()
            self._waiting.append(mine)
        while not mine.wait(_LOOK_EVERY_S):
            if give_up.is_set() and self._leave(mine):
                return False
        return True

    def _leave(self, mine: threading.Event) -> bool:
        """False where it just came."""
        with self._lock:
            if mine.is_set():
                return False
            self._waiting.remove(mine)
            return True

    def _give(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1


class SharedThreads:
    """A few threads: of what waits for one, each project's comes in turn, and in the order in which it came."""

    def __init__(self, count: int, name: str) -> None:
        self._threads = ThreadPoolExecutor(count, thread_name_prefix=name)
        self._waiting: dict[Hashable, deque[tuple[Callable[[], Any], Future[Any]]]] = {}
        self._lock = threading.Lock()

    def run(self, whose: Hashable, work: Callable[[], Result]) -> Future[Result]:
        done: Future[Result] = Future()
        with self._lock:
            self._waiting.setdefault(whose, deque()).append((work, done))
        self._threads.submit(self._next)
        return done

    def close(self) -> None:
        """Once all is done."""
        self._threads.shutdown()

    def _next(self) -> None:
        with self._lock:
            whose = next(iter(self._waiting))
            waiting = self._waiting.pop(whose)
            work, done = waiting.popleft()
            if waiting:
                self._waiting[whose] = waiting  # behind the others
        if done.set_running_or_notify_cancel():
            try:
                done.set_result(work())
            except BaseException as error:
                done.set_exception(error)
