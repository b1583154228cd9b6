"""The command as pipelines run it, and a server that answers as the API is documented to."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from waiting import PATIENT_S

from .warm import WarmCommand

COMMAND = (sys.executable, "-c", "from onejob.cli import main; main()")
Answer = tuple[int, Any]


@dataclass
class Replay:
    """Answers are taken in turn, the last one for good; what was asked is kept."""

    answers: dict[tuple[str, str], list[Answer]] = field(default_factory=dict)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)
    url: str = ""

    def on(self, method: str, path: str, *answers: Answer) -> None:
        self.answers[method, path] = list(answers)

    def answer(self, method: str, target: str, body: Any) -> Answer:
        self.requests.append((method, target, body))
        waiting = self.answers.get((method, target.partition("?")[0]))
        if not waiting:
            return 404, {"title": "Not found", "detail": "There is nothing here.", "status": 404}
        return waiting.pop(0) if len(waiting) > 1 else waiting[0]


@pytest.fixture
def replay() -> Iterator[Replay]:
    """A server on loopback whose answers the test sets."""
    replay = Replay()

    class Handler(BaseHTTPRequestHandler):
        def _reply(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            sent = json.loads(self.rfile.read(length)) if length else None
            status, document = replay.answer(self.command, self.path, sent)
            body = document.encode() if isinstance(document, str) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PATCH = do_DELETE = _reply  # noqa: N815 - the names are http.server's

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    replay.url = f"http://127.0.0.1:{server.server_port}"
    yield replay
    server.shutdown()
    server.server_close()


Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def warm_command() -> Iterator[WarmCommand]:
    """A process that has imported what the commands need."""
    command = WarmCommand()
    yield command
    command.stop()


@pytest.fixture
def onejob(warm_command: WarmCommand, tmp_path: Path) -> Run:
    """Run the command in a process of its own."""

    def run(
        *arguments: str, url: str | None = None, token: str | None = None, timeout: float = PATIENT_S
    ) -> "subprocess.CompletedProcess[str]":
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ONEJOB_")}
        environment |= {"ONEJOB_URL": url} if url else {}
        environment |= {"ONEJOB_TOKEN": token} if token else {}
        return warm_command.run(list(arguments), environment, tmp_path, timeout)

    return run


def a_deployment(**changes: Any) -> dict[str, Any]:
    """A deployment's document."""
    document = {
        "id": "dep_1k85ndju2r2f259u6pvq",
        "service": "checkout",
        "environment": "production",
        "version": "1.42.0",
        "previous_version": "1.41.3",
        "strategy": "canary",
        "source": "reported",
        "status": "in_progress",
        "started_at": "2026-03-01T12:00:00Z",
        "finished_at": None,
        "notes": [],
        "rollout": None,
        "verdict": a_verdict(),
    }
    return document | changes


def a_verdict(**changes: Any) -> dict[str, Any]:
    """A verdict's document."""
    document = {
        "state": "worse",
        "reason": None,
        "sentence": "checkout 1.42.0 is worse: POST /orders p95 rose 38 %.",
        "decided_at": "2026-03-01T12:01:40Z",
        "control": {"kind": "concurrent", "versions": ["1.41.3"], "instances": ["a"], "requests": 9000},
        "treatment": {"kind": "concurrent", "versions": ["1.42.0"], "instances": ["b"], "requests": 1000},
        "signals": [a_signal()],
        "left_out": [],
        "explanation": {"operations": [], "attributes": [], "calls": [], "traces": []},
    }
    return document | changes


def a_signal(**changes: Any) -> dict[str, Any]:
    """A signal's document."""
    document = {
        "operation": "POST /orders",
        "signal": "latency_p95",
        "state": "worse",
        "effect_kind": "ratio",
        "control": 0.12,
        "treatment": 0.1656,
        "effect": 1.38,
        "low": 1.27,
        "high": 1.51,
        "tolerance": 1.1,
        "missing": None,
    }
    return document | changes


def a_gate(state: str, *, reason: str | None = None, is_final: bool = False, **changes: Any) -> dict[str, Any]:
    """The gate's document."""
    verdict = {
        "state": state,
        "reason": reason,
        "sentence": f"it is {state}",
        "decided_at": None,
        "is_final": is_final,
    }
    document = {
        "deployment_id": "dep_1k85ndju2r2f259u6pvq",
        "service": "checkout",
        "environment": "production",
        "version": "1.42.0",
        "status": "in_progress",
        "verdict": verdict,
        "rollout": None,
    }
    return document | changes
