"""The intake and its engine as a process of their own, for tests that kill it: `server_process.py SETTINGS_JSON`."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any


class ServerProcess:
    """Ready when made; asks it questions over pipes. `log` is where its messages are added."""

    def __init__(self, *prefix: str, log: Path | None = None, **settings: Any) -> None:
        command = [*prefix, sys.executable, __file__, json.dumps(settings)]
        with ExitStack() as stack:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stack.enter_context(log.open("ab")) if log else None,
                text=True,
            )
        self._lock = threading.Lock()
        assert self._process.stdout
        ready = self._process.stdout.readline()
        assert ready, f"the server did not start: exit code {self._process.wait()}"
        self.grpc_port, self.http_port, self.pid = json.loads(ready)

    def ask(self, question: str | int) -> Any:
        """`engine_pid`, `spooled`, `dead_letters`, a number of seconds to set its clock by, or a SELECT."""
        assert self._process.stdin
        assert self._process.stdout
        with self._lock:
            print(json.dumps(question), file=self._process.stdin, flush=True)
            return json.loads(self._process.stdout.readline())

    def kill(self) -> None:
        os.kill(self.pid, 9)
        self._process.wait()

    def stop(self) -> int:
        assert self._process.stdin
        self._process.stdin.close()
        return self._process.wait(60)


def main() -> None:
    from onejob.config import Settings
    from onejob.ingest.service import Intake
    from onejob.store.engine import open_engine

    fields = json.loads(sys.argv[1])
    settings = Settings(**(fields | {"data_dir": Path(fields["data_dir"])}))
    engine = open_engine(settings)
    intake = Intake(settings, engine)
    intake.start()
    print(json.dumps([intake.grpc_port, intake.http_port, os.getpid()]), flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        if question == "engine_pid":
            answer: Any = engine.pid  # type: ignore[attr-defined]
        elif question == "spooled":
            answer = intake.stats().spooled_requests
        elif question == "dead_letters":
            answer = intake.stats().dead_letters
        elif isinstance(question, int):
            answer = _set_clock(question)
        else:
            answer = engine.query(question).to_pylist()
        print(json.dumps(answer, default=str), flush=True)
    intake.stop()
    engine.close()


def _set_clock(seconds: int, clock: Callable[[], float] = time.time) -> int:
    """So far from what it was when this process began. The engine's stays."""
    time.time = lambda: clock() + seconds
    return seconds


if __name__ == "__main__":
    main()
