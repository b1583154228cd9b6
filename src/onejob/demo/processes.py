"""Starting, watching and stopping the demo's processes; each writes to a log file of its own."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import httpx

from onejob.demo.errors import DemoError
from onejob.demo.keeper import Keeper, stop

HEALTH_TIMEOUT_S = 30.0


class Child:
    """One process in a group of its own, so that Ctrl-C reaches the demo alone and the demo decides the order."""

    def __init__(self, name: str, popen: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.log = log
        self._popen = popen

    @property
    def pid(self) -> int:
        return self._popen.pid

    def is_alive(self) -> bool:
        return self._popen.poll() is None

    def last_words(self, lines: int = 12) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def require_alive(self) -> None:
        if not self.is_alive():
            raise DemoError(
                f"{self.name} ended with exit code {self._popen.returncode}. Its last words:\n{self.last_words()}"
            )

    def wait(self) -> None:
        self._popen.wait()


class Processes:
    """All children of the demo. Every one is known to the keeper before anything can go wrong with it."""

    def __init__(self, logs: Path, keeper: Keeper) -> None:
        self._logs = logs
        self._keeper = keeper
        self._children: list[Child] = []

    def start(
        self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None, user: str | None = None
    ) -> Child:
        log = self._logs / f"{name}.log"
        with log.open("ab") as output, _startable(name):
            popen = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=_clean_environment() | dict(environment or {}),
                cwd=self._logs if user is None else "/",
                start_new_session=True,
                user=user,
            )
        child = Child(name, popen, log)
        self._keeper.watch(child.pid)
        self._children.append(child)
        return child

    def stop(self, *children: Child) -> None:
        by_pid = {child.pid: child for child in children}
        stop(list(by_pid), lambda pid: by_pid[pid].is_alive())
        for child in children:
            child.wait()
            self._keeper.forget(child.pid)
            self._children.remove(child)

    def stop_all(self) -> None:
        self.stop(*self._children)

    def require_all_alive(self, but: Sequence[Child] = ()) -> None:
        for child in self._children:
            if child not in but:
                child.require_alive()


@contextmanager
def _startable(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DemoError(f"{name} cannot be started: {error.filename} ({error.strerror}).") from error


def _clean_environment() -> dict[str, str]:
    """Ours, without settings meant for somebody else's onejob, OpenTelemetry or proxy: all of the demo is local."""
    foreign = ("ONEJOB_", "OTEL_", "SHOP_")
    proxies = ("http_proxy", "https_proxy", "all_proxy", "grpc_proxy")
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(foreign) and name.lower() not in proxies
    }


def python_module(module: str, *arguments: str) -> list[str]:
    return [sys.executable, "-m", module, *arguments]


def free_ports(count: int) -> list[int]:
    """Ports nobody listens on; all are held until all are found, so that they differ."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(closing(socket.socket())) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def wait_until_healthy(child: Child, url: str, timeout_s: float = HEALTH_TIMEOUT_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not _answers(url):
        child.require_alive()
        if time.monotonic() > deadline:
            raise DemoError(
                f"{child.name} did not get ready in {timeout_s:.0f} s. Its last words:\n{child.last_words()}"
            )
        time.sleep(0.05)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2.0, trust_env=False).is_success
    except httpx.TransportError:
        return False
