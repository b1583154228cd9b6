"""The intake and its engine as a process of their own, for tests that kill it: `server_process.py SETTINGS_JSON`."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any


class TokensOfProjects:
    """`onejob_NAME` is for the project NAME, but `onejob_revoked`; from pages of a site, for its project only."""

    def __init__(self, sites: Mapping[str, str] | None = None) -> None:
        self._sites = sites or {}

    def has_token(self, authorization: str) -> bool:
        return "onejob_" in authorization

    def admits(self, authorization: str, origin: str | None) -> str | None:
        project = authorization.removeprefix("Bearer onejob_")
        if project == "revoked" or (origin is not None and self._sites.get(origin) != project):
            return None
        return project

    def welcomes(self, origin: str) -> bool:
        return origin in self._sites


class ServerProcess:
    """Ready when made; asks it questions over pipes. `log` is where its messages are added. It has `projects` besides
    `default`.
    """

    def __init__(self, *prefix: str, log: Path | None = None, projects: tuple[str, ...] = (), **settings: Any) -> None:
        command = [*prefix, sys.executable, __file__, json.dumps(settings), *projects]
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

    def ask(self, question: str | int, project: str = "default") -> Any:
        """`engine_pid`, `spooled`, `dead_letters`, a number of seconds to set its clock by, or a SELECT."""
        assert self._process.stdin
        assert self._process.stdout
        with self._lock:
            print(json.dumps([project, question]), file=self._process.stdin, flush=True)
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
    from onejob.store.databases import open_database
    from onejob.store.engine import open_engine

    fields = json.loads(sys.argv[1])
    settings = Settings(**(fields | {"data_dir": Path(fields["data_dir"])}))
    engine = open_engine(settings)
    intake = Intake(settings, engine, TokensOfProjects())
    projects = {"default": (engine, intake)}
    for name in sys.argv[2:]:
        its = settings.model_copy(update={"data_dir": settings.data_dir / "projects" / name})
        database = open_database(engine, its, name)
        projects[name] = (database, intake.open(name, its, database))  # type: ignore[assignment]
    intake.start()
    print(json.dumps([intake.grpc_port, intake.http_port, os.getpid()]), flush=True)
    for line in sys.stdin:
        project, question = json.loads(line)
        its_engine, its_intake = projects[project]
        if question == "engine_pid":
            answer: Any = engine.pid  # type: ignore[attr-defined]
        elif question == "spooled":
            answer = its_intake.stats().spooled_requests
        elif question == "dead_letters":
            answer = its_intake.stats().dead_letters
        elif isinstance(question, int):
            answer = _set_clock(question)
        else:
            answer = its_engine.query(question).to_pylist()
        print(json.dumps(answer, default=str), flush=True)
    intake.stop()
    engine.close()


def _set_clock(seconds: int, clock: Callable[[], float] = time.time) -> int:
    """So far from what it was when this process began. The engine's stays."""
    time.time = lambda: clock() + seconds
    return seconds


if __name__ == "__main__":
    main()
