"""Keeps the engine's process alive: starts it, hands out its lanes, notices its death and starts it again.

A caller whose lane breaks gets `EngineUnavailable`; so does everybody until the next process is ready. A process that
does not answer in time is killed: the spool and the deduplication token make that safe.
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
from multiprocessing.connection import Connection
from pathlib import Path

from onejob.store import lanes
from onejob.store.errors import EngineOutOfRoom, EngineUnavailable, QueryFailed, StoreError

log = logging.getLogger(__name__)

LANES = 5
START_TIMEOUT_S = 60.0
LANE_WAIT_S = 30.0
STOP_TIMEOUT_S = 15.0
_GRACE_S = 15.0
# Codes of the engine's ErrorCodes.cpp. Out of time or memory for now, which a large statement can be the cause of;
# and out of disk, threads or turns, which none is.
_PASSING = {"159", "241", "394"}
_NO_ROOM = {"202", "243", "252", "439"}


class _Process:
    """One life of the engine."""

    def __init__(self, path: str, work_dir: Path) -> None:
        pairs = [socket.socketpair() for _ in range(LANES + 1)]
        theirs = [str(theirs.fileno()) for _, theirs in pairs]
        log_file = work_dir / "engine.log"
        with log_file.open("wb") as errors:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", "onejob.store.chdb_child", path, *theirs],
                cwd=work_dir,  # the engine leaves files in its working directory
                pass_fds=[int(fd) for fd in theirs],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,  # Ctrl-C is for the server, which stops the engine in order
                env=_environment(work_dir),
            )
        ours = []
        for mine, their in pairs:
            their.close()
            ours.append(Connection(mine.detach()))
        self.control, *lane_list = ours
        self.readers: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        self.writers: queue.SimpleQueue[Connection] = queue.SimpleQueue()
        self.writers.put(lane_list[0])  # queries, however many and slow, never keep spans waiting
        for lane in lane_list[1:]:
            self.readers.put(lane)
        self._all = ours
        self._log_file = log_file

    def wait_ready(self) -> None:
        ready = self.control.poll(START_TIMEOUT_S)
        try:
            if ready:
                lanes.receive(self.control)
                return
        except (EOFError, OSError):
            pass  # it ended: told below, with its own words
        self.kill()
        said = self._log_file.read_text(errors="replace").strip().splitlines()
        raise StoreError(f"The embedded engine did not start: {said[-1] if said else 'it said nothing'}")

    def stop(self) -> None:
        """In order: no new statements, running ones end, then the process."""
        with contextlib.suppress(OSError):
            self.control.send_bytes(b"stop")
        self._close()
        try:
            self.popen.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()
        self._close()

    def _close(self) -> None:
        for connection in self._all:
            with contextlib.suppress(OSError):
                connection.close()


def _environment(work_dir: Path) -> dict[str, str]:
    """Without proxies and tokens of ours; HOME keeps the engine from reading a user's own configuration."""
    kept = {
        key: os.environ[key]
        for key in ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV", "TMPDIR")
        if key in os.environ
    }
    return kept | {"HOME": str(work_dir), "TZ": "UTC", "PYTHONDONTWRITEBYTECODE": "1"}


class ChdbProcess:
    """Thread-safe. `path` is a directory or `:memory:`."""

    def __init__(self, path: str, work_dir: Path) -> None:
        work_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = path
        self._work_dir = work_dir
        self._closing = threading.Event()
        self._process: _Process | None = self._start()
        self._keeper = threading.Thread(target=self._keep_alive, name="engine-keeper", daemon=True)
        self._keeper.start()

    @property
    def pid(self) -> int | None:
        process = self._process
        return process.popen.pid if process else None

    def is_up(self) -> bool:
        return self._process is not None

    def ask(self, head: lanes.Head, body: bytes = b"", *, timeout_s: float) -> bytes:
        """The body of the engine's answer."""
        process = self._process
        if process is None or self._closing.is_set():
            raise EngineUnavailable("The embedded engine is restarting; the question can be asked again in a moment.")
        free = process.writers if head["do"] in ("insert", "parse") else process.readers
        try:
            lane = free.get(timeout=LANE_WAIT_S)
        except queue.Empty:
            raise EngineUnavailable("The embedded engine is busy with other queries; try again in a moment.") from None
        try:
            lanes.send(lane, head, body)
            if not lane.poll(timeout_s + _GRACE_S):
                log.error("The embedded engine did not answer in %.0f s: it is restarted.", timeout_s + _GRACE_S)
                process.popen.kill()
            answer, result = lanes.receive(lane)
        except (EOFError, OSError, ValueError) as error:
            raise EngineUnavailable("The embedded engine stopped during this query; it is being restarted.") from error
        free.put(lane)
        if "error" in answer:
            raise engine_error(answer["error"])
        return result

    def close(self) -> None:
        if self._closing.is_set():
            return
        self._closing.set()
        process, self._process = self._process, None
        if process:
            process.stop()
        self._keeper.join(START_TIMEOUT_S)

    def _start(self) -> _Process:
        process = _Process(self._path, self._work_dir)
        process.wait_ready()
        return process

    def _keep_alive(self) -> None:
        while not self._closing.is_set():
            process = self._process
            if process is None:
                self._restart()
                continue
            code = process.popen.wait()
            if self._closing.is_set():
                return
            self._process = None
            process.kill()
            log.error("The embedded engine ended unexpectedly (exit code %d); starting it again.", code)

    def _restart(self) -> None:
        try:
            process = self._start()
        except StoreError as error:
            log.error("%s Next try in a second.", error)
            self._closing.wait(1.0)
            return
        if self._closing.is_set():
            process.stop()
            return
        self._process = process
        log.warning("The embedded engine is up again.")


def engine_error(message: str) -> StoreError:
    """The engine's own words, sorted into "later" and "never"."""
    code = message.partition("Code: ")[2].partition(".")[0]
    short = message.strip()[:2000]
    if code in _NO_ROOM or lanes.SCHEMA_LOST in message:
        return EngineOutOfRoom(short)
    return EngineUnavailable(short) if code in _PASSING else QueryFailed(short)
