"""The intake and its engine as a process of their own, or the whole server, for tests that kill it.

server_process.py SETTINGS_JSON intake|server [PROJECT...]
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

_READY = "ready "
_START_S = 60.0
_TRAVELS: list[Any] = []


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
    `default`; `tokens` has those that it made for them. `whole`: with judge, pages and facts, as `onejob serve` is.
    """

    def __init__(
        self,
        *prefix: str,
        log: Path | None = None,
        projects: tuple[str, ...] = (),
        whole: bool = False,
        **settings: Any,
    ) -> None:
        what = "server" if whole else "intake"
        command = [*prefix, sys.executable, __file__, json.dumps(settings), what, *projects]
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
        ready = next((line for line in self._process.stdout if line.startswith(_READY)), "")
        assert ready, f"the server did not start: exit code {self._process.wait()}"
        self.grpc_port, self.http_port, self.pid, self.tokens = json.loads(ready.removeprefix(_READY))

    def ask(self, question: str | int, project: str = "default") -> Any:
        """`engine_pid`, `spooled`, `dead_letters`, how many seconds its clock is to be wrong, or a SELECT."""
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

    fields = json.loads(sys.argv[1])
    settings = Settings(**(fields | {"data_dir": Path(fields["data_dir"])}))
    with ExitStack() as stack:
        start = _whole_server if sys.argv[2] == "server" else _intake
        projects, tokens = start(settings, sys.argv[3:], stack)
        intake = projects["default"][1]
        print(_READY + json.dumps([intake.grpc_port, intake.http_port, os.getpid(), tokens]), flush=True)
        for line in sys.stdin:
            project, question = json.loads(line)
            print(json.dumps(_answer(question, *projects[project]), default=str), flush=True)


Started = tuple[dict[str, tuple[Any, Any]], dict[str, str]]


def _intake(settings: Any, names: list[str], stack: ExitStack) -> Started:
    from onejob.ingest.service import Intake
    from onejob.store.databases import open_database
    from onejob.store.engine import open_engine

    engine = open_engine(settings)
    stack.callback(engine.close)
    intake = Intake(settings, engine, TokensOfProjects())
    stack.callback(intake.stop)
    projects: dict[str, tuple[Any, Any]] = {"default": (engine, intake)}
    for name in names:
        its = settings.model_copy(update={"data_dir": settings.data_dir / "projects" / name})
        database = open_database(engine, its, name)
        projects[name] = (database, intake.open(name, its, database))
    intake.start()
    return projects, {name: f"onejob_{name}" for name in names}


def _whole_server(settings: Any, names: list[str], stack: ExitStack) -> Started:
    """As `onejob serve` starts it. Projects are made, and told their tokens, when it does so first."""
    from onejob.access.token_book import Wanted
    from onejob.app import run
    from onejob.model.access import LOCAL, TokenKind
    from onejob.model.project import Project
    from onejob.state.errors import StateError

    services, tokens = run(settings, stack), {}
    access, keeper = services.access, services.projects
    assert keeper
    for name in set(names) - {project.name for project in access.projects.all()}:
        access.projects.add(Project(name=name, created_at=services.clock()))
        wanted = Wanted(name="chaos", kind=TokenKind.INGEST, lasts=timedelta(days=1), project=name)
        tokens[name] = access.book.make(wanted, LOCAL)[1]
    access.ingest.refresh()
    until = time.monotonic() + _START_S
    while set(names) - set(keeper.running()):
        assert time.monotonic() < until, f"they do not run: {keeper.troubles()}"
        with suppress(StateError):
            keeper.look()
        time.sleep(0.2)
    found = {name: (its.engine, its.intake) for name, its in services.with_projects().items()}
    return found, tokens


def _answer(question: str | int, engine: Any, intake: Any) -> Any:
    if question == "engine_pid":
        return engine.pid
    if question == "spooled":
        return intake.stats().spooled_requests
    if question == "dead_letters":
        return intake.stats().dead_letters
    if isinstance(question, int):
        return _set_clock(question)
    return engine.query(question).to_pylist()


def _set_clock(seconds: int) -> int:
    """So far from what it is: the clock of the machine as this process reads it, but not how time passes."""
    import time_machine

    while _TRAVELS:
        _TRAVELS.pop().stop()
    _TRAVELS.append(time_machine.travel(datetime.now(UTC) + timedelta(seconds=seconds), tick=True))
    _TRAVELS[0].start()
    return seconds


if __name__ == "__main__":
    main()
