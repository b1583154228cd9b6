"""`onejob tail` from outside: what is sent, what survives, and what it says."""

import itertools
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from servers import RunningServer, running_server
from tail.receiver import Receiver, a_partial_success, a_receiver, a_refusal
from waiting import PATIENT_S, wait_until

from .conftest import COMMAND, Replay, Run

DEPLOYMENTS = "/api/v1/deployments"
_numbers = itertools.count(1)


def a_line(path: str = "/cart", *, at: float | None = None, status: int = 200, version: str = "-") -> str:
    """As docs/how-to-access-logs.md has nginx write it; each with another size."""
    moment = time.time() if at is None else at
    return (
        f'192.0.2.7 - - [{datetime.fromtimestamp(moment, UTC):%d/%b/%Y:%H:%M:%S} +0000] "GET {path} HTTP/1.1" {status} '
        f'{next(_numbers)} "-" "app" end={moment:.3f} duration=0.012 upstream="10.0.0.7:80" version="{version}"\n'
    )


def sizes(receiver: Receiver) -> list[int]:
    return [span["http.response.size"] for span in receiver.spans()]


def sizes_of(lines: list[str]) -> list[int]:
    return [int(line.split('" 200 ')[1].split()[0]) for line in lines]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with a_receiver() as receiver:
        yield receiver


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "access.log"
    path.touch()
    return path


Tail = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def tail(onejob: Run, receiver: Receiver, log: Path, tmp_path: Path) -> Tail:
    """Reads what is there, without asking which version was deployed."""

    def run(*options: str, **more: Any) -> "subprocess.CompletedProcess[str]":
        where = ["--endpoint", receiver.url, "--state", str(tmp_path / "state.json")]
        return onejob("tail", str(log), "-s", "shop", "--no-follow", "--not-by-deployment", *where, *options, **more)

    return run


Follow = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def follow(receiver: Receiver, log: Path, tmp_path: Path) -> Iterator[Follow]:
    """In a process of its own, which a test may kill."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **options: Any) -> "subprocess.Popen[str]":
        where = ["-s", "shop", "--endpoint", receiver.url, "--state", str(tmp_path / "state.json")]
        command = [*COMMAND, "tail", *where, "--not-by-deployment", *arguments]
        process = subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def append(log: Path, *lines: str) -> None:
    with log.open("a") as file:
        file.writelines(lines)


def test_a_second_run_goes_on_where_the_first_one_ended(tail: Tail, receiver: Receiver, log: Path) -> None:
    lines = [a_line() for _ in range(6)]
    append(log, *lines[:3], lines[3][:50])
    assert tail().returncode == 0
    append(log, lines[3][50:], *lines[4:])
    assert tail().returncode == 0
    assert tail().returncode == 0
    assert sizes(receiver) == sizes_of(lines)


def test_a_log_is_followed_through_rotation_and_ends_politely(
    follow: Follow, receiver: Receiver, log: Path, tmp_path: Path
) -> None:
    lines = [a_line() for _ in range(4)]
    process = follow("--from-start", str(log))
    append(log, lines[0])
    wait_until(lambda: len(sizes(receiver)) == 1, "the first span")
    log.rename(tmp_path / "access.log.1")
    append(tmp_path / "access.log.1", lines[1])
    append(log, lines[2])
    wait_until(lambda: len(sizes(receiver)) == 3, "the spans of both files")
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=PATIENT_S)
    assert (process.returncode, said) == (0, "Read 3 requests.\n")
    assert sorted(sizes(receiver)) == sizes_of(lines[:3])


def test_nothing_is_lost_or_sent_twice_when_it_is_killed_while_the_server_is_away(
    follow: Follow, receiver: Receiver, log: Path, tail: Tail
) -> None:
    """What was on its way is sent again byte by byte, by which the server knows it."""
    lines = [a_line() for _ in range(5)]
    append(log, *lines[:3])
    receiver.answers = [(503, a_refusal("not now"))] * 1000
    process = follow("--from-start", str(log))
    wait_until(lambda: receiver.tries >= 2, "the second try")
    append(log, *lines[3:])
    process.kill()
    process.wait()
    receiver.answers = []
    assert tail().returncode == 0
    assert tail().returncode == 0
    assert sizes(receiver) == sizes_of(lines)
    assert len(receiver.bodies) == 2


def test_what_is_piped_in_is_sent_when_the_pipe_ends(follow: Follow, receiver: Receiver) -> None:
    lines = [a_line() for _ in range(3)]
    process = follow(stdin=subprocess.PIPE)
    _, said = process.communicate("".join(lines).rstrip("\n"), timeout=PATIENT_S)
    assert (process.returncode, said) == (0, "Read 3 requests.\n")
    assert sizes(receiver) == sizes_of(lines)


def test_what_was_piped_in_before_it_was_ended_is_sent_by_the_next_start(
    follow: Follow, receiver: Receiver, tail: Tail
) -> None:
    receiver.answers = [(503, b"")] * 1000
    line = a_line()
    process = follow(stdin=subprocess.PIPE)
    assert process.stdin
    process.stdin.write(line)
    process.stdin.flush()
    wait_until(lambda: receiver.tries >= 1, "the first try")
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=PATIENT_S)
    assert process.returncode == 0
    assert "the next start goes on there" in said
    receiver.answers = []
    assert tail().returncode == 0
    assert sizes(receiver) == sizes_of([line])


def test_it_waits_for_a_server_that_cannot_take_more_and_says_so_once(
    tail: Tail, receiver: Receiver, log: Path
) -> None:
    append(log, a_line())
    receiver.answers = [(429, a_refusal("too much")), (429, a_refusal("too much"))]
    result = tail()
    assert result.returncode == 0
    assert result.stderr.splitlines() == [
        f"{receiver.url}/v1/traces cannot take more now (status 429: too much). Trying again; nothing is lost.",
        "It answers again.",
        "Read 1 request.",
    ]
    assert len(receiver.spans()) == 1


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (
            401,
            a_refusal("no token"),
            'OTEL_EXPORTER_OTLP_HEADERS="authorization=Bearer onejob_ingest_..." (status 401: ',
        ),
        (404, b"<html>", "takes no OTLP (status 404): correct --endpoint"),
        (413, b"", "ONEJOB_MAX_REQUEST_BYTES"),
        (400, a_refusal("what is this?"), "refuses what it was sent (status 400: what is this?)"),
    ],
)
def test_what_trying_again_does_not_mend_ends_it_and_the_line_is_sent_later(
    status: int, body: bytes, says: str, tail: Tail, receiver: Receiver, log: Path
) -> None:
    append(log, a_line())
    receiver.answers = [(status, body)]
    result = tail()
    assert result.returncode == 1
    assert says in result.stderr
    assert tail().returncode == 0
    assert len(receiver.spans()) == 1


def test_spans_that_the_server_did_not_take_are_counted(tail: Tail, receiver: Receiver, log: Path) -> None:
    append(log, a_line())
    receiver.answers = [(200, a_partial_success(1))]
    result = tail()
    assert result.returncode == 1
    assert "did not take 1 of these spans" in result.stderr


def test_the_token_is_sent_and_never_shown(
    tail: Tail, receiver: Receiver, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(log, a_line())
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20onejob_ingest_x")
    result = tail()
    assert receiver.headers[-1]["authorization"] == "Bearer onejob_ingest_x"
    assert "onejob_ingest_x" not in result.stderr
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "onejob_ingest_x")
    result = tail()
    assert result.returncode == 1
    assert "cannot be read" in result.stderr
    assert "onejob_ingest_x" not in result.stderr


def test_lines_that_cannot_be_read_are_counted_and_shown_once_without_what_is_secret(
    tail: Tail, receiver: Receiver, log: Path
) -> None:
    append(log, a_line(), "GET /cart?token=hunter2 nonsense\n", "more nonsense\n", "\n")
    result = tail()
    assert result.returncode == 0
    assert result.stderr.splitlines() == [
        "2 of 3 lines could not be read. The first: GET /cart?... nonsense",
        "Read 1 request, 2 lines that could not be read.",
    ]


def test_a_log_in_another_format_is_an_error_and_read_once_the_format_is_right(
    tail: Tail, receiver: Receiver, log: Path
) -> None:
    append(log, f"{time.time():.3f} 200 GET /cart?token=hunter2\n")
    result = tail()
    assert result.returncode == 2
    assert "None of the first 1 line is in this format" in result.stderr
    assert "hunter2" not in result.stderr
    result = tail("--format", "nginx", "--log-format", "$msec $status $request_method $request_uri")
    assert result.returncode == 0
    assert [span["name"] for span in receiver.spans()] == ["GET /cart"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--log-format", "$msec"], "say which, with --format"),
        (["--format", "nginx", "--log-format", "$msec"], "does not tell what was asked for"),
        (["--route", "blog"], "is no route"),
        (["-s", " "], "--service is empty"),
        (["no-such.log"], "There is no file no-such.log"),
    ],
)
def test_what_makes_no_sense_is_said(tail: Tail, options: list[str], says: str) -> None:
    result = tail(*options)
    assert result.returncode == 2
    assert says in result.stderr


def test_an_endpoint_that_is_none_is_said(tail: Tail) -> None:
    assert "is no URL" in tail("--endpoint", "ftp://x").stderr


def test_two_of_them_do_not_keep_their_place_in_one_file(
    tail: Tail, follow: Follow, receiver: Receiver, log: Path, tmp_path: Path
) -> None:
    append(log, a_line())
    follow("--from-start", str(log))
    wait_until(lambda: len(receiver.spans()) == 1, "the first span")
    result = tail()
    assert result.returncode == 1
    assert "--state" in result.stderr


def test_a_place_that_cannot_be_kept_or_read_is_said(tail: Tail, log: Path, tmp_path: Path) -> None:
    append(log, a_line())
    assert "name another file" in tail("--state", "/dev/null/state.json").stderr
    (tmp_path / "state.json").write_text('{"marks": 1}')
    result = tail()
    assert result.returncode == 1
    assert "is damaged" in result.stderr


def test_where_the_place_is_kept_unless_said(
    onejob: Run, receiver: Receiver, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    append(log, a_line())
    command = ["tail", str(log), "-s", "shop/x", "--no-follow", "--not-by-deployment", "--endpoint", receiver.url]
    assert onejob(*command).returncode == 0
    (kept,) = (tmp_path / "state/onejob/tail").glob("shop-x-*.json")
    assert json.loads(kept.read_text())["pending"] == ""
    assert kept.stat().st_mode & 0o077 == 0


def test_options_hold_for_lines_that_do_not_tell(tail: Tail, receiver: Receiver, log: Path) -> None:
    """The line's own version wins."""
    append(log, a_line(), a_line("/blog/how", version="2.0"))
    tail("--version", "1.9", "-e", "staging", "--route", "/blog/{slug}")
    spans = receiver.spans()
    assert [(span["name"], span["service.version"]) for span in spans] == [
        ("GET /cart", "1.9"),
        ("GET /blog/{slug}", "2.0"),
    ]
    assert {span["deployment.environment.name"] for span in spans} == {"staging"}


# --- versions of deployments ---


def a_document(version: str, minutes_ago: float, **changes: Any) -> dict[str, Any]:
    at = datetime.now(UTC) - timedelta(minutes=minutes_ago)
    document = {
        "id": f"dep_{version}", "environment": "production", "version": version, "previous_version": None,
        "strategy": "rolling", "status": "in_progress", "started_at": at.isoformat().replace("+00:00", "Z"),
        "finished_at": None,
    }  # fmt: skip
    return document | changes


def ago(minutes: float) -> str:
    return (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


@pytest.mark.parametrize(
    ("documents", "versions"),
    [
        (list, ["", "", "", ""]),
        (lambda: [a_document("2", 25, previous_version="1")], ["1", "2", "2", "2"]),
        (lambda: [a_document("3", 15), a_document("2", 25, previous_version="1")], ["1", "2", "3", "3"]),
        (
            lambda: [a_document("2", 25, previous_version="1", status="rolled_back", finished_at=ago(15))],
            ["1", "2", "1", "1"],
        ),
        (lambda: [a_document("2", 25, previous_version="1", strategy="canary")], ["1", "", "", ""]),
        (
            lambda: [
                a_document("2", 25, previous_version="1", strategy="canary", status="finished", finished_at=ago(5))
            ],
            ["1", "", "", "2"],
        ),
        (
            lambda: [
                a_document("2", 25, previous_version="1", strategy="canary", status="rolled_back", finished_at=ago(15))
            ],
            ["1", "", "1", "1"],
        ),
        (
            lambda: [a_document("1", 15, previous_version="2", strategy="canary", rollback_of="dep_2")],
            ["2", "2", "1", "1"],
        ),
    ],
    ids=["none", "one", "two", "rolled back", "a canary", "a canary that went well", "taken back", "brought back"],
)
def test_a_line_without_a_version_has_the_one_deployed_at_its_time(
    documents: Callable[[], list[dict[str, Any]]], versions: list[str], onejob: Run, receiver: Receiver,
    replay: Replay, log: Path, tmp_path: Path,
) -> None:  # fmt: skip
    """Lines of 30, 20, 10 and 0 minutes ago."""
    replay.on("GET", DEPLOYMENTS, (200, {"items": documents(), "next_cursor": None}))
    append(log, *(a_line(at=time.time() - 60 * minutes) for minutes in (30, 20, 10, 0)))
    where = ["--endpoint", receiver.url, "--state", str(tmp_path / "state.json")]
    result = onejob("tail", str(log), "-s", "shop", "--no-follow", *where, url=replay.url)
    assert result.returncode == 0, result.stderr
    assert [span.get("service.version", "") for span in receiver.spans()] == versions
    assert "service=shop" in replay.requests[0][1]
    assert ("Two versions serve while 2 is rolled out" in result.stderr) == (versions == ["1", "", "", ""])


@pytest.mark.parametrize(
    ("status", "document", "says"),
    [
        (401, {"title": "No", "detail": "Who are you?"}, "ONEJOB_TOKEN"),
        (
            200,
            {"items": [a_document("2", 5), a_document("2", 5, environment="staging")]},
            "several environments (production, staging)",
        ),
    ],
)
def test_where_versions_cannot_be_asked_for_it_says_what_to_do(
    status: int, document: dict[str, Any], says: str, onejob: Run, receiver: Receiver, replay: Replay, log: Path,
    tmp_path: Path,
) -> None:  # fmt: skip
    replay.on("GET", DEPLOYMENTS, (status, document))
    append(log, a_line())
    where = ["--endpoint", receiver.url, "--state", str(tmp_path / "state.json")]
    result = onejob("tail", str(log), "-s", "shop", "--no-follow", *where, url=replay.url)
    assert result.returncode != 0
    assert says in result.stderr
    assert not receiver.bodies


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    data_dir = tmp_path_factory.mktemp("server") / "data"
    with running_server(data_dir, flush_interval_s=0.1, tick_s=3600) as server:
        yield server


def test_a_reported_deployment_is_told_apart_from_before_in_the_servers_own_counts(
    server: RunningServer, onejob: Run, log: Path, tmp_path: Path
) -> None:
    """A real server, with the log of a service that says no version anywhere."""
    now = time.time()
    for version, at in (("1.41.0", now - 90_000), ("1.42.0", now - 600)):
        body = {"service": "shop", "version": version, "started_at": datetime.fromtimestamp(at, UTC).isoformat()}
        assert httpx.post(f"{server.url}{DEPLOYMENTS}", json=body).status_code == 201
    append(log, *(a_line(at=now - 1140 + 120 * n, status=500 if n >= 5 else 200) for n in range(10)))
    intake = server.services.intake
    assert intake is not None
    where = ["--endpoint", f"http://127.0.0.1:{intake.http_port}", "--state", str(tmp_path / "state.json")]
    result = onejob("tail", str(log), "-s", "shop", "--no-follow", *where, url=server.url)
    assert result.returncode == 0, result.stderr
    assert intake.settle(PATIENT_S)
    assert server.services.engine is not None
    found = server.services.engine.query(
        "SELECT Operation, Version, Instance, sum(Count) AS Requests, sum(Errors) AS Failed FROM operation_rollup "
        "WHERE ServiceName = 'shop' GROUP BY ALL ORDER BY Version"
    ).to_pylist()
    same = {"Operation": "GET /cart", "Instance": "10.0.0.7:80", "Requests": 5}
    assert found == [same | {"Version": "1.41.0", "Failed": 0}, same | {"Version": "1.42.0", "Failed": 5}]


def test_standard_input_that_is_a_terminal_is_not_waited_for() -> None:
    ours, theirs = os.openpty()
    try:
        result = subprocess.run(
            [*COMMAND, "tail", "-s", "shop"], stdin=theirs, capture_output=True, text=True, check=False
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert result.returncode == 2
    assert "pipe one in" in result.stderr
