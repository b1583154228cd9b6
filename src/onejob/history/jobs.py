"""Replays of history in the background: one at a time, in a process of their own, and none outlives the server."""

import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from multiprocessing.connection import Connection
from typing import Any

import pyarrow as pa
from pydantic import SecretStr

from onejob.config import Settings
from onejob.history.errors import HistoryBusyError
from onejob.store import lanes
from onejob.store.engine import Reader
from onejob.store.errors import EngineUnavailable, StoreError

log = logging.getLogger(__name__)

_KEPT = 50  # jobs whose end is remembered
_STOP_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A replay: `state` is running, done or failed; `done` of `of` services or placebos, now at `what`."""

    id: str
    kind: str
    started_at: datetime
    state: str = "running"
    done: int = 0
    of: int = 0
    what: str = ""
    judged: int = 0
    error: str = ""


class Jobs:
    """Thread-safe."""

    def __init__(self, engine: Reader, settings: Settings, state_url: str) -> None:
        self._engine = engine
        self._settings = settings
        self._state_url = state_url
        self._lock = threading.Lock()
        self._jobs: dict[str, Job] = {}
        self._running: subprocess.Popen[bytes] | None = None
        self._thread: threading.Thread | None = None
        self._stopped = False

    def get(self, job_id: str) -> Job | None:
        """What is known of a job since the server was started."""
        with self._lock:
            return self._jobs.get(job_id)

    def latest(self) -> Job | None:
        """The one that was started last."""
        with self._lock:
            return next(reversed(self._jobs.values()), None)

    def running(self) -> Job | None:
        """The one that is at work."""
        with self._lock:
            return next((job for job in self._jobs.values() if job.state == "running"), None)

    def start(self, job: Job, request: Mapping[str, Any], keep: Callable[[bytes], None]) -> Job:
        """Begin; `keep` stores the result. HistoryBusyError while another one runs."""
        with self._lock:
            busy = next((other for other in self._jobs.values() if other.state == "running"), None)
            if busy is not None or self._stopped:
                raise HistoryBusyError("Another replay of history is at work: try again when it has ended.")
            self._jobs[job.id] = job
            for old in list(self._jobs)[:-_KEPT]:
                del self._jobs[old]
            arguments = (job.id, {**request, "id": job.id, "kind": job.kind}, keep)
            self._thread = threading.Thread(target=self._run, args=arguments, name="history", daemon=True)
            self._thread.start()
        return job

    def wait(self, timeout_s: float | None = None) -> None:
        """Until the running one has ended."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)

    def stop(self) -> None:
        """End the running one; start none any more."""
        with self._lock:
            self._stopped = True
            process = self._running
        if process is not None:
            process.kill()
        self.wait(_STOP_S)

    def _run(self, job_id: str, request: Mapping[str, Any], keep: Callable[[bytes], None]) -> None:
        try:
            keep(self._result(job_id, request))
        except Exception as error:
            if not self._stopped:
                log.warning("a replay of history ended early: %s", error)
            self._change(job_id, state="failed", error=str(error) or type(error).__name__)
        else:
            self._change(job_id, state="done")

    def _result(self, job_id: str, request: Mapping[str, Any]) -> bytes:
        ours, theirs = socket.socketpair()
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-m", "onejob.history.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=_environment(),
            )
        lane = Connection(ours.detach())
        with self._lock:
            self._running = process
        try:
            if self._stopped:
                process.kill()
            lanes.send(lane, {**request, "settings": _plain(self._settings), "state_url": self._state_url})
            return self._serve(lane, job_id)
        except (EOFError, OSError) as error:
            raise StoreError(f"The process of the replay ended with code {process.wait()}; see the log.") from error
        finally:
            lane.close()
            process.kill()
            process.wait()
            self._running = None

    def _serve(self, lane: Connection, job_id: str) -> bytes:
        while True:
            head, body = lanes.receive(lane)
            match head.pop("say"):
                case "query":
                    self._answer(lane, head)
                case "progress":
                    self._change(job_id, **head)
                case "error":
                    raise StoreError(head["error"])
                case _:
                    return body

    def _answer(self, lane: Connection, head: lanes.Head) -> None:
        try:
            table = self._engine.query(head["sql"], head["params"], timeout_s=head["timeout_s"])
        except StoreError as error:
            lanes.send(lane, {"error": str(error), "may_pass": isinstance(error, EngineUnavailable)})
            return
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        lanes.send(lane, {}, sink.getvalue().to_pybytes())

    def _change(self, job_id: str, **changes: Any) -> None:
        with self._lock:
            if job_id in self._jobs:
                self._jobs[job_id] = replace(self._jobs[job_id], **changes)


def _plain(settings: Settings) -> dict[str, Any]:
    """The settings as JSON, without the secrets: the worker gets the state's address apart, and no store's."""
    secrets = {name for name, value in settings if isinstance(value, SecretStr)}
    return settings.model_dump(mode="json", exclude=secrets)


def _environment() -> dict[str, str]:
    """Nothing of ours but what Python needs; one thread is enough for arithmetic in the background."""
    names = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return kept | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
