"""Reporting deployments from a pipeline, and looking at them."""

import json
import re

import pytest

from .conftest import Replay, Run, a_deployment, a_gate, a_verdict

DEPLOYMENTS = "/api/v1/deployments"
ID = "dep_1k85ndju2r2f259u6pvq"
ONE = f"{DEPLOYMENTS}/{ID}"


def test_start_sends_every_field_and_prints_the_id(onejob: Run, replay: Replay) -> None:
    replay.on("POST", DEPLOYMENTS, (201, a_deployment()))
    fields = {
        "environment": "production",
        "previous_version": "1.41.3",
        "strategy": "canary",
        "commit": "abc123",
        "repository": "https://git.example/shop",
        "actor": "pipeline 7",
        "started_at": "2026-03-01T12:00:00+01:00",
        "finished_at": "2026-03-01T11:30:00Z",
        "traffic_share": "10%",
    }
    options = [word for name, value in fields.items() for word in (f"--{name.replace('_', '-')}", value)]
    result = onejob(
        "deployment", "start", "checkout", "1.42.0", *options, "--run-url", "https://ci.example/7", url=replay.url
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == f"{ID}\n"
    sent = replay.requests[0][2]
    assert sent == fields | {
        "service": "checkout",
        "version": "1.42.0",
        "started_at": "2026-03-01T11:00:00Z",
        "traffic_share": 0.1,
        "url": "https://ci.example/7",
    }


def test_quiet_prints_the_id_alone(onejob: Run, replay: Replay) -> None:
    replay.on("POST", DEPLOYMENTS, (200, a_deployment(notes=["The clock is off."])))
    result = onejob("deployment", "start", "checkout", "1.42.0", "--quiet", url=replay.url)
    assert (result.stdout, result.stderr) == (f"{ID}\n", "")
    assert replay.requests[0][2] == {"service": "checkout", "version": "1.42.0"}


def test_notes_of_the_server_are_told(onejob: Run, replay: Replay) -> None:
    replay.on("POST", DEPLOYMENTS, (200, a_deployment(notes=["The clock is off."])))
    result = onejob("deployment", "start", "checkout", "1.42.0", url=replay.url)
    assert "The clock is off." in result.stderr
    assert "The clock is off." not in result.stdout


@pytest.mark.parametrize(
    ("command", "status"),
    [(("finish",), "finished"), (("fail",), "failed"), (("fail", "--rolled-back"), "rolled_back")],
)
def test_the_end_is_reported_by_id(onejob: Run, replay: Replay, command: tuple[str, ...], status: str) -> None:
    replay.on("PATCH", ONE, (200, a_deployment(status=status)))
    result = onejob("deployment", *command, ID, url=replay.url)
    assert result.returncode == 0, result.stderr
    assert replay.requests == [("PATCH", ONE, {"status": status})]


def test_the_end_is_reported_by_service_and_version(onejob: Run, replay: Replay) -> None:
    replay.on("GET", "/api/v1/gate", (200, a_gate("undecided")))
    replay.on("PATCH", ONE, (200, a_deployment(status="finished")))
    result = onejob("deployment", "finish", "checkout", "1.42.0", "-e", "production", url=replay.url)
    assert result.returncode == 0, result.stderr
    assert replay.requests[1][:2] == ("PATCH", ONE)


def test_progress_reports_the_share(onejob: Run, replay: Replay) -> None:
    replay.on("PATCH", ONE, (200, a_deployment()))
    assert onejob("deployment", "progress", ID, "--traffic-share", "0.5", url=replay.url).returncode == 0
    assert replay.requests[0][2] == {"traffic_share": 0.5}


@pytest.mark.parametrize(
    "arguments",
    [
        ("start", "checkout", "1", "--started-at", "yesterday"),
        ("start", "checkout", "1", "--traffic-share", "150%"),
        ("start", "checkout", "1", "--traffic-share", "nan"),
        ("start", "checkout", "1", "--strategy", "yolo"),
        ("start", "checkout"),
        ("finish", "checkout"),
        ("progress", "checkout", "1"),
        ("finish", "dep_/../../status"),
        ("finish", "a", "b", "c"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(onejob: Run, replay: Replay, arguments: tuple[str, ...]) -> None:
    result = onejob("deployment", *arguments, url=replay.url)
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert not replay.requests


def test_a_refusal_is_the_servers_own_sentence(onejob: Run, replay: Replay) -> None:
    replay.on("POST", DEPLOYMENTS, (422, {"title": "Wrong", "detail": "version is empty: name it.", "status": 422}))
    result = onejob("deployment", "start", "checkout", "", url=replay.url)
    assert (result.returncode, result.stderr) == (1, "onejob: version is empty: name it.\n")


def test_a_start_survives_a_server_that_is_away_for_a_moment(onejob: Run, replay: Replay) -> None:
    replay.on("POST", DEPLOYMENTS, (503, {"detail": "Later.", "status": 503}), (201, a_deployment()))
    assert onejob("deployment", "start", "checkout", "1.42.0", url=replay.url).returncode == 0
    assert len(replay.requests) == 2


def test_the_list_is_lines_with_tabs_where_nobody_looks(onejob: Run, replay: Replay) -> None:
    hostile = a_deployment(service="check\x1b[31mout\n", version="<script>")
    replay.on("GET", DEPLOYMENTS, (200, {"items": [hostile], "next_cursor": "abc"}))
    result = onejob("deployment", "list", "--verdict", "worse", "--since", "2026-03-01T00:00:00Z", url=replay.url)
    assert result.returncode == 0, result.stderr
    (line,) = result.stdout.splitlines()
    assert line.split("\t")[:4] == [ID, "x worse", "check\ufffd[31mout\ufffd", "<script> <- 1.41.3"]
    assert "--cursor abc" in result.stderr
    target = replay.requests[0][1]
    assert "verdict=worse" in target
    assert "since=2026-03-01T00%3A00%3A00Z" in target
    assert "view=summary" in target


def test_a_list_without_an_answer_says_what_to_do(onejob: Run, replay: Replay) -> None:
    replay.on("GET", DEPLOYMENTS, (200, {"items": [], "next_cursor": None}))
    result = onejob("deployment", "list", "--service", "nobody", url=replay.url)
    assert (result.returncode, result.stdout) == (0, "")
    assert "No deployment fits." in result.stderr


def test_show_has_times_and_shares_in_words(onejob: Run, replay: Replay) -> None:
    signals = [{"operation": "*", "signal": "shortfall", "state": "undecided", "effect": None, "missing": None}]
    started = {"traffic_share": 0.125, "started_at": "2020-03-01T12:00:00.123456Z"}
    replay.on("GET", ONE, (200, a_deployment(**started, verdict=a_verdict(signals=signals))))
    lines = onejob("deployment", "show", ID, url=replay.url).stdout.splitlines()
    (began,) = (line for line in lines if line.startswith("started"))
    assert re.fullmatch(r"started +2020-03-01 12:00:00 UTC \(\d+ d ago\)", began)
    assert "traffic share     12.5 %" in lines
    assert "status            in progress" in lines
    assert lines[-1].split("\t")[:3] == ["? undecided", "all requests", "missing answers"]


def test_show_leads_with_the_sentence(onejob: Run, replay: Replay) -> None:
    replay.on("GET", ONE, (200, a_deployment()))
    result = onejob("deployment", "show", ID, url=replay.url)
    assert result.stdout.splitlines()[0].endswith("x worse: checkout 1.42.0 is worse: POST /orders p95 rose 38 %.")
    assert "+38 % (+27 % to +51 %)" in result.stdout
    assert "120 ms" in result.stdout


def test_json_is_the_document_itself(onejob: Run, replay: Replay) -> None:
    replay.on("GET", ONE, (200, a_deployment()))
    assert json.loads(onejob("deployment", "show", ID, "--json", url=replay.url).stdout) == a_deployment()
