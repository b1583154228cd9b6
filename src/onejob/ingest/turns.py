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
    """So many at once, first come, first served. Who has had a turn comes last again.

    Who cannot go on lets others have their turns meanwhile (`Turn.rest`), but not with more than `resting_bytes` in the
    hands of all that do: what they hold is in memory.
    """

    def __init__(self, at_once: int, resting_bytes: int = 0) -> None:
        self._free = at_once
        self._resting_bytes = resting_bytes
        self._waiting: deque[threading.Event] = deque()
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, give_up: threading.Event) -> Iterator[Turn]:
        """It is not ours if `give_up` was set before it came."""
        turn = Turn(self, give_up)
        turn.is_ours = self._take(give_up)
        try:
            yield turn
        finally:
            if turn.is_ours:
                self._give()

    def _may_rest(self, size: int) -> bool:
        with self._lock:
            has_room = size <= self._resting_bytes
            self._resting_bytes -= size if has_room else 0
            return has_room

    def _has_rested(self, size: int) -> None:
        with self._lock:
            self._resting_bytes += size

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


class Turn:
    """One that was waited for. Its owner's thread alone uses it."""

    def __init__(self, turns: Turns, give_up: threading.Event) -> None:
        self._turns = turns
        self._give_up = give_up
        self.is_ours = False

    def rest(self, seconds: float, size: int) -> None:
        """Wait so long, with `size` bytes in hand, and then for a turn again, if others could have this one. Afterwards
        it is not ours if `give_up` was set.
        """
        turns, may_rest = self._turns, self.is_ours and self._turns._may_rest(size)
        if may_rest:
            self.is_ours = False
            turns._give()
        self._give_up.wait(seconds)
        if may_rest:
            self.is_ours = turns._take(self._give_up)
            turns._has_rested(size)


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
