"""OpenTelemetry's own SDK for JavaScript sends traces, logs and metrics, in each of its three protocols; Winston pushes
log messages as to Loki, in each of its two. And what a client is told whose compression gRPC has not.

Needs Node.js and what `make test-js` gets from npm, so it is no part of the other tests.
"""

import base64
import gzip
import json
import subprocess
from pathlib import Path

import grpc
import pytest
from backports import zstd

from doors import Said
from onejob.ingest.service import Intake
from onejob.store.engine import Engine
from otlp_builders import a_payload, a_service, a_span

from .exported import Rows, check_data_points, rows_of
from .waiting import stored

HERE = Path(__file__).parent / "javascript"
LOCKED = json.loads((HERE / "package-lock.json").read_text())["packages"]
DOORS = {
    "traces": ("TraceService/Export", "/v1/traces", "a request that failed, with a query in it"),
    "logs": ("LogsService/Export", "/v1/logs", "a message, and an event whose body is a map"),
    "metrics": (
        "MetricsService/Export",
        "/v1/metrics",
        "a counter, an up-down counter, a gauge, two kinds of histogram",
    ),
}


def version(package: str) -> str:
    return str(LOCKED[f"node_modules/{package}"]["version"])


def node(*words: str) -> str:
    sent = subprocess.run(["node", *words], cwd=HERE, capture_output=True, text=True, check=False, timeout=60)
    assert (sent.returncode, sent.stderr) == (0, "")
    return sent.stdout


@pytest.mark.parametrize("protocol", ["grpc", "http/json", "http/protobuf"])
def test_what_javascript_sends_arrives(intake: Intake, engine: Engine, door: Said, protocol: str) -> None:
    service = a_service()
    port = intake.grpc_port if protocol == "grpc" else intake.http_port

    span = json.loads(node("send.mjs", protocol, f"http://127.0.0.1:{port}", service))

    rows = rows_of(engine, service)
    _check_spans(rows, span)
    _check_log_records(rows, span)
    check_data_points(rows)
    for kind, (method, path, what) in DOORS.items():
        form = "grpc" if protocol == "grpc" else "http" if protocol == "http/json" else "proto"
        release = version(f"@opentelemetry/exporter-{'trace' if kind == 'traces' else kind}-otlp-{form}")
        name = f"OpenTelemetry's exporter for JavaScript ({protocol})"
        door(method if protocol == "grpc" else path, name, release, what, engine, service)


@pytest.mark.parametrize("form", ["json", "protobuf"])
def test_what_winston_pushes_as_to_loki_arrives(intake: Intake, engine: Engine, door: Said, form: str) -> None:
    service = a_service()

    node("push.mjs", form, f"http://127.0.0.1:{intake.http_port}", service)

    failed, placed = rows_of(engine, service)("otel_logs", "SeverityNumber DESC")
    assert (failed["SeverityText"], failed["SeverityNumber"], failed["Version"]) == ("error", 17, "7")
    assert (placed["SeverityText"], placed["SeverityNumber"], placed["Version"]) == ("info", 9, "7")
    assert ("the order failed" in failed["Body"], "order 7 placed" in placed["Body"]) == (True, True)
    assert dict(failed["ResourceAttributes"])["tenant"] == "t-1"
    said = "two messages" + (", snappy" if form == "protobuf" else "")
    door("/loki/api/v1/push", f"winston-loki ({form})", version("winston-loki"), said, engine, service)


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_over_grpc_gzip_is_taken_and_zstd_refused_for_good(intake: Intake, engine: Engine, encoding: str) -> None:
    service, compress = a_service(), {"gzip": gzip.compress, "zstd": zstd.compress}[encoding]
    message = base64.b64encode(compress(a_payload(a_span(), service=service))).decode()

    told = json.loads(node("compressed.mjs", f"http://127.0.0.1:{intake.grpc_port}", encoding, message))

    assert intake.settle(60)
    if encoding == "gzip":
        assert (told["grpc-status"], stored(engine, service)) == ("0", 1)
    else:
        assert (told["grpc-status"], stored(engine, service)) == (str(grpc.StatusCode.INTERNAL.value[0]), 0)
        assert "grpc-encoding" in told["grpc-message"]


def _check_spans(rows: Rows, span: dict[str, str]) -> None:
    request, query = rows("otel_traces", "SpanName")
    assert (request["TraceId"], request["SpanId"]) == (span["traceId"], span["spanId"])
    assert (request["SpanName"], request["SpanKind"], request["Operation"]) == ("GET /cart", "Server", "GET /cart")
    assert (request["StatusCode"], request["StatusMessage"], request["IsFailed"]) == ("Error", "no database", True)
    assert (request["Version"], request["Instance"], request["ScopeName"]) == ("7", "i", "shop")
    assert dict(request["SpanAttributes"]) == {
        "http.route": "/cart",
        "tenant.id": "t-1",
        "http.response.status_code": "503",
        "ratio": "0.5",
    }
    assert (query["TraceId"], query["ParentSpanId"], query["SpanKind"]) == (span["traceId"], span["spanId"], "Client")
    assert query["Events.Name"] == ["exception"]
    (exception,) = (dict(attributes) for attributes in query["Events.Attributes"])
    assert (exception["exception.type"], exception["exception.message"]) == ("RangeError", "no such item")


def _check_log_records(rows: Rows, span: dict[str, str]) -> None:
    failed, placed = rows("otel_logs", "SeverityNumber DESC")
    assert (failed["Body"], failed["SeverityText"], failed["SeverityNumber"]) == ("the order failed", "WARN", 13)
    assert (failed["TraceId"], failed["SpanId"]) == (span["traceId"], span["spanId"])
    attributes = dict(failed["LogAttributes"])
    assert (attributes["tenant"], json.loads(attributes["items"])) == ("t-1", [1, 2])
    assert (json.loads(placed["Body"]), placed["EventName"]) == ({"order": 7, "paid": False}, "order.placed")
    assert (placed["TraceId"], placed["Version"], placed["ScopeVersion"]) == ("", "7", "1.2")
