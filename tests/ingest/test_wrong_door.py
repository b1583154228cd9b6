"""Telemetry of one kind at the door of another, which can often be read there, with nothing in it that was meant."""

import json
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf import json_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from onejob.ingest.errors import BadRequest
from onejob.ingest.kind_of import kind_by_time, kind_of_json, kind_of_protobuf
from onejob.ingest.otlp_grpc import EXPORTS
from onejob.ingest.service import Intake
from onejob.ingest.validate import JSON_CHECKS, PROTOBUF_CHECKS
from onejob.model.telemetry import KINDS, Kind
from otlp_builders import a_log_request, a_metric_request, a_moment, a_record, a_request, a_span
from otlp_strategies import log_requests, metric_requests

DOORS = [(sent, door) for sent in KINDS for door in KINDS if sent != door]
_MADE = {
    "traces": st.just(a_request(a_span(), a_span(start_ns=0, duration_s=0))),
    "logs": log_requests("s"),
    "metrics": metric_requests("s"),
}
SOME = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))


def a_deceiving_metric() -> ExportMetricsServiceRequest:
    """Its name and description have the sizes of a span's ids."""
    request = ExportMetricsServiceRequest()
    metric = request.resource_metrics.add().scope_metrics.add().metrics.add(name="a" * 16, description="b" * 8)
    metric.summary.data_points.add(time_unix_nano=a_moment(), count=1)
    return request


def requests_of(kind: Kind) -> Iterator[Any]:
    """The second is one that the doors of the others can read."""
    if kind == "traces":
        yield a_request(a_span(), a_span())
        yield a_request(a_span(name="", trace_id=b"a" * 16, span_id=b"b" * 8))
    elif kind == "logs":
        yield a_log_request(a_record(), a_record(trace_id=b"c" * 16, span_id=b"d" * 8))
        yield a_log_request(a_record(None, time_ns=0, observed_time_unix_nano=a_moment()))
    else:
        yield a_metric_request()
        yield a_deceiving_metric()


@pytest.mark.parametrize(("sent", "door"), DOORS)
def test_protobuf_at_the_wrong_door_is_refused_with_where_to_send_it(sent: Kind, door: Kind) -> None:
    for request in requests_of(sent):
        with pytest.raises(BadRequest, match=f"let the exporter send its {sent} to /v1/{sent}"):
            PROTOBUF_CHECKS[door](request.SerializeToString())


@pytest.mark.parametrize(("sent", "door"), DOORS)
def test_json_at_the_wrong_door_is_refused_with_where_to_send_it(sent: Kind, door: Kind) -> None:
    body = json.dumps(json_format.MessageToDict(next(requests_of(sent)), use_integers_for_enums=True)).encode()
    with pytest.raises(BadRequest, match=f"let the exporter send its {sent} to /v1/{sent}"):
        JSON_CHECKS[door](body)


def test_the_answer_is_one_that_clients_do_not_repeat(intake: Intake) -> None:
    spans = a_request(a_span(name="")).SerializeToString()
    before = intake.stats()

    url = f"http://127.0.0.1:{intake.http_port}/v1/logs"
    answer = httpx.post(url, content=spans, headers={"content-type": "application/x-protobuf"})
    with grpc.insecure_channel(f"127.0.0.1:{intake.grpc_port}") as channel, pytest.raises(grpc.RpcError) as refusal:
        channel.unary_unary(next(method for method, kind in EXPORTS.items() if kind == "logs"))(spans)

    assert (answer.status_code, refusal.value.code()) == (400, grpc.StatusCode.INVALID_ARGUMENT)
    assert refusal.value.details() == (
        "These are spans, and this is where log records are taken: let the exporter send its traces to /v1/traces "
        "(over gRPC, to TraceService)."
    )
    after = intake.stats()
    assert (after.logs, after.accepted_requests) == (before.logs, before.accepted_requests)


@SOME
@given(st.data())
def test_a_request_is_taken_at_its_own_door_and_at_no_other(data: st.DataObject) -> None:
    """Whatever it lacks; but one without any time may be read as another."""
    kind = data.draw(st.sampled_from(KINDS))
    request = data.draw(_MADE[kind])
    body = request.SerializeToString()

    assert PROTOBUF_CHECKS[kind](body).kind == kind
    assert kind_by_time(body) in (kind, None)
    for door in KINDS:
        if door != kind and kind_by_time(body):
            with pytest.raises(BadRequest):
                PROTOBUF_CHECKS[door](body)
    if kind_by_time(body):
        assert kind_of_protobuf(body) == kind
    assert kind_of_json(json_format.MessageToJson(request).encode()) == kind


def test_without_a_time_what_else_there_is_tells_the_kind() -> None:
    unmeasured = ExportMetricsServiceRequest()
    metrics = unmeasured.resource_metrics.add().scope_metrics.add().metrics
    metrics.add(name="orders", description="placed").sum.is_monotonic = True
    timeless = {
        "traces": a_request(a_span(start_ns=0, duration_s=0)),
        "logs": a_log_request(a_record("it works", time_ns=0)),
        "metrics": unmeasured,
    }
    for kind, request in timeless.items():
        assert kind_by_time(request.SerializeToString()) is None
        assert kind_of_protobuf(request.SerializeToString()) == kind
