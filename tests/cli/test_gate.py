"""The gate's exit codes are its contract."""

import json
import os
import pty
import signal
import socket
import subprocess
import time

import pytest

from .conftest import COMMAND, Replay, Run, a_deployment, a_gate

GATE = "/api/v1/gate"
QUICK = ("--timeout", "1s", "--interval", "0.2s")
UNKNOWN = (404, {"title": "Unknown deployment", "detail": "No deployment of checkout 1.42.0 is known.", "status": 404})


@pytest.mark.parametrize(("state", "code"), [("worse", 1), ("better", 0), ("no_worse", 0)])
def test_a_decided_verdict_ends_the_wait_at_once(onejob: Run, replay: Replay, state: str, code: int) -> None:
    replay.on("GET", GATE, (200, a_gate(state)))
    began = time.monotonic()
    result = onejob("gate", "checkout", "1.42.0", "--environment", "production", "--timeout", "1h", url=replay.url)
    assert result.returncode == code, result.stderr
    assert f"it is {state}" in result.stdout
    assert time.monotonic() - began < 30
    assert replay.requests[0][1] == f"{GATE}?service=checkout&version=1.42.0&environment=production"


@pytest.mark.parametrize(("policy", "code"), [("pass", 0), ("fail", 3)])
def test_an_undecided_one_ends_as_the_caller_said(onejob: Run, replay: Replay, policy: str, code: int) -> None:
    replay.on("GET", GATE, (200, a_gate("undecided")))
    result = onejob("gate", "checkout", "1.42.0", *QUICK, "--undecided", policy, url=replay.url)
    assert result.returncode == code
    assert len(replay.requests) >= 3


def test_undecided_fails_unless_somebody_says_otherwise(onejob: Run, replay: Replay) -> None:
    replay.on("GET", GATE, (200, a_gate("undecided")))
    assert onejob("gate", "checkout", "1.42.0", "--timeout", "0", url=replay.url).returncode == 3


@pytest.mark.parametrize(("policy", "code"), [("pass", 0), ("fail", 3)])
def test_a_deployment_that_ended_without_data_is_not_waited_for(
    onejob: Run, replay: Replay, policy: str, code: int
) -> None:
    replay.on("GET", GATE, (200, a_gate("undecided", reason="no_data", is_final=True)))
    result = onejob("gate", "checkout", "1.42.0", "--timeout", "1h", "--undecided", policy, url=replay.url, timeout=30)
    assert result.returncode == code, result.stderr
    assert len(replay.requests) == 1
    assert f"Judging has ended (no_data): --undecided {policy} makes this exit code {code}." in result.stderr


def test_it_waits_for_the_decision(onejob: Run, replay: Replay) -> None:
    replay.on("GET", GATE, UNKNOWN, (200, a_gate("undecided")), (200, a_gate("worse")))
    result = onejob("gate", "checkout", "1.42.0", "--timeout", "1m", "--interval", "0.1s", url=replay.url)
    assert result.returncode == 1
    assert "No deployment of checkout 1.42.0 is known" in result.stderr
    assert "it is undecided" in result.stderr


def test_a_deployment_nobody_knows_is_4(onejob: Run, replay: Replay) -> None:
    replay.on("GET", GATE, UNKNOWN)
    result = onejob("gate", "checkout", "1.42.0", *QUICK, "--undecided", "pass", url=replay.url)
    assert result.returncode == 4
    assert result.stderr.splitlines()[-1] == "onejob: No deployment of checkout 1.42.0 is known."


def test_a_server_that_does_not_answer_is_4(onejob: Run) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        result = onejob("gate", "checkout", "1.42.0", "--timeout", "1h", "--undecided", "pass", url=url)
    assert result.returncode == 4
    assert result.stderr.startswith(f"onejob: No onejob server answers at {url}")
    assert len(result.stderr.splitlines()) == 1


def test_a_moment_without_an_answer_does_not_end_the_wait(onejob: Run, replay: Replay) -> None:
    away = (503, {"title": "No answer", "detail": "Try again later.", "status": 503})
    replay.on("GET", GATE, (200, a_gate("undecided")), away, away, away, away, (200, a_gate("better")))
    result = onejob("gate", "checkout", "1.42.0", "--timeout", "1m", "--interval", "0.1s", url=replay.url)
    assert result.returncode == 0, result.stderr


def test_something_else_on_the_port_is_4(onejob: Run, replay: Replay) -> None:
    replay.on("GET", GATE, (200, "<html>hello</html>"))
    result = onejob("gate", "checkout", "1.42.0", "--timeout", "5s", url=replay.url)
    assert result.returncode == 4
    assert "is no onejob server" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("checkout",),
        ("checkout", "1", "--undecided", "maybe"),
        ("checkout", "1", "--timeout", "soon"),
        ("checkout", "1", "--interval", "0"),
        ("checkout", "1", "--url", "ftp://x"),
        ("checkout", "1", "--url", "http://x:port"),
        ("checkout", "1", "--no-such-option"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_2(onejob: Run, arguments: tuple[str, ...]) -> None:
    result = onejob("gate", *arguments)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr


def test_json_is_the_servers_document_with_the_exit_code(onejob: Run, replay: Replay) -> None:
    replay.on("GET", GATE, (200, a_gate("worse")))
    result = onejob("gate", "checkout", "1.42.0", "--json", url=replay.url)
    assert json.loads(result.stdout) == a_gate("worse") | {"exit_code": 1}


def test_ctrl_c_is_no_verdict(replay: Replay) -> None:
    replay.on("GET", GATE, (200, a_gate("undecided")))
    command = [*COMMAND, "gate", "checkout", "1.42.0", "--timeout", "1h", "--interval", "30s", "--url", replay.url]
    # Tests that run in the background of a shell inherit an ignored Ctrl-C; a pipeline's terminal does not.
    listening = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, preexec_fn=listening) as process:  # noqa: PLW1509
        while not replay.requests:
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "says nothing about the deployment" in stderr


def test_a_terminal_sees_the_evidence_while_it_waits(replay: Replay) -> None:
    hostile = a_gate("undecided")
    hostile["verdict"]["sentence"] = "not yet \x1b[2J[red]"
    replay.on("GET", GATE, (200, hostile), (200, hostile), (200, a_gate("better")))
    replay.on("GET", "/api/v1/deployments/dep_1k85ndju2r2f259u6pvq", (200, a_deployment()))
    shown = _on_a_terminal("gate", "checkout", "1.42.0", "--interval", "0.2s", "--url", replay.url)
    assert "POST /orders" in shown
    assert "+38 %" in shown
    assert "\x1b[2J" not in shown
    assert "[red]" in shown
    assert "+ better: it is better" in shown


def _on_a_terminal(*arguments: str) -> str:
    parent, child = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "160", "LINES": "40"}
    with subprocess.Popen([*COMMAND, *arguments], stdout=child, stderr=child, stdin=child, env=environment):
        os.close(child)
        return _read_all(parent)


def _read_all(terminal: int) -> str:
    parts = []
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # how Linux says that the other end is closed
            break
        if not part:
            break
        parts.append(part)
    os.close(terminal)
    return b"".join(parts).decode(errors="replace")
