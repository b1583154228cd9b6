"""One life of the embedded engine: its process, the lanes to it, and its pulse.

A process can be there and yet answer nothing: stopped by a signal, starved, or stuck. So it is asked something small
all the time, over a lane of its own. While no answer comes, whoever has a person waiting gives up at once instead of
after the longest time a query may take; the answer it is owed is thrown away when it comes.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, TypeVar

from onejob.store import lanes
from onejob.store.errors import EngineUnavailable, StoreError
from onejob.store.redaction import Plan

log = logging.getLogger(__name__)

LANES = 5
START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
GRACE_S = 15.0  # beyond the time a query may take: the engine ends it by itself, and says so
_HURRIED_GRACE_S = 0.2
_SLICE_S = 0.1
_BEAT_S = 0.25
_REST_S = 1.0
_SILENT_S = 1.5  # a statement that reads nothing takes 1 ms
_HUNG_S = 30.0
# The engine's allocator keeps what a merge or an insert freed for five seconds, and gives it back only when somebody
# asks for more, unless a thread of its own does.
_ALLOCATOR = {"JE_MALLOC_CONF": "background_thread:true"}

Lane = Connection
Free = queue.SimpleQueue[Lane]
Item = TypeVar("Item")


@dataclass(slots=True)
class _Owed:
    """A lane on which an answer is still to come, that nobody waits for any more."""

    lane: Lane
    free: Free
    until: float

    def close(self) -> None:
        self.lane.close()


class Life:
    """`beat` is for one thread, everything else for any."""

    def __init__(self, path: str, work_dir: Path, redaction: Plan) -> None:
        pairs = [socket.socketpair() for _ in range(LANES + 1)]
        self._log_file = work_dir / "engine.log"
        self.popen = _spawn(path, work_dir, self._log_file, [theirs.fileno() for _, theirs in pairs])
        ours = []
        for mine, theirs in pairs:
            theirs.close()
            ours.append(Lane(mine.detach()))
        self._control, writer, *readers = ours
        self._redaction = redaction
        self._control_lock = threading.Lock()  # "are you there" and "stop" come from two threads
        self._readers: Free = queue.SimpleQueue()
        self._writers: Free = queue.SimpleQueue()
        self._owed: queue.SimpleQueue[_Owed] = queue.SimpleQueue()
        self._over_lock = threading.Lock()
        self._is_over = False
        self._writers.put(writer)  # queries, however many and slow, never keep spans waiting
        for lane in readers:
            self._readers.put(lane)
        self._is_asked = False
        self._silent_s = 0.0

    def wait_ready(self) -> None:
        """Raises StoreError with what the process said when it does not start."""
        try:
            lanes.send(self._control, {"redaction": asdict(self._redaction)})  # not as arguments, which all may read
            if self._control.poll(START_TIMEOUT_S):
                lanes.receive(self._control)
                return
        except (EOFError, OSError):
            pass  # it ended: told below, with its own words
        self.kill()
        self.close()
        said = self._log_file.read_text(errors="replace").strip().splitlines()
        raise StoreError(f"The embedded engine did not start: {said[-1] if said else 'it said nothing'}")

    # --- questions -----------------------------------------------------------------------------------------------

    def ask(
        self, head: lanes.Head, body: bytes, *, timeout_s: float, wait_s: float, is_hurried: bool
    ) -> tuple[lanes.Head, bytes]:
        """The engine's answer. `wait_s` is for a free lane, `timeout_s` for the answer. Raises EngineUnavailable."""
        free = self._writers if head["do"] in ("insert", "parse", "load") else self._readers
        lane = self._take(free, wait_s, is_hurried=is_hurried)
        patience = timeout_s + (_HURRIED_GRACE_S if is_hurried else GRACE_S)
        try:
            lanes.send(lane, head, body)
            if not self._comes(lane, patience, is_hurried=is_hurried):
                if is_hurried:
                    self._give_back(_Owed(lane, free, time.monotonic() + timeout_s + GRACE_S), self._owed)
                    raise EngineUnavailable("The embedded engine does not answer now; try again in a moment.")
                log.error("The embedded engine did not answer in %.0f s: it is restarted.", patience)
                self.popen.kill()
            answer = lanes.receive(lane)
        except (EOFError, OSError, ValueError) as error:
            lane.close()
            raise EngineUnavailable("The embedded engine stopped during this query; it is being restarted.") from error
        self._give_back(lane, free)
        return answer

    def _give_back(self, lane: Lane | _Owed, where: queue.SimpleQueue[Any]) -> None:
        with self._over_lock:
            if self._is_over:
                lane.close()
            else:
                where.put(lane)

    def _take(self, free: Free, wait_s: float, *, is_hurried: bool) -> Lane:
        deadline = time.monotonic() + wait_s
        while True:
            if self._is_over or (is_hurried and self.is_silent):
                raise EngineUnavailable("The embedded engine does not answer now; try again in a moment.")
            try:
                return free.get(timeout=max(0.0, min(_SLICE_S, deadline - time.monotonic())))
            except queue.Empty:
                if time.monotonic() >= deadline:
                    raise EngineUnavailable(
                        "The embedded engine is busy with other queries; try again in a moment."
                    ) from None

    def _comes(self, lane: Lane, patience_s: float, *, is_hurried: bool) -> bool:
        if not is_hurried:
            return lane.poll(patience_s)
        deadline = time.monotonic() + patience_s
        while not lane.poll(_SLICE_S):
            if self.is_silent or time.monotonic() >= deadline:
                return False
        return True

    # --- the pulse -----------------------------------------------------------------------------------------------

    @property
    def is_silent(self) -> bool:
        return self._silent_s >= _SILENT_S

    def beat(self) -> None:
        """Look after the process for about a second. Raises EOFError or OSError when it is gone."""
        if not self._is_asked:
            self._tell(lanes.ARE_YOU_THERE)
            self._is_asked = True
        if self._control.poll(_BEAT_S):
            lanes.receive(self._control)
            self._is_asked, self._silent_s = False, 0.0
            self._settle()
            if self._control.poll(_REST_S):  # nothing was asked: it ended
                lanes.receive(self._control)
            return
        # What was waited, not what a clock says: while this machine or this server slept, nobody was silent.
        self._silent_s += _BEAT_S
        if self._silent_s >= _HUNG_S:
            log.error("The embedded engine has not answered for %.0f s: it is restarted.", _HUNG_S)
            self.popen.kill()

    def _settle(self) -> None:
        """Lanes whose late answers have come are free again; one that never gets its answer ends this life."""
        for _ in range(self._owed.qsize()):
            owed = self._owed.get()
            if owed.lane.poll():
                lanes.receive(owed.lane)
                self._give_back(owed.lane, owed.free)
            elif time.monotonic() < owed.until:
                self._give_back(owed, self._owed)
            else:
                log.error("The embedded engine does not end a query that it should have: it is restarted.")
                self.popen.kill()

    # --- its end -------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """In order: no new statements, running ones end, then the process."""
        if self.is_silent:
            self.kill()
            return
        with contextlib.suppress(OSError):
            self._tell(lanes.STOP)
        self._close_lanes()
        try:
            self.popen.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()
        self._close_lanes()

    def close(self) -> None:
        """The last of it; not while another thread may `beat`."""
        self._close_lanes()
        self._control.close()

    def _tell(self, message: bytes) -> None:
        with self._control_lock:
            self._control.send_bytes(message)

    def _close_lanes(self) -> None:
        """Those that nobody uses. Who waits on one closes it: a descriptor closed under a waiting thread may be
        another's by the time it looks again, and that other one may stay silent for ever.
        """
        with self._over_lock:
            self._is_over = True
            unused: list[Lane | _Owed] = [*_drained(self._writers), *_drained(self._readers), *_drained(self._owed)]
            for lane in unused:
                lane.close()


def _drained(waiting: queue.SimpleQueue[Item]) -> Iterator[Item]:
    with contextlib.suppress(queue.Empty):
        while True:
            yield waiting.get_nowait()


def _spawn(path: str, work_dir: Path, log_file: Path, fds: list[int]) -> subprocess.Popen[bytes]:
    with log_file.open("wb") as errors:
        return subprocess.Popen(
            [sys.executable, "-m", "onejob.store.chdb_child", path, *(str(fd) for fd in fds)],
            cwd=work_dir,  # the engine leaves files in its working directory
            pass_fds=fds,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,  # Ctrl-C is for the server, which stops the engine in order
            env=_environment(work_dir),
        )


def _environment(work_dir: Path) -> dict[str, str]:
    """Without proxies and tokens of ours; HOME keeps the engine from reading a user's own configuration."""
    kept = {
        key: os.environ[key]
        for key in ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV", "TMPDIR")
        if key in os.environ
    }
    return kept | _ALLOCATOR | {"HOME": str(work_dir), "TZ": "UTC", "PYTHONDONTWRITEBYTECODE": "1"}
