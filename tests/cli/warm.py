"""The command in processes of their own, without importing everything anew in each: `python warm.py SOCKET_FD`.

Starting Python and importing an HTTP client and tables takes half a second, which a pipeline does once and these tests
a hundred times. So one process imports them, and makes a copy of itself for each command: with arguments, environment,
output and exit code of its own. That a cold start finds its imports is tested with cold starts.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

_MOST_BYTES = 2**20


class WarmCommand:
    """Started when made; runs one command at a time."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()], start_new_session=True
            )

    def run(
        self, arguments: list[str], environment: Mapping[str, str], folder: Path, timeout: float
    ) -> "subprocess.CompletedProcess[str]":
        """As `subprocess.run` would."""
        outputs = [folder / "stdout", folder / "stderr"]
        request = {"arguments": arguments, "environment": dict(environment), "outputs": list(map(str, outputs))}
        self._ours.send(json.dumps(request).encode())
        self._ours.settimeout(timeout)
        code = int(self._ours.recv(_MOST_BYTES))
        return subprocess.CompletedProcess(arguments, code, *(path.read_text() for path in outputs))

    def stop(self) -> None:
        """With a command that hangs, if there is one."""
        self._ours.close()
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def main() -> None:
    import httpx  # noqa: F401
    from rich import box, console, live, table, text  # noqa: F401

    from onejob.cli.main import main as command

    requests = socket.socket(fileno=int(sys.argv[1]))
    while request := requests.recv(_MOST_BYTES):
        child = os.fork()
        if child == 0:
            requests.close()
            _become(**json.loads(request))
            command()
            return
        _, status = os.waitpid(child, 0)
        requests.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(arguments: list[str], environment: dict[str, str], outputs: list[str]) -> None:
    sys.argv = ["onejob", *arguments]
    os.environ.clear()
    os.environ.update(environment)
    for number, path in zip((1, 2), outputs, strict=True):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)


if __name__ == "__main__":
    main()
