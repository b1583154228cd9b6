"""Real nginx, HAProxy, Apache and Envoy answer real requests; what their logs say arrives as spans."""

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.conftest import COMMAND, Run
from doors import Said
from onejob.ingest.service import Intake
from onejob.store.engine import Engine
from otlp_builders import a_service
from waiting import PATIENT_S, wait_until

from . import peers
from .peers import Peers
from .receiver import a_receiver

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(bool(peers.missing()), reason="needs Debian's nginx, haproxy and apache2-bin"),
]

AGENT = "shop-app/3 (Android)"
SECRET = "hunter2"
ASKED = [
    ("GET", f"/orders/8412/items?token={SECRET}", 200, "GET /orders/{id}/items"),
    ("POST", "/orders", 200, "POST /orders"),
    ("GET", "/slow", 200, "GET /slow"),
    ("GET", "/broken", 500, "GET /broken"),
    ("GET", f"/unversioned;session={SECRET}", 200, "GET /unversioned"),
    ("GET", "/wp-login-missing.php", 404, "GET"),
]
# In what a format cannot say, its spans have less.
NO_VERSION, NO_DURATION, NO_AGENT = "version", "duration", "agent"


@dataclass(frozen=True)
class Log:
    """A log, how it is read, and what it does not tell."""

    name: str
    kind: str
    instance: str
    log_format: str = ""
    version_field: str = "x-version"
    lacks: tuple[str, ...] = ()


BACKEND, HERE = "backend", socket.gethostname()
LOGS = [
    Log("nginx.log", "nginx", BACKEND),
    Log("nginx-combined.log", "nginx", HERE, lacks=(NO_VERSION, NO_DURATION)),
    Log("nginx-own.log", "nginx", BACKEND, f"log_format own escape=json '{peers.NGINX_JSON}';"),
    Log("apache.log", "apache", HERE),
    Log("apache-vhost.log", "apache", HERE, lacks=(NO_VERSION, NO_DURATION)),
    Log("apache-own.log", "apache", HERE, f'LogFormat "{peers.APACHE_OWN}" own', lacks=(NO_AGENT,)),
    Log("haproxy.log", "haproxy", "advised", lacks=(NO_VERSION, NO_AGENT)),
    Log("haproxy-advised.log", "haproxy", "own", lacks=(NO_AGENT,)),
    Log("haproxy-own.log", "haproxy", HERE, peers.HAPROXY_OWN, "capture.res.hdr(0)", lacks=(NO_AGENT,)),
    Log("envoy-default.log", "envoy", BACKEND, lacks=(NO_VERSION,)),
    Log("envoy.log", "envoy", BACKEND),
    Log("envoy-json.log", "envoy", BACKEND, json.dumps(peers.ENVOY_JSON)),
]


@dataclass(frozen=True)
class Served:
    """Everything was asked of each server between the two moments, in Unix nanoseconds."""

    peers: Peers
    since_ns: int
    until_ns: int


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("peers")
    with peers.running(folder) as running:
        since_ns = time.time_ns()
        for port in running.ports.values():
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers={"user-agent": AGENT}) as client:
                for method, path, status, _ in ASKED:
                    assert (
                        client.request(method, path, content=b"abc" if method == "POST" else b"").status_code == status
                    )
        until_ns = time.time_ns()
        for name in ("nginx.log", "apache-own.log", "envoy-default.log", "envoy.log", "envoy-json.log"):
            wait_for_lines(running.log(name), len(ASKED))
        wait_for_lines(running.log("haproxy.out"), 3 * len(ASKED))
        split_by_frontend(running.log("haproxy.out"))
        yield Served(running, since_ns, until_ns)


def wait_for_lines(log: Path, lines: int) -> None:
    wait_until(lambda: log.exists() and log.read_bytes().count(b"\n") >= lines, f"{lines} lines in {log}")


def split_by_frontend(out: Path) -> None:
    lines = out.read_text().splitlines(keepends=True)
    for name, mark in (("haproxy.log", " edge "), ("haproxy-advised.log", " inner ")):
        out.with_name(name).write_text("".join(line for line in lines if mark in line))
    out.with_name("haproxy-own.log").write_text("".join(line for line in lines if "[" not in line))


@pytest.mark.parametrize("log", LOGS, ids=lambda log: log.name)
def test_every_request_of_a_real_server_becomes_a_span_that_says_what_its_log_says(
    served: Served, log: Log, onejob: Run
) -> None:
    options = ["--format", log.kind, "--version-field", log.version_field]
    options += ["--log-format", log.log_format] if log.log_format else []
    spans, sent = read(served, log, onejob, *options)

    assert [(span["name"], span["http.response.status_code"], span["error"]) for span in spans] == [
        (name, status, status >= 500) for _, _, status, name in ASKED
    ]
    for span, (method, path, *_) in zip(spans, ASKED, strict=True):
        version = "" if "unversioned" in path or NO_VERSION in log.lacks else peers.VERSION
        assert span.get("service.version", "") == version
        assert span["kind"] == 2
        assert span["service.name"] == "shop"
        assert span["http.request.method"] == method
        assert span["service.instance.id"] == (served.peers.backend if log.instance == BACKEND else log.instance)
        assert span.get("user_agent.original", "") == ("" if NO_AGENT in log.lacks else AGENT)
        # A time in whole seconds may be one early.
        assert served.since_ns - 10**9 <= span["ended_ns"] <= served.until_ns + 10**9
    slow_ns = next(span["duration_ns"] for span in spans if span["name"] == "GET /slow")
    assert slow_ns == 0 if NO_DURATION in log.lacks else slow_ns >= peers.SLOW_S * 1e9 - 2e6
    assert len({span["ids"] for span in spans}) == len(ASKED)
    assert SECRET.encode() not in sent


@pytest.mark.parametrize("name", ["nginx.log", "apache.log", "haproxy-advised.log", "envoy.log", "envoy-default.log"])
def test_what_wrote_a_log_is_found_out(served: Served, name: str, onejob: Run) -> None:
    log = next(log for log in LOGS if log.name == name)
    said, _ = read(served, log, onejob)
    known, _ = read(served, log, onejob, "--format", log.kind)
    assert [without_ids(span) for span in said] == [without_ids(span) for span in known]


ADVISED = ("nginx.log", "haproxy-advised.log", "apache.log", "envoy.log")


@pytest.mark.parametrize("name", ADVISED)
def test_a_log_in_the_form_that_is_advised_is_stored_as_entry_operations(
    served: Served, name: str, intake: Intake, engine: Engine, door: Said, onejob: Run
) -> None:
    log, service = next(log for log in LOGS if log.name == name), a_service()
    result = onejob(
        "tail", str(served.peers.log(name)), "-s", service, "--endpoint", f"http://127.0.0.1:{intake.http_port}",
        "--no-follow", "--not-by-deployment", "--state", str(served.peers.folder / f"state-{service}.json"),
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert intake.settle(PATIENT_S)
    found = engine.query(
        "SELECT Operation, Version, IsEntry, IsFailed, Operation = 'GET /slow' AND Duration < 48e6 AS IsShort "
        "FROM otel_traces WHERE ServiceName = {service:String} ORDER BY Operation",
        {"service": service},
    ).to_pylist()
    assert [tuple(row.values()) for row in found] == sorted(
        (operation, "" if "unversioned" in path else peers.VERSION, True, status == 500, False)
        for _, path, status, operation in ASKED
    )
    client = f"onejob tail, with the access log of {peers.NAMES[log.kind]}"
    door("/v1/traces", client, peers.version_of(log.kind), "requests of all kinds, one fails", engine, service)


def test_a_log_that_is_piped_in_is_stored_the_same(served: Served, intake: Intake, engine: Engine, door: Said) -> None:
    service, folder = a_service(), served.peers.folder
    where = ["--endpoint", f"http://127.0.0.1:{intake.http_port}", "--state", str(folder / f"state-{service}.json")]
    with served.peers.log("nginx.log").open("rb") as log:
        command = [*COMMAND, "tail", "-s", service, "--not-by-deployment", *where]
        result = subprocess.run(command, stdin=log, capture_output=True, text=True, check=False, timeout=PATIENT_S)
    assert result.returncode == 0, result.stderr
    assert intake.settle(PATIENT_S)
    sql = "SELECT Operation, IsFailed FROM otel_traces WHERE ServiceName = {service:String} ORDER BY Operation"
    found = [tuple(row.values()) for row in engine.query(sql, {"service": service}).to_pylist()]
    assert found == sorted((operation, status == 500) for _, _, status, operation in ASKED)
    client = "onejob tail, piped the access log of nginx"
    door("/v1/traces", client, peers.version_of("nginx"), "requests of all kinds, one fails", engine, service)


def test_the_formats_that_the_page_advises_are_those_that_are_tried_here() -> None:
    page = (Path(__file__).parents[2] / "docs/how-to-access-logs.md").read_text()
    for advised in (peers.NGINX, peers.APACHE, peers.HAPROXY, peers.ENVOY_VERSION):
        assert advised in page.replace("'\n                  '", "")


def read(served: Served, log: Log, onejob: Run, *options: str) -> tuple[list[dict[str, Any]], bytes]:
    """The spans in the order of the requests, and all that was sent."""
    with a_receiver() as receiver:
        result = onejob(
            "tail", str(served.peers.log(log.name)), "--service", "shop", "--endpoint", receiver.url, "--no-follow",
            "--not-by-deployment", "--state", str(served.peers.folder / f"state-{time.monotonic_ns()}.json"), *options,
        )  # fmt: skip
        assert result.returncode == 0, result.stderr
        assert ("how long requests took" in result.stderr) == (NO_DURATION in log.lacks)
        order = [name for *_, name in ASKED]
        return sorted(receiver.spans(), key=lambda span: order.index(span["name"])), b"".join(receiver.bodies)


def without_ids(span: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in span.items() if name != "ids"}
