"""Keeps the engine's process alive: notices that it died or went silent, and starts it again.

A caller whose lane breaks gets `EngineUnavailable`; so does everybody until the next process is ready. A process that
does not answer in time is killed: the spool and the deduplication token make that safe.
"""

from __future__ import annotations

import contextlib
import logging
import re
import subprocess
import threading
from pathlib import Path

from onejob.store import lanes
from onejob.store.chdb_life import START_TIMEOUT_S, Life
from onejob.store.errors import EngineOutOfRoom, EngineUnavailable, QueryFailed, StoreError
from onejob.store.redaction import Plan

log = logging.getLogger(__name__)

LANE_WAIT_S = 30.0
# Codes of the engine's ErrorCodes.cpp. Out of time or memory for now, which a large statement can be the cause of;
# and out of disk, threads or turns, which none is.
_PASSING = {"159", "241", "394"}
# Out of the memory that one statement may take, which does not depend on others: it would not be answered later either.
_TOO_MUCH = re.compile(r"query memory limit|memory limit \(for query\)", re.IGNORECASE)
_NO_ROOM = {"202", "243", "252", "439"}
_DISK_FULL = "243"
# What a write, a sync, or the making of a file fails with when the room ends under way.
_FAILED_WRITE, _ENDED_UNDER_WAY = {"75", "76", "84", "413", "1001"}, "errno: 28"


class ChdbProcess:
    """Thread-safe. `path` is a directory or `:memory:`; `redaction` is what is hidden before it is stored."""

    def __init__(self, path: str, work_dir: Path, redaction: Plan) -> None:
        work_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._path = path
        self._work_dir = work_dir
        self._redaction = redaction
        self._closing = threading.Event()
        self._life: Life | None = self._start()
        self._keeper = threading.Thread(target=self._keep_alive, name="engine-keeper", daemon=True)
        self._keeper.start()

    @property
    def pid(self) -> int | None:
        life = self._life
        return life.popen.pid if life else None

    def is_up(self) -> bool:
        life = self._life
        return life is not None and not life.is_silent

    def ask(self, head: lanes.Head, body: bytes = b"", *, timeout_s: float, is_hurried: bool = False) -> bytes:
        """The body of the engine's answer. A hurried one is not waited for once the engine has gone silent."""
        life = self._life
        if life is None or self._closing.is_set():
            raise EngineUnavailable("The embedded engine is restarting; the question can be asked again in a moment.")
        wait_s = timeout_s if is_hurried else LANE_WAIT_S
        answer, result = life.ask(head, body, timeout_s=timeout_s, wait_s=wait_s, is_hurried=is_hurried)
        if "error" in answer:
            raise engine_error(answer["error"])
        return result

    def close(self) -> None:
        if self._closing.is_set():
            return
        self._closing.set()
        life, self._life = self._life, None
        if life:
            life.stop()
        self._keeper.join(START_TIMEOUT_S)
        if life:
            life.close()

    def _start(self) -> Life:
        life = Life(self._path, self._work_dir, self._redaction)
        life.wait_ready()
        return life

    def _keep_alive(self) -> None:
        while not self._closing.is_set():
            life = self._life
            if life is None:
                self._restart()
                continue
            _watch(life)
            if self._closing.is_set():
                return
            self._life = None
            life.kill()
            life.close()
            log.error("The embedded engine ended (exit code %d); starting it again.", life.popen.returncode)

    def _restart(self) -> None:
        try:
            life = self._start()
        except StoreError as error:
            log.error("%s Next try in a second.", error)
            self._closing.wait(1.0)
            return
        self._life = life
        if self._closing.is_set():  # `close` may not have seen it
            self._life = None
            life.stop()
            life.close()
            return
        log.warning("The embedded engine is up again.")


def _watch(life: Life) -> None:
    """Returns when the process is gone, or is about to be."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            life.beat()
    with contextlib.suppress(subprocess.TimeoutExpired):
        life.popen.wait(1.0)


def engine_error(message: str) -> StoreError:
    """The engine's own words, sorted into "later" and "never"."""
    code = message.partition("Code: ")[2].partition(".")[0]
    short = message.strip()[:2000]
    if code == _DISK_FULL or (code in _FAILED_WRITE and _ENDED_UNDER_WAY in message):
        return EngineOutOfRoom(f"The engine's disk is full: free some space. {short}")
    if code in _NO_ROOM or lanes.is_schema_lost(message):
        return EngineOutOfRoom(short)
    is_passing = code in _PASSING and not _TOO_MUCH.search(message)
    return EngineUnavailable(short) if is_passing else QueryFailed(short)
