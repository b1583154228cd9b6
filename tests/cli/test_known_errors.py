"""`onejob errors`: what is asked of the server, and what is printed of its answers."""

import json
from typing import Any

import pytest

from .conftest import Replay, Run

PATH = "/api/v1/errors"
ID = "err_0123456789abcdef0123"


def an_error(**changes: Any) -> dict[str, Any]:
    """An error's document."""
    document = {
        "id": ID, "service": "checkout", "environment": "production", "kind": "error", "status": "new",
        "title": "KeyError in price (checkout/pricing.py)", "message": "'sku-1'\x1b[2J", "severity": 17,
        "first_seen_at": "2026-03-01T12:00:00Z", "last_seen_at": "2026-03-01T12:05:00Z", "first_version": "1.42.0",
        "last_version": "1.42.0", "sample": "Traceback\n  File \x1b]0;x", "trace_id": "4bf9", "span_id": "00f0",
        "resolved_at": None, "resolved_by": None, "resolved_in": None, "regressed_at": None, "regressed_in": None,
        "last_day": 1234,
    }  # fmt: skip
    return document | changes


def test_errors_are_listed_as_asked(onejob: Run, replay: Replay) -> None:
    replay.on("GET", PATH, (200, {"items": [an_error()], "next_cursor": "more"}))
    result = onejob("errors", "list", "--service", "checkout", "--status", "new", "--new-in", "1.42.0", url=replay.url)
    assert result.returncode == 0, result.stderr
    cells = result.stdout.rstrip("\n").split("\t")
    assert cells[:6] == [ID, "new", "checkout", "KeyError in price (checkout/pricing.py)", "1,234", "1.42.0"]
    assert "There are more than 50" in result.stderr
    ((_, target, _),) = replay.requests
    assert target == f"{PATH}?service=checkout&new_in=1.42.0&status=new&least_severity=13&limit=50"


def test_one_is_shown_with_its_stack_and_nothing_that_a_terminal_obeys(onejob: Run, replay: Replay) -> None:
    counts = [{"version": version, "bin_start": 0, "count": 20} for version in ("1.41.3", "1.42.0", "1.42.0")]
    gone = {"resolved_at": "2026-03-01T12:01:00Z", "resolved_by": "mo", "resolved_in": "1.42.0"}
    back = {"regressed_at": "2026-03-01T12:02:00Z", "regressed_in": "1.42.0", "status": "regressed"}
    detail = an_error(counts=counts, seen_in=[], history=[], **gone, **back)
    replay.on("GET", f"{PATH}/{ID}", (200, detail))
    result = onejob("errors", "show", ID, url=replay.url)
    assert result.returncode == 0, result.stderr
    assert "1.42.0  40 in the last 7 days" in result.stdout
    assert "in 1.42.0 by mo" in result.stdout
    assert "Traceback\n" in result.stdout
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize(
    ("words", "path", "body"),
    [
        (("resolve", ID), "resolve", {"version": None, "in_next_version": False}),
        (("resolve", ID, "--version", "2"), "resolve", {"version": "2", "in_next_version": False}),
        (("resolve", ID, "--next-version"), "resolve", {"version": None, "in_next_version": True}),
        (("reopen", ID), "reopen", {}),
    ],
)
def test_what_is_said_of_one_is_sent(
    onejob: Run, replay: Replay, words: tuple[str, ...], path: str, body: dict[str, Any]
) -> None:
    replay.on("POST", f"{PATH}/{ID}/{path}", (200, an_error(status="resolved")))
    result = onejob("errors", *words, "--actor", "mo", "--json", url=replay.url)
    assert json.loads(result.stdout)["status"] == "resolved"
    assert replay.requests == [("POST", f"{PATH}/{ID}/{path}", {"actor": "mo"} | body)]


def test_contradictions_and_unknown_ids_end_with_what_to_do(onejob: Run, replay: Replay) -> None:
    both = onejob("errors", "resolve", ID, "--version", "2", "--next-version", url=replay.url)
    assert both.returncode == 2
    assert "contradict" in both.stderr
    assert onejob("errors", "show", "../status", url=replay.url).returncode == 2
    assert onejob("errors", "show", ID, url=replay.url).returncode == 4
