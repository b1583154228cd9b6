"""The demo's own `onejob serve`: the released command with the demo's settings, a data directory that goes away."""

import os
import sys
from contextlib import suppress
from pathlib import Path

from onejob.demo.processes import Child, Processes, free_ports, wait_until_healthy

START_TIMEOUT_S = 60.0
NICENESS = 5
_SETTINGS = {
    "ONEJOB_BIN_WIDTH_S": "1",
    "ONEJOB_TICK_S": "1",
    "ONEJOB_WATERMARK_S": "3",
    "ONEJOB_FLUSH_INTERVAL_S": "0.5",
    "ONEJOB_ROLLOUT_MODE": "act",
}


class Server:
    def __init__(self, folder: Path, processes: Processes) -> None:
        self._folder = folder
        self._processes = processes
        # Never the usual ports: another onejob, or another demo, may be about to take them.
        self._web_port, self._grpc_port, self._http_port = free_ports(3)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._web_port}"

    @property
    def telemetry(self) -> str:
        return f"http://127.0.0.1:{self._grpc_port}"

    def start(self) -> Child:
        command = [sys.executable, "-c", "from onejob.cli import main; main()", "serve"]
        settings = _SETTINGS | {
            "ONEJOB_DATA_DIR": str(self._folder / "onejob"),
            "ONEJOB_WEB_PORT": str(self._web_port),
            "ONEJOB_OTLP_GRPC_PORT": str(self._grpc_port),
            "ONEJOB_OTLP_HTTP_PORT": str(self._http_port),
        }
        child = self._processes.start("onejob", command, settings)
        _be_nice(child.pid)
        return child

    def wait_until_ready(self, child: Child) -> None:
        wait_until_healthy(child, f"{self.url}/readyz", START_TIMEOUT_S)


def _be_nice(pid: int) -> None:
    """In production the judge has a machine of its own; here it must not slow down the shop it judges.

    Where Linux groups processes by session ("autogroup"), the niceness of a process counts within its session only.
    """
    os.setpriority(os.PRIO_PROCESS, pid, NICENESS)
    with suppress(OSError):
        Path(f"/proc/{pid}/autogroup").write_text(str(NICENESS))
