"""`onejob calibrate`: the rate and its interval as people read them, and what is said where nothing can be measured."""

from typing import Any

from .conftest import Replay, Run

JOB = {
    "id": "cal_1",
    "kind": "calibration",
    "started_at": "2026-03-01T12:00:00Z",
    "state": "running",
    "done": 3,
    "of": 100,
    "what": "checkout",
    "judged": 0,
    "error": "",
}
MEASURED = {
    "service": "checkout",
    "environment": "production",
    "placebo_s": 3600.0,
    "target": 0.01,
    "phi_factor": 1.6,
    "false_alarms": {"placebos": 75, "alarms": 0, "rate": 0.0, "low": 0.0, "high": 0.048, "phi_factor": 1.6},
    "history": [{"signal": "errors", "phi": 2.0, "blocks": 900, "s_b": 0.04, "instances": 4}],
    "note": "",
}


def answers(replay: Replay, measured: dict[str, Any], **end: Any) -> None:
    replay.on("POST", "/api/v1/calibrations", (202, JOB))
    replay.on("GET", "/api/v1/replays/cal_1", (200, JOB | {"state": "done"} | end))
    replay.on("GET", "/api/v1/calibrations", (200, {"items": [measured], "running": None}))


def test_the_rate_is_told_with_its_interval_and_with_what_it_took(replay: Replay, onejob: Run) -> None:
    answers(replay, MEASURED)
    told = onejob("calibrate", "checkout", "-e", "production", url=replay.url)
    assert told.returncode == 0, told.stderr
    words = " ".join(told.stdout.split())
    assert "0.0% (0.0% to 4.8%): 0 of 75 placebo deployments of 1 h alarmed" in words
    assert "x1.6" in words
    assert "a request counts as 0.50 of an independent one; instances differ by 0.04 in log odds" in words
    assert replay.requests[0][2] == {"service": "checkout", "environment": "production"}


def test_what_could_not_be_measured_says_why(replay: Replay, onejob: Run) -> None:
    answers(replay, MEASURED | {"false_alarms": None, "history": [], "note": "checkout runs on one instance."})
    told = onejob("calibrate", "checkout", url=replay.url)
    assert told.returncode == 0
    assert "checkout runs on one instance." in told.stderr


def test_a_service_nobody_has_seen_is_4(replay: Replay, onejob: Run) -> None:
    replay.on("POST", "/api/v1/calibrations", (404, {"detail": "No request to chekout.", "status": 404}))
    told = onejob("calibrate", "chekout", url=replay.url)
    assert (told.returncode, told.stderr) == (4, "onejob: No request to chekout.\n")


def test_a_calibration_that_ended_early_is_a_failure(replay: Replay, onejob: Run) -> None:
    answers(replay, MEASURED, state="failed", error="the store is away")
    told = onejob("calibrate", "checkout", url=replay.url)
    assert told.returncode == 1
    assert "ended early: the store is away" in told.stderr
