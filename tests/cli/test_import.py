"""`onejob import` from files in every form into a real server, at the command line."""

import gzip
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from backports import zstd
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from doors import Said
from ingest.waiting import counted, stored
from onejob import __version__
from onejob.cli.otlp_files import PIECE_BYTES
from onejob.model.telemetry import POINTS
from otlp_builders import a_log_request, a_metric_request, a_record, a_request, a_service, a_span
from servers import RunningServer, running_server
from waiting import wait_until

from .conftest import COMMAND, Run

DAY_NS = 86_400 * 10**9


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("server"), flush_interval_s=0.1, max_request_bytes=8 * 2**20) as server:
        yield server


def days_ago(days: float) -> int:
    return (int(time.time() - days * 86_400) // 10) * 10 * 10**9


def some_requests(service: str, count: int = 3, days: float = 2.0) -> list[ExportTraceServiceRequest]:
    """Each of two spans."""
    start = days_ago(days)
    return [a_request(*(a_span(start_ns=start + i * 10**9) for _ in range(2)), service=service) for i in range(count)]


def as_json(request: ExportTraceServiceRequest) -> str:
    """OTLP/JSON: protobuf's own JSON, but ids in hex."""
    document = json_format.MessageToDict(request, use_integers_for_enums=True)
    for of_resource in document["resourceSpans"]:
        for span in of_resource["scopeSpans"][0]["spans"]:
            for name in ("traceId", "spanId"):
                span[name] = _hex(span[name])
    return json.dumps(document)


def _hex(base64: str) -> str:
    import base64 as module

    return module.b64decode(base64).hex()


def json_lines(requests: list[ExportTraceServiceRequest]) -> bytes:
    return "".join(as_json(request) + "\n" for request in requests).encode()


def framed(bodies: list[bytes]) -> bytes:
    return b"".join(len(body).to_bytes(4, "big") + body for body in bodies)


def serialized(requests: list[Any]) -> list[bytes]:
    return [request.SerializeToString() for request in requests]


def merged(requests: list[ExportTraceServiceRequest]) -> ExportTraceServiceRequest:
    whole = ExportTraceServiceRequest()
    for request in requests:
        whole.MergeFrom(request)
    return whole


FORMS: dict[str, Any] = {
    "JSON lines": json_lines,
    "JSON lines, gzip": lambda requests: gzip.compress(json_lines(requests)),
    "JSON lines, zstd in one stream of several frames": lambda requests: b"".join(
        zstd.compress(as_json(request).encode() + b"\n") for request in requests
    ),
    "one JSON document over several lines": lambda requests: json.dumps(
        json.loads(as_json(merged(requests))), indent=1
    ).encode(),
    "one protobuf request": lambda requests: merged(requests).SerializeToString(),
    "one protobuf request, gzip": lambda requests: gzip.compress(merged(requests).SerializeToString()),
    "length-prefixed protobuf": lambda requests: framed(serialized(requests)),
    "length-prefixed protobuf, zstd": lambda requests: zstd.compress(framed(serialized(requests))),
    "length-prefixed zstd of protobuf": lambda requests: framed([zstd.compress(body) for body in serialized(requests)]),
    "length-prefixed zstd of JSON": lambda requests: framed(
        [zstd.compress(as_json(request).encode()) for request in requests]
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_file_is_stored_once_whatever_its_form_and_however_often_it_is_imported(
    form: str, server: RunningServer, onejob: Run, tmp_path: Path
) -> None:
    service = a_service()
    file = tmp_path / "spans"
    file.write_bytes(FORMS[form](some_requests(service)))
    first = onejob("import", str(file), url=server.url)
    assert first.returncode == 0, first.stderr
    assert "6 spans" in first.stdout
    engine = server.services.engine
    assert engine is not None
    assert (stored(engine, service), counted(engine, service)) == (6, 6)
    again = onejob("import", str(file), "--json", url=server.url)
    assert json.loads(again.stdout)["repeated"] == 6
    assert (stored(engine, service), counted(engine, service)) == (6, 6)


def test_a_file_is_recognised_after_the_server_was_away_and_its_short_memory_is_gone(
    onejob: Run, tmp_path: Path
) -> None:
    file = tmp_path / "spans"
    file.write_bytes(json_lines(some_requests(a_service())))
    said = []
    for _ in range(2):
        with running_server(tmp_path / "data", flush_interval_s=0.1, retry_digest_s=0.001) as server:
            said.append(json.loads(onejob("import", str(file), "--json", url=server.url).stdout))
    assert [(one["spans"], one["repeated"]) for one in said] == [(6, 0), (0, 6)]


def test_standard_input(server: RunningServer, door: Said) -> None:
    service = a_service()
    result = subprocess.run(
        [*COMMAND, "import", "-"],
        input=gzip.compress(json_lines(some_requests(service))),
        capture_output=True,
        env=os.environ | {"ONEJOB_URL": server.url},
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert server.services.engine is not None
    assert stored(server.services.engine, service) == 6
    sent = "its standard input: OTLP in JSON lines, gzip"
    door("import", "onejob import", __version__, sent, server.services.engine, service)


def test_a_bad_line_is_named_with_its_file_and_the_others_are_stored(
    server: RunningServer, onejob: Run, tmp_path: Path
) -> None:
    service = a_service()
    lines = json_lines(some_requests(service)).split(b"\n")
    lines[1] = lines[1].replace(b'"traceId": "', b'"traceId": "xyz')
    lines.insert(2, b"{ nonsense")
    file = tmp_path / "spans.jsonl"
    file.write_bytes(b"\n".join(lines))
    result = onejob("import", str(file), url=server.url)
    assert result.returncode == 1
    assert f"{file}, line 2: traceId of a span is 'xyz" in result.stderr
    assert f"{file}, line 3: The body is not an ExportTraceServiceRequest" in result.stderr
    assert server.services.engine is not None
    assert stored(server.services.engine, service) == 4


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"hello, world\n", "its beginning: this is neither OTLP"),
        (framed([b"\n\x03abc"])[:-2], "request 1: the file ends after 3 of its 5 bytes"),
        (framed(serialized(some_requests("shop", 1))) + b"\xff\xff\xff\xff", "request 2: its length makes no sense"),
        (gzip.compress(os.urandom(1000))[:300], "its beginning"),
        (gzip.compress(json_lines(some_requests("shop", 50)))[:900], "the compressed data cannot be read any further"),
        (zstd.compress(json_lines(some_requests("shop", 50)))[:900], "the compressed data cannot be read any further"),
        (serialized(some_requests("shop", 1))[0][:50], "byte 0: the file ends after"),
        (serialized(some_requests("shop", 1))[0] + b"\x12\x00", "there begins something that is no resource's part"),
        (b'{"resourceSpans": [\n', "line 2: the file ends in the middle of the JSON"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(
    content: bytes, said: str, server: RunningServer, onejob: Run, tmp_path: Path
) -> None:
    file = tmp_path / "spans"
    file.write_bytes(content)
    result = onejob("import", str(file), url=server.url)
    assert result.returncode == 1
    assert said in result.stderr
    assert str(file) in result.stderr
    assert "Traceback" not in result.stderr


def others_of(service: str) -> list[Any]:
    """Of logs and of metrics."""
    start = days_ago(2)
    return [
        a_log_request(*(a_record(body, time_ns=start) for body in ("one", "two", "three")), service=service),
        a_metric_request(service, time_ns=start),
    ]


OTHER_FORMS: dict[str, Any] = {
    "JSON lines": lambda requests: "".join(
        json.dumps(json_format.MessageToDict(request, use_integers_for_enums=True)) + "\n" for request in requests
    ).encode(),
    "length-prefixed protobuf": lambda requests: framed(serialized(requests)),
}


@pytest.mark.parametrize("form", OTHER_FORMS)
def test_logs_and_metrics_are_imported_beside_spans_and_once(
    form: str, server: RunningServer, onejob: Run, tmp_path: Path
) -> None:
    service = a_service()
    file = tmp_path / "telemetry"
    spans = {"JSON lines": json_lines, "length-prefixed protobuf": FORMS["length-prefixed protobuf"]}[form]
    file.write_bytes(spans(some_requests(service, 1)) + OTHER_FORMS[form](others_of(service)))

    first = onejob("import", str(file), url=server.url)
    again = json.loads(onejob("import", str(file), "--json", url=server.url).stdout)

    assert first.returncode == 0, first.stderr
    assert "2 spans, 3 log records, 5 data points out of 3 requests" in first.stdout
    assert (again["spans"], again["log_records"], again["data_points"], again["repeated"]) == (0, 0, 0, 10)
    assert server.services.engine is not None
    assert stored(server.services.engine, service) == 2
    counts = {"otel_logs": 3} | {f"otel_metrics_{kind}": 1 for kind in POINTS}
    for table, count in counts.items():
        sql = f"SELECT count() AS n FROM {table} WHERE ServiceName = '{service}'"  # noqa: S608
        assert server.services.engine.query(sql).to_pylist() == [{"n": count}], table


@pytest.mark.parametrize("index", [0, 1])
def test_one_request_of_logs_or_metrics_is_a_file(
    index: int, server: RunningServer, onejob: Run, tmp_path: Path
) -> None:
    file = tmp_path / "telemetry"
    file.write_bytes(others_of(a_service())[index].SerializeToString())
    result = onejob("import", str(file), "--json", url=server.url)
    said = json.loads(result.stdout)
    assert (said["spans"], said["log_records"], said["data_points"]) == [(0, 3, 0), (0, 0, 5)][index]


def test_logs_and_metrics_older_than_they_are_kept_are_left_out_and_told(
    server: RunningServer, onejob: Run, tmp_path: Path
) -> None:
    service, old = a_service(), days_ago(300)
    kept, expired = a_record("kept", time_ns=days_ago(2)), a_record("expired", time_ns=old)
    requests = [a_log_request(kept, expired, service=service), a_metric_request(service, time_ns=old)]
    file = tmp_path / "telemetry"
    file.write_bytes(framed(serialized(requests)))
    result = onejob("import", str(file), url=server.url)
    assert result.returncode == 1
    assert "1 log record out of 2 requests" in result.stdout
    assert "6 spans, log records or data points are older than they are kept" in result.stderr


def test_requests_that_hold_nothing_are_counted(server: RunningServer, onejob: Run, tmp_path: Path) -> None:
    file = tmp_path / "telemetry.jsonl"
    file.write_bytes(json_lines(some_requests(a_service(), 1)) + b'{"resourceMetrics": []}\n\n{"resourceLogs": []}\n')
    result = onejob("import", str(file), url=server.url)
    assert result.returncode == 0, result.stderr
    assert "2 spans out of 3 requests" in result.stdout
    assert "2 requests" in result.stdout.partition("empty")[2]


def test_a_file_that_is_not_there_is_a_usage_error(server: RunningServer, onejob: Run, tmp_path: Path) -> None:
    result = onejob("import", str(tmp_path / "none"), url=server.url)
    assert result.returncode == 2
    assert "cannot be read (No such file or directory)" in result.stderr


def test_spans_that_retention_takes_are_never_eaten_silently(
    server: RunningServer, onejob: Run, tmp_path: Path
) -> None:
    """14 days for spans, 400 for counts, unless set otherwise."""
    service = a_service()
    file = tmp_path / "spans"
    requests = [*some_requests(service, 1, 3), *some_requests(service, 1, 20), *some_requests(service, 1, 500)]
    file.write_bytes(framed(serialized(requests)))
    result = onejob("import", str(file), url=server.url)
    assert result.returncode == 1
    assert "2 of these spans are older than spans are kept (ONEJOB_TRACES_RETENTION_DAYS)" in result.stderr
    assert "2 spans, log records or data points are older than they are kept" in result.stderr
    assert server.services.engine is not None
    assert counted(server.services.engine, service) == 4


def test_a_request_larger_than_the_server_takes_is_cut_and_recognised_again(
    server: RunningServer, onejob: Run, tmp_path: Path
) -> None:
    service = a_service()
    start = days_ago(1)
    parts = [
        a_request(a_span(start_ns=start, blob=os.urandom(PIECE_BYTES // 3).hex()), service=service) for _ in range(6)
    ]
    file = tmp_path / "spans"
    file.write_bytes(merged(parts).SerializeToString())
    assert file.stat().st_size > server.services.settings.max_request_bytes
    said = [json.loads(onejob("import", str(file), "--json", url=server.url).stdout) for _ in range(2)]
    assert [(one["spans"], one["repeated"]) for one in said] == [(6, 0), (0, 6)]


def test_bodies_that_stop_midway_are_counted_and_leave_no_room_for_more(server: RunningServer) -> None:
    intake = server.services.intake
    assert intake is not None
    memory = intake.door.memory
    host, port = server.url.removeprefix("http://").split(":")
    head = "POST /api/v1/import HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-ndjson\r\n"
    with socket.create_connection((host, int(port))) as half:
        half.sendall(f"{head}Content-Length: 1000\r\n\r\n".encode() + b"x" * 500)
        wait_until(lambda: memory.used == 500, "half a body in memory")
        memory.add(2**30)
        try:
            url, media = f"{server.url}/api/v1/import", {"content-type": "application/x-ndjson"}
            refused = httpx.post(url, content=b"{}", headers=media)
            assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        finally:
            memory.add(-(2**30))
    wait_until(lambda: memory.used == 0, "letting go of half a body")


def test_a_full_spool_makes_the_import_wait_and_loses_nothing(onejob: Run, tmp_path: Path) -> None:
    """Each request is a third of the spool, so the second group has to wait until some are stored."""
    service = a_service()
    start = days_ago(1)
    requests = [a_request(a_span(start_ns=start, blob="x" * 100_000), service=service) for _ in range(5)]
    file = tmp_path / "spans"
    file.write_bytes(framed(serialized(requests)))
    with running_server(tmp_path / "data", flush_interval_s=0.1, spool_max_bytes=310_000) as server:
        result = onejob("import", str(file), "--json", url=server.url)
        assert result.returncode == 0, result.stderr
        assert "The server has no room now: The spool is full" in result.stderr
        assert server.services.engine is not None
        assert stored(server.services.engine, service) == 5


def test_a_body_that_is_no_import_is_refused(server: RunningServer) -> None:
    import httpx

    for media_type, content, status in (
        ("text/plain", b"{}", 415),
        ("application/x-protobuf", b"\x00\x00\x00\x09abc", 400),
        ("application/x-ndjson", b"x" * (10 * 2**20), 413),
        ("application/x-ndjson", b"\n" * (2 * 2**20), 413),
        ("application/x-protobuf", bytes(2 * 2**20), 413),
    ):
        answer = httpx.post(f"{server.url}/api/v1/import", content=content, headers={"content-type": media_type})
        assert answer.status_code == status
        assert answer.json()["detail"]
