"""Nothing may outlive the demo, however it ends: also not when it is killed.

A keeper is a small process of its own session that is told over its standard input which processes and which folder
belong to the demo (`watch PID`, `forget PID`, `keep`). When that input ends without `keep` (the demo has ended, in
whatever way), the keeper stops the processes and removes the folder. After `keep` it does so on SIGTERM instead.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

# By signal: how long we wait for what it asks for.
PATIENCE_S = {signal.SIGTERM: 4.0, signal.SIGINT: 2.0}


class Keeper:
    """The demo's end of the pipe."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, "-I", __file__, str(folder)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,  # it may outlive the demo, whose output somebody may wait to end
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
            bufsize=1,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def watch(self, pid: int) -> None:
        self._tell(f"watch {pid}")

    def forget(self, pid: int) -> None:
        self._tell(f"forget {pid}")

    def keep(self) -> None:
        """From now on everything stays, until the keeper itself is told to stop."""
        self._tell("keep")
        self._close()

    def clean_up(self) -> None:
        """Stop what is still watched, remove the folder, and come back when that is done."""
        self._close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None  # noqa: S101 - it was opened as a pipe
        with suppress(BrokenPipeError):
            self._process.stdin.write(line + "\n")

    def _close(self) -> None:
        assert self._process.stdin is not None  # noqa: S101
        with suppress(BrokenPipeError):
            self._process.stdin.close()


def stop(pids: Sequence[int], is_running: Callable[[int], bool]) -> None:
    """Ask, ask again (PostgreSQL takes SIGTERM as "when all clients have left"), then kill whole process groups."""
    for number, patience_s in PATIENCE_S.items():
        for pid in reversed(pids):
            _signal(os.kill, pid, number)
        deadline = time.monotonic() + patience_s
        while any(is_running(pid) for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.02)
    for pid in pids:
        _signal(os.killpg, pid, signal.SIGKILL)


def _signal(send: Callable[[int, int], None], pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        send(pid, number)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _main(folder: Path) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watched: list[int] = []
    is_kept = _listen(watched)
    if is_kept:
        signal.sigwait({signal.SIGTERM})
    stop(watched, _is_running)
    shutil.rmtree(folder, ignore_errors=True)


def _listen(watched: list[int]) -> bool:
    """Keep the list up to date until the demo ends; say whether it asked to keep everything."""
    for line in sys.stdin:
        match line.split():
            case ["watch", pid]:
                watched.append(int(pid))
            case ["forget", pid]:
                with suppress(ValueError):
                    watched.remove(int(pid))
            case ["keep"]:
                return True
    return False


if __name__ == "__main__":
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    _main(Path(sys.argv[1]))
