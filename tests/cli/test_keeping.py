"""The commands about what is kept: forget, doctor, backup and restore."""

import json
from pathlib import Path
from typing import Any

import pytest

from onejob.backup.archive import written

from .conftest import Replay, Run

GONE = {
    "spans": 2, "logs": 1, "data_points": 5, "dead_letters": 0, "explanations": 1, "verdicts": 1, "backtests": 0,
    "error_examples": 1, "log_templates": 1, "customer_counts": 1, "complaints": 1, "mentions": 0, "is_complete": True,
}  # fmt: skip


def test_forget_says_how_much_is_gone_and_who_asked(onejob: Run, replay: Replay) -> None:
    replay.on("POST", "/api/v1/forget", (200, GONE))
    result = onejob("forget", "--attribute", "enduser.id", "--value", "4711", url=replay.url)
    assert result.returncode == 0, result.stderr
    assert {line.rpartition(" ")[0].strip(): line.split()[-1] for line in result.stdout.splitlines()} == {
        "spans": "2", "logs": "1", "data points": "5", "dead letters": "0", "explanations": "1", "verdicts": "1",
        "backtests": "0", "error examples": "1", "log templates": "1", "customer counts": "1", "complaints": "1",
        "mentions": "0",
    }  # fmt: skip
    ((_, _, asked),) = replay.requests
    assert (asked["attribute"], asked["value"]) == ("enduser.id", "4711")
    assert asked["actor"].endswith("the command line")


def test_forget_says_when_there_is_more_to_do(onejob: Run, replay: Replay) -> None:
    replay.on("POST", "/api/v1/forget", (200, GONE | {"is_complete": False}))
    result = onejob("forget", "--attribute", "a", "--value", "b", url=replay.url)
    assert "say this again" in result.stderr


def a_finding(health: str) -> dict[str, Any]:
    return {"check": "disk", "health": health, "says": "it is full", "remedy": "free some space"}


@pytest.mark.parametrize(("health", "code"), [("ok", 0), ("warning", 0), ("problem", 1)])
def test_doctor_fails_where_there_is_a_problem(onejob: Run, replay: Replay, health: str, code: int) -> None:
    document = {"healthy": health != "problem", "findings": [a_finding(health)]}
    replay.on("GET", "/api/v1/doctor", (200, document))
    result = onejob("doctor", url=replay.url)
    assert result.returncode == code
    assert "free some space" in result.stdout
    as_json = onejob("doctor", "--json", url=replay.url)
    assert (as_json.returncode, json.loads(as_json.stdout)) == (code, document)


def test_doctor_looks_here_where_no_server_answers(onejob: Run) -> None:
    result = onejob("doctor", "--json", url="http://127.0.0.1:1")
    document = json.loads(result.stdout)
    assert (result.returncode, document["healthy"]) == (1, False)
    found = {finding["check"]: finding for finding in document["findings"]}
    assert "onejob serve" in found["server"]["remedy"]
    assert found["data directory"]["health"] == "problem"


def test_a_backup_is_a_file_for_its_owner_only_and_overwrites_none(onejob: Run, replay: Replay, tmp_path: Path) -> None:
    replay.on("POST", "/api/v1/backup", (200, "what the server sent"))
    file = tmp_path / "b.tar"

    first, again = onejob("backup", str(file), url=replay.url), onejob("backup", str(file), url=replay.url)
    folder = tmp_path / "folder"
    folder.mkdir()
    into = onejob("backup", str(folder), url=replay.url)

    assert (first.returncode, first.stdout.strip()) == (0, str(file))
    assert file.read_text() == "what the server sent"
    assert file.stat().st_mode & 0o777 == 0o600
    assert (again.returncode, "is there already" in again.stderr) == (2, True)
    assert Path(into.stdout.strip()).parent == folder
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".part") == []


def test_a_backup_that_is_refused_leaves_no_file(onejob: Run, replay: Replay, tmp_path: Path) -> None:
    detail = "A backup is being made already: wait until it is."
    replay.on("POST", "/api/v1/backup", (409, {"title": "Not possible now", "status": 409, "detail": detail}))
    result = onejob("backup", str(tmp_path / "b.tar"), url=replay.url)
    assert (result.returncode, detail in result.stderr) == (1, True)
    assert not list(tmp_path.glob("*b.tar*"))


def test_a_backup_is_checked_without_making_anything(onejob: Run, tmp_path: Path) -> None:
    facts = {"onejob": "0.1.0", "made_at": "2026-03-01T12:00:00Z"}
    backup = b"".join(written([("hash-key", b"secret")], facts))
    whole, damaged = tmp_path / "whole.tar", tmp_path / "damaged.tar"
    whole.write_bytes(backup)
    damaged.write_bytes(backup.replace(b"secret", b"sacred"))

    found, told = (onejob("restore", str(file), "--check") for file in (whole, damaged))

    assert (found.returncode, "is whole: of 2026-03-01T12:00:00Z" in found.stdout) == (0, True)
    assert (told.returncode, "damaged: hash-key is not as it was" in told.stderr) == (1, True)
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_restore_says_what_is_wrong_in_one_sentence(onejob: Run, tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_text("no backup")
    result = onejob("restore", str(tmp_path / "b.tar"), "--data-dir", str(tmp_path / "data"))
    assert (result.returncode, "no whole backup" in result.stderr, "Traceback" in result.stderr) == (1, True, False)
    missing = onejob("restore", str(tmp_path / "none.tar"), "--data-dir", str(tmp_path / "data"))
    assert (missing.returncode, "none.tar: No such file" in missing.stderr) == (1, True)
