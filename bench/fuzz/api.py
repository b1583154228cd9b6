"""The API of a running server, asked by schemathesis for as long as there is time."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from onejob.demo.processes import free_ports

SERVE = "from onejob.cli import main; main()"
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
_EXAMPLES = 20
_BYTES_ONLY = "/api/v1/import"  # schemathesis writes no OTLP; its readers are among the targets
_START_S = 180.0


@contextmanager
def server(folder: Path) -> Iterator[str]:
    """Its address. What it says is in `folder / server.log`."""
    web, grpc, http = free_ports(3)
    environment = os.environ | {
        "ONEJOB_DATA_DIR": str(folder / "data"), "ONEJOB_WEB_PORT": str(web),
        "ONEJOB_OTLP_GRPC_PORT": str(grpc), "ONEJOB_OTLP_HTTP_PORT": str(http),
        "ONEJOB_HOOK_SECRET": secrets.token_hex(16),
    }  # fmt: skip
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-c", SERVE, "serve"], env=environment, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{web}"
    try:
        until = time.monotonic() + _START_S
        while not _answers(url):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"The server did not start: {(folder / 'server.log').read_text()[-2000:]}")
            time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(120)


def ask(seconds: float, corpus: Path) -> tuple[int, str]:
    """How many rounds there was time for; what went wrong, empty if nothing did. The report of a round that found
    something is kept.
    """
    until, rounds = time.monotonic() + seconds, 0
    with tempfile.TemporaryDirectory(prefix="onejob-fuzz-") as name, server(Path(name)) as url:
        while rounds == 0 or time.monotonic() < until:
            rounds += 1
            command = [
                str(Path(sys.executable).with_name("st")), "run", f"{url}/openapi.json", "--checks", CHECKS,
                "--exclude-path", _BYTES_ONLY,
                "--max-examples", str(_EXAMPLES), "--seed", str(rounds), "--no-color", "--request-timeout", "60",
            ]  # fmt: skip
            found = subprocess.run(command, capture_output=True, text=True, check=False, cwd=name)
            if found.returncode:
                report = corpus / f"api-{rounds}.txt"
                report.write_text(found.stdout + found.stderr)
                return rounds, f"see {report}"
    return rounds, ""


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=10) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
