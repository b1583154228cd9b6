"""Logs and metrics at the doors: what is different from traces, or must be the same."""

import gzip
import json
from collections.abc import Callable
from typing import Any

import grpc
import httpx
import pytest
from backports import zstd
from google.protobuf import json_format
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)

from onejob.ingest import nested
from onejob.ingest.kind_of import kind_of_json, kind_of_protobuf
from onejob.ingest.otlp_grpc import EXPORTS
from onejob.ingest.service import Intake
from onejob.model.telemetry import KINDS, POINTS, Kind
from onejob.store.engine import Engine
from otlp_builders import a_log_request, a_metric_request, a_record, a_service

from .waiting import wait_until

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json"}
METHODS = {kind: method for method, kind in EXPORTS.items()}


def a_request_of(kind: Kind, service: str) -> Any:
    return a_log_request(a_record(), service=service) if kind == "logs" else a_metric_request(service)


def tables_of(kind: Kind) -> list[str]:
    return ["otel_logs"] if kind == "logs" else [f"otel_metrics_{point}" for point in POINTS]


def counts_of(engine: Engine, kind: Kind, service: str) -> list[int]:
    """Rows in each of its tables."""
    count = "(SELECT count() FROM {} WHERE ServiceName = {{service:String}})"
    counts = ", ".join(count.format(table) for table in tables_of(kind))
    found: list[int] = engine.query(f"SELECT [{counts}] AS n", {"service": service}).to_pylist()[0]["n"]
    return found


def once_each(kind: Kind) -> list[int]:
    return [1] * len(tables_of(kind))


@pytest.fixture(params=["logs", "metrics"])
def kind(request: pytest.FixtureRequest) -> Kind:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture
def post(intake: Intake) -> Callable[..., httpx.Response]:
    def post(kind: Kind, body: bytes, **headers: str) -> httpx.Response:
        url = f"http://127.0.0.1:{intake.http_port}/v1/{kind}"
        return httpx.post(url, content=body, headers=PROTOBUF | {k.replace("_", "-"): v for k, v in headers.items()})

    return post


Post = Callable[..., httpx.Response]


@pytest.mark.parametrize("encoding", ["", "gzip", "zstd"])
def test_they_are_stored_over_http(post: Post, engine: Engine, kind: Kind, encoding: str) -> None:
    service = a_service()
    body = a_request_of(kind, service).SerializeToString()
    compress = {"": bytes, "gzip": gzip.compress, "zstd": zstd.compress}[encoding]

    answer = post(kind, compress(body), content_encoding=encoding)

    assert (answer.status_code, answer.content) == (200, b"")
    wait_until(lambda: counts_of(engine, kind, service) == once_each(kind), "storing")


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_they_are_stored_over_grpc(intake: Intake, engine: Engine, kind: Kind, compression: grpc.Compression) -> None:
    service = a_service()
    body = a_request_of(kind, service).SerializeToString()

    with grpc.insecure_channel(f"127.0.0.1:{intake.grpc_port}", compression=compression) as channel:
        assert channel.unary_unary(METHODS[kind])(body) == b""

    wait_until(lambda: counts_of(engine, kind, service) == once_each(kind), "storing")


def test_what_is_sent_again_is_acknowledged_and_stored_once(post: Post, engine: Engine, kind: Kind) -> None:
    service = a_service()
    body = a_request_of(kind, service).SerializeToString()

    for _ in range(3):
        assert post(kind, body).status_code == 200

    other = a_request_of(kind, f"{service}-other").SerializeToString()
    assert post(kind, other).status_code == 200
    wait_until(lambda: counts_of(engine, kind, f"{service}-other") == once_each(kind), "storing")
    assert counts_of(engine, kind, service) == once_each(kind)


def test_json_has_ids_in_hex_where_logs_and_exemplars_have_any(post: Post, engine: Engine) -> None:
    service, trace, span = a_service(), "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"
    logs = as_dict(a_log_request(a_record(trace_id=bytes.fromhex(trace), span_id=bytes.fromhex(span)), service=service))
    record = logs["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]
    record["traceId"], record["spanId"] = trace.upper(), span
    request = a_metric_request(service)
    for metric in request.resource_metrics[0].scope_metrics[0].metrics[:4]:
        point = getattr(metric, metric.WhichOneof("data")).data_points[0]
        point.exemplars.add(as_double=1.5, trace_id=bytes.fromhex(trace), span_id=bytes.fromhex(span))
    metrics = as_dict(request)
    for metric in metrics["resourceMetrics"][0]["scopeMetrics"][0]["metrics"][:4]:
        (data,) = (metric[name] for name in ("gauge", "sum", "histogram", "exponentialHistogram") if name in metric)
        data["dataPoints"][0]["exemplars"][0] |= {"traceId": trace, "spanId": span}

    assert post("logs", json.dumps(logs).encode(), content_type=JSON["content-type"]).json() == {}
    assert post("metrics", json.dumps(metrics).encode(), content_type=JSON["content-type"]).json() == {}

    for kind in ("logs", "metrics"):
        wait_until(lambda kind=kind: counts_of(engine, kind, service) == once_each(kind), "storing")
    where = f"WHERE ServiceName = '{service}'"
    ids = engine.query(f"SELECT TraceId, SpanId FROM otel_logs {where}").to_pylist()  # noqa: S608
    assert ids == [{"TraceId": trace, "SpanId": span}]
    for point in POINTS[:4]:
        sql = f"SELECT Exemplars.TraceId AS t, Exemplars.SpanId AS s FROM otel_metrics_{point} {where}"  # noqa: S608
        assert engine.query(sql).to_pylist() == [{"t": [trace], "s": [span]}]


def as_dict(message: Message) -> dict[str, Any]:
    found: dict[str, Any] = json_format.MessageToDict(message, use_integers_for_enums=True)
    return found


@pytest.mark.parametrize(
    ("kind", "body", "media"),
    [
        ("logs", b"\xff\xff\xff\xff", PROTOBUF),
        ("logs", b'{"resourceLogs": []}', PROTOBUF),
        ("logs", b'{"resourceLogs": 7}', JSON),
        ("logs", b'{"resourceLogs": [{"scopeLogs": [{"logRecords": ["x"]}]}]}', JSON),
        ("logs", b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [{"traceId": "not hex"}]}]}]}', JSON),
        ("metrics", a_metric_request().SerializeToString()[:-3], PROTOBUF),
        ("metrics", b"not json", JSON),
        ("metrics", b'{"resourceMetrics": [{"scopeMetrics": [{"metrics": [7]}]}]}', JSON),
        ("metrics", b'{"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"gauge": {"dataPoints": 7}}]}]}]}', JSON),
        ("metrics", b'{"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"sum": {"dataPoints": [7]}}]}]}]}', JSON),
    ],
    ids=range(10),
)
def test_malformed_bodies_are_refused_for_good(post: Post, kind: Kind, body: bytes, media: dict[str, str]) -> None:
    answer = post(kind, body, content_type=media["content-type"])

    assert answer.status_code == 400
    assert "retry-after" not in answer.headers
    said = answer.json()["message"] if media is JSON else Status.FromString(answer.content).message
    name = {"logs": "ExportLogsServiceRequest", "metrics": "ExportMetricsServiceRequest"}[kind]
    assert name in said or "OTLP/JSON" in said


_MANY = 300_000


def _inside(content: bytes, *fields: int) -> bytes:
    """In messages of these field numbers, from the outside in."""
    for number in reversed(fields):
        size, prefix = len(content), bytearray([number << 3 | 2])
        while size > 127:
            prefix.append(size & 127 | 128)
            size >>= 7
        content = bytes([*prefix, size]) + content
    return content


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("logs", b"\x0a\x00" * _MANY),
        ("logs", _inside(b"\x12\x00" * _MANY, 1)),
        ("logs", _inside(b"\x12\x00" * _MANY, 1, 2)),
        ("metrics", _inside(b"\x12\x00" * _MANY, 1)),
        ("metrics", _inside(b"\x12\x00" * _MANY, 1, 2)),
        ("metrics", _inside(b"\x0a\x00" * _MANY, 1, 2, 2, 5)),
    ],
    ids=["resources", "scopes", "records", "scopes of metrics", "metrics", "points"],
)
def test_countless_empty_messages_are_refused_before_each_is_looked_at(post: Post, kind: Kind, body: bytes) -> None:
    answer = post(kind, gzip.compress(body), content_encoding="gzip")

    assert answer.status_code == 400
    assert b"mostly empty" in answer.content


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("traces", _inside(b"\x0a\x00" * _MANY, 1, 1)),
        ("traces", _inside(b"\x1a\x00" * _MANY, 1, 2, 1)),
        ("traces", _inside(b"\x4a\x00" * _MANY, 1, 2, 2)),
        ("traces", _inside(b"\x5a\x00" * _MANY, 1, 2, 2)),
        ("traces", _inside(b"\x6a\x00" * _MANY, 1, 2, 2)),
        ("traces", _inside(b"\x1a\x00" * _MANY, 1, 2, 2, 11)),
        ("logs", _inside(b"\x32\x00" * _MANY, 1, 2, 2)),
        ("metrics", _inside(b"\x3a\x00" * _MANY, 1, 2, 2, 5, 1)),
        ("metrics", _inside(b"\x32\x00" * _MANY, 1, 2, 2, 11, 1)),
    ],
    ids=[
        "attributes of a resource", "of a scope", "of a span", "events", "links", "attributes of an event",
        "of a log record", "of a point", "quantiles",
    ],
)  # fmt: skip
def test_countless_empty_parts_of_one_item_are_refused_too(post: Post, kind: Kind, body: bytes) -> None:
    answer = post(kind, gzip.compress(body), content_encoding="gzip")

    assert answer.status_code == 400
    assert b"mostly empty" in answer.content


@pytest.mark.parametrize("odd", [0, 10], ids=["usual", "some with odd tags"])
@pytest.mark.parametrize("path", [(1, 2, 2, 5, 5), (1, 2, 2, 6, 2, 6, 1, 2, 5)], ids=["body", "map of an attribute"])
def test_values_within_values_are_refused_where_they_are_millions(post: Post, path: tuple[int, ...], odd: int) -> None:
    body = _inside(b"\x0a\x00" * (nested.MOST + 1 - odd) + b"\x8a\x00\x00" * odd, *path)

    answer = post("logs", gzip.compress(body), content_encoding="gzip")

    assert answer.status_code == 400
    assert f"more than {nested.MOST}" in answer.text


def test_a_text_may_have_as_many_lines_as_it_likes(post: Post) -> None:
    body = a_log_request(a_record("\n" * (nested.MOST + 1))).SerializeToString()
    assert post("logs", gzip.compress(body), content_encoding="gzip").status_code == 200


def test_an_empty_request_is_a_success(post: Post, kind: Kind) -> None:
    assert post(kind, b"").status_code == 200
    assert post(kind, b"{}", content_type=JSON["content-type"]).status_code == 200


def with_bad_points() -> tuple[ExportMetricsServiceRequest, str]:
    """Beside one good point of each kind: a histogram without room for its counts, one whose bounds fall, and a summary
    with a quantile that is none.
    """
    service = a_service()
    request = a_metric_request(service)
    metrics = request.resource_metrics[0].scope_metrics[0].metrics
    metrics[2].histogram.data_points.add(bucket_counts=[1, 2, 3], explicit_bounds=[0.25])
    metrics[2].histogram.data_points.add(bucket_counts=[1, 2, 3], explicit_bounds=[2.0, 1.0])
    metrics[4].summary.data_points.add().quantile_values.add(quantile=1.5)
    return request, service


def test_a_request_with_some_bad_points_is_a_partial_success(post: Post, engine: Engine, intake: Intake) -> None:
    request, service = with_bad_points()

    answer = post("metrics", request.SerializeToString())

    partial = ExportMetricsServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, partial.rejected_data_points) == (200, 3)
    assert partial.error_message.startswith(
        "3 of 8 data points were refused. The first: A histogram point of 'duration'"
    )
    wait_until(lambda: counts_of(engine, "metrics", service) == once_each("metrics"), "storing")
    assert intake.stats().metrics.rejected >= 3


def test_a_request_with_nothing_but_bad_points_is_refused(intake: Intake) -> None:
    request, _ = with_bad_points()
    metrics = request.resource_metrics[0].scope_metrics[0].metrics
    del metrics[2].histogram.data_points[0], metrics[4], metrics[3], metrics[1], metrics[0]

    with grpc.insecure_channel(f"127.0.0.1:{intake.grpc_port}") as channel, pytest.raises(grpc.RpcError) as refusal:
        channel.unary_unary(METHODS["metrics"])(request.SerializeToString())

    assert refusal.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "has 3 counts for 1 bounds" in refusal.value.details()


def test_a_log_record_of_no_span_and_no_time_is_stored_as_of_now(post: Post, engine: Engine) -> None:
    service = a_service()
    record = a_record(time_ns=0, trace_id=b"short", span_id=bytes(8))

    answer = post("logs", a_log_request(record, service=service).SerializeToString())

    assert ExportLogsServiceResponse.FromString(answer.content).partial_success.rejected_log_records == 0
    wait_until(lambda: counts_of(engine, "logs", service) == [1], "storing")
    columns = "TraceId, SpanId, age('s', Timestamp, now64(9)) < 600 AS now"
    kept = engine.query(f"SELECT {columns} FROM otel_logs WHERE ServiceName = '{service}'").to_pylist()  # noqa: S608
    assert kept == [{"TraceId": "", "SpanId": "", "now": 1}]


def test_profiles_are_refused_with_what_to_do(intake: Intake) -> None:
    url = f"http://127.0.0.1:{intake.http_port}/v1development/profiles"

    answer = httpx.post(url, content=b"\x0a\x00", headers=PROTOBUF)

    assert answer.status_code == 404
    assert "take profiles out of this exporter" in Status.FromString(answer.content).message
    method = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export"
    with grpc.insecure_channel(f"127.0.0.1:{intake.grpc_port}") as channel, pytest.raises(grpc.RpcError) as refusal:
        channel.unary_unary(method)(b"\x0a\x00")
    assert refusal.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "take profiles out of this exporter" in refusal.value.details()


def test_what_came_is_counted_by_kind(post: Post, intake: Intake, kind: Kind) -> None:
    before = getattr(intake.stats(), kind)

    post(kind, a_request_of(kind, a_service()).SerializeToString())

    wait_until(lambda: getattr(intake.stats(), kind).stored > before.stored, "storing")
    after = getattr(intake.stats(), kind)
    sent = len(tables_of(kind))
    assert (after.accepted_requests, after.accepted) == (before.accepted_requests + 1, before.accepted + sent)


@given(st.binary(max_size=60))
def test_of_which_kind_garbage_is_does_not_matter(garbage: bytes) -> None:
    assert kind_of_protobuf(garbage) in KINDS
    assert kind_of_json(garbage) in KINDS
