"""Where lines come from: files that grow, or a pipe that ends."""

import os
import select
import threading
from collections import deque
from pathlib import Path
from typing import Protocol

from onejob.tail.errors import SourceError
from onejob.tail.lines import Lines
from onejob.tail.logfile import LogFile, Mark, opened

Marks = dict[str, tuple[Mark, ...]]

_POLL_S = 0.25
_CHUNK = 64 * 2**10


class Source(Protocol):
    """Lines, and how far they were read."""

    @property
    def can_repeat(self) -> bool:
        """Can a later start read again what was not sent?"""
        ...

    @property
    def is_done(self) -> bool:
        """Is there nothing more to come, or are we to stop?"""
        ...

    def lines(self, most: int, wait_s: float) -> list[bytes]:
        """At most so many; none if none came for `wait_s`, or if we are to stop."""
        ...

    def marks(self) -> Marks: ...


class Files:
    """Names and what they name are looked at four times a second. `follows`: or is what is there all?"""

    can_repeat = True

    def __init__(self, logs: dict[str, LogFile], stop: threading.Event, *, follows: bool) -> None:
        self._logs = logs
        self._stop = stop
        self._follows = follows
        self._is_at_end = False

    @property
    def is_done(self) -> bool:
        return self._is_at_end or self._stop.is_set()

    def lines(self, most: int, wait_s: float) -> list[bytes]:
        waited_s = 0.0
        while not self._stop.is_set():
            each = max(1, most // len(self._logs))
            found = [line for log in self._logs.values() for line in log.lines(each)]
            self._is_at_end = not found and not self._follows
            if found or self._is_at_end or waited_s >= wait_s:
                return found
            self._stop.wait(_POLL_S)
            waited_s += _POLL_S
        return []

    def marks(self) -> Marks:
        return {name: log.marks() for name, log in self._logs.items()}


class Pipe:
    """Standard input. What is not taken yet stays with whoever writes it, who waits once the pipe is full."""

    can_repeat = False

    def __init__(self, descriptor: int, stop: threading.Event) -> None:
        self._descriptor = descriptor
        self._stop = stop
        self._lines = Lines()
        self._ready: deque[bytes] = deque()
        self._is_closed = False

    @property
    def is_done(self) -> bool:
        return not self._ready and (self._is_closed or self._stop.is_set())

    def lines(self, most: int, wait_s: float) -> list[bytes]:
        waited_s = 0.0
        while not self._ready and not self._is_closed and not self._stop.is_set():
            if select.select([self._descriptor], [], [], _POLL_S)[0]:
                self._read()
            elif (waited_s := waited_s + _POLL_S) >= wait_s:
                break
        return [self._ready.popleft() for _ in range(min(most, len(self._ready)))]

    def marks(self) -> Marks:
        return {}

    def _read(self) -> None:
        piece = os.read(self._descriptor, _CHUNK)
        self._is_closed = not piece
        found = self._lines.add(piece) if piece else self._lines.last()
        self._ready.extend(line for line, _ in found)


def files(
    paths: list[Path], known: Marks, stop: threading.Event, *, from_start: bool, follows: bool
) -> tuple[Files, list[str]]:
    """The files, and what is to be said about them. SourceError if one cannot be read."""
    logs, remarks = {}, []
    for path in paths:
        name = os.path.abspath(path)
        file = opened(path)
        if file is not None:
            file.close()
        elif not follows:
            raise SourceError(f"There is no file {path}.")
        else:
            remarks.append(f"There is no file {path} yet: waiting for it.")
        logs[name] = LogFile(Path(name), known.get(name), from_start=from_start or not follows)
        if logs[name].is_lost:
            remarks.append(
                f"{path} was rotated while nobody read it, and what it was cannot be found any more: some lines are "
                "lost."
            )
    return Files(logs, stop, follows=follows), remarks
