"""Nothing outlives the demo, however it ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from onejob.demo.errors import DemoError
from onejob.demo.keeper import Keeper
from onejob.demo.processes import Processes, free_ports, wait_until_healthy

DEMO = """
import sys, time
from pathlib import Path
from onejob.demo.keeper import Keeper
from onejob.demo.processes import Processes
folder = Path(sys.argv[1])
(folder / "logs").mkdir(parents=True)
keeper = Keeper(folder)
child = Processes(folder / "logs", keeper).start("sleeper", ["sleep", "600"])
if sys.argv[2] == "keep":
    keeper.keep()
print(child.pid, keeper.pid, flush=True)
if sys.argv[2] != "keep":
    time.sleep(600)
"""

DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
print("deaf", flush=True)
time.sleep(99)
"""


def start_demo(folder: Path, how: str) -> tuple[subprocess.Popen[str], int, int]:
    demo = subprocess.Popen([sys.executable, "-c", DEMO, str(folder), how], stdout=subprocess.PIPE, text=True)
    assert demo.stdout is not None
    child, keeper = map(int, demo.stdout.readline().split())
    return demo, child, keeper


def wait_until_gone(pid: int, folder: Path, timeout_s: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if not is_running(pid) and not folder.exists():
            return
        time.sleep(0.05)
    pytest.fail(f"process {pid} running: {is_running(pid)}, folder there: {folder.exists()}")


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_demo_leaves_neither_processes_nor_files(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "demo"
    demo, child, _ = start_demo(folder, "run")
    demo.send_signal(number)
    demo.wait()
    wait_until_gone(child, folder)


def test_what_is_kept_goes_on_until_the_keeper_is_told_to_stop(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    demo, child, keeper = start_demo(folder, "keep")
    demo.wait()
    time.sleep(0.5)
    assert is_running(child)
    os.kill(keeper, signal.SIGTERM)
    wait_until_gone(child, folder)


def test_a_process_that_will_not_end_is_killed(tmp_path: Path) -> None:
    processes = Processes(tmp_path, Keeper(tmp_path / "unused"))
    child = processes.start("deaf", [sys.executable, "-c", DEAF])
    while "deaf" not in child.last_words():
        time.sleep(0.05)
    processes.stop(child)
    assert not child.is_alive()


def test_a_child_that_died_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    processes = Processes(tmp_path, Keeper(tmp_path / "unused"))
    child = processes.start("unlucky", [sys.executable, "-c", "raise SystemExit('no more disk')"])
    child.wait()
    with pytest.raises(DemoError, match=r"(?s)unlucky ended with exit code 1.*no more disk"):
        processes.require_all_alive()


def test_a_process_that_never_gets_ready_is_an_error(tmp_path: Path) -> None:
    processes = Processes(tmp_path, Keeper(tmp_path / "unused"))
    child = processes.start("slow", ["sleep", "60"])
    with pytest.raises(DemoError, match="slow did not get ready"):
        wait_until_healthy(child, f"http://127.0.0.1:{free_ports(1)[0]}/healthz", timeout_s=0.3)
    processes.stop_all()


def test_settings_meant_for_another_onejob_do_not_reach_the_demos(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONEJOB_STORE_URL", "http://elsewhere")
    monkeypatch.setenv("HTTPS_PROXY", "http://elsewhere")
    processes = Processes(tmp_path, Keeper(tmp_path / "unused"))
    child = processes.start("env", ["env"], {"ONEJOB_TICK_S": "1"})
    child.wait()
    assert "elsewhere" not in child.last_words(200)
    assert "ONEJOB_TICK_S=1" in child.last_words(200)
