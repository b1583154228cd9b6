"""OpenTelemetry's own SDK for JavaScript sends traces, logs and metrics, in each of its three protocols.

Needs Node.js and what `make test-js` gets from npm, so it is no part of the other tests.
"""

import json
import subprocess
from pathlib import Path

import pytest

from onejob.ingest.service import Intake
from onejob.store.engine import Engine
from otlp_builders import a_service

from .exported import Rows, check_data_points, rows_of

HERE = Path(__file__).parent / "javascript"


@pytest.mark.parametrize("protocol", ["grpc", "http/json", "http/protobuf"])
def test_what_javascript_sends_arrives(intake: Intake, engine: Engine, protocol: str) -> None:
    service = a_service()
    port = intake.grpc_port if protocol == "grpc" else intake.http_port

    command = ["node", "send.mjs", protocol, f"http://127.0.0.1:{port}", service]
    sent = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False, timeout=60)

    assert (sent.returncode, sent.stderr) == (0, "")
    span = json.loads(sent.stdout)
    rows = rows_of(engine, service)
    _check_spans(rows, span)
    _check_log_records(rows, span)
    check_data_points(rows)


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
