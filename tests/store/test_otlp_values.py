"""Spans, log records and data points come back as they were sent, field by field, on both engines: generated requests,
decoded by protobuf's own classes here and by the engine there. That they come so through each door is tested beside
the doors (`ingest/test_every_field.py`).
"""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onejob.model.telemetry import POINTS
from onejob.store.engine import Engine
from onejob.store.errors import QueryFailed
from otlp_builders import a_log_request, a_metric_request, a_record, a_service
from otlp_rows import assert_same, log_rows, point_rows, rows_of, span_rows
from otlp_strategies import log_requests, metric_requests, trace_requests

FEW = settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))


@FEW
@given(st.data())
def test_spans_are_kept_as_they_were_sent(engine: Engine, data: st.DataObject) -> None:
    service = a_service()
    request = data.draw(trace_requests(service))

    engine.insert_traces(request.SerializeToString(), a_service())

    assert_same(rows_of(engine, "otel_traces", service, "Duration"), span_rows(request))


@FEW
@given(st.data())
def test_log_records_are_kept_as_they_were_sent(engine: Engine, data: st.DataObject) -> None:
    service = a_service()
    request = data.draw(log_requests(service))

    engine.insert("otel_logs", request.SerializeToString(), a_service())

    assert_same(rows_of(engine, "otel_logs", service, "toUInt32(SeverityText)"), log_rows(request))


@FEW
@given(st.data())
def test_data_points_are_kept_as_they_were_sent(engine: Engine, data: st.DataObject) -> None:
    service, token = a_service(), a_service()
    request = data.draw(metric_requests(service))

    for kind in POINTS:
        engine.insert(f"otel_metrics_{kind}", request.SerializeToString(), token)

    for kind in POINTS:
        assert_same(rows_of(engine, f"otel_metrics_{kind}", service, "Flags"), point_rows(request, kind))


@pytest.mark.parametrize("table", ["otel_logs", *(f"otel_metrics_{kind}" for kind in POINTS)])
def test_the_columns_of_the_resource_are_those_of_its_spans(engine: Engine, table: str) -> None:
    service = a_service()
    resource = {"service.version": "7", "deployment.environment": "staging", "host.name": "h", "process.pid": 3}
    request = (
        a_log_request(a_record(), service=service, resource=resource)
        if table == "otel_logs"
        else a_metric_request(service, resource=resource)
    )

    engine.insert(table, request.SerializeToString(), a_service())

    (row,) = rows_of(engine, table, service, "ServiceName")
    assert (row["Environment"], row["Version"], row["VersionSource"]) == ("staging", "7", "service.version")
    assert (row["Build"], row["Instance"]) == ("", "h:3")


def test_what_a_collector_writes_gets_the_columns_of_the_resource_too(engine: Engine) -> None:
    service = a_service()
    resource = "map('service.version', '9', 'host.name', 'h')"
    params = {"service": service}
    engine.execute(
        "INSERT INTO otel_logs (Timestamp, ServiceName, Body, ResourceAttributes) "
        f"SELECT now64(9), {{service:String}}, 'x', {resource}",
        params,
    )
    engine.execute(
        "INSERT INTO otel_metrics_gauge (TimeUnix, ServiceName, MetricName, Value, ResourceAttributes) "
        f"SELECT now64(9), {{service:String}}, 'm', 1.5, {resource}",
        params,
    )

    for table in ("otel_logs", "otel_metrics_gauge"):
        (row,) = rows_of(engine, table, service, "ServiceName")
        assert (row["Version"], row["Instance"]) == ("9", "h")


def test_times_beyond_the_columns_range_do_no_harm(engine: Engine) -> None:
    service = a_service()
    far = a_log_request(a_record(time_ns=2**64 - 1), a_record(), service=service)

    engine.insert("otel_logs", far.SerializeToString(), a_service())
    engine.insert("otel_metrics_sum", a_metric_request(service, time_ns=2**64 - 1).SerializeToString(), a_service())

    assert rows_of(engine, "otel_logs", service, "ServiceName")


def test_a_severity_that_is_none_is_unspecified(engine: Engine) -> None:
    service = a_service()
    request = a_log_request(a_record(severity_number=-5), a_record(severity_number=300), service=service)

    engine.insert("otel_logs", request.SerializeToString(), a_service())

    assert [row["SeverityNumber"] for row in rows_of(engine, "otel_logs", service, "ServiceName")] == [0, 0]


def test_bytes_that_are_no_request_fail_for_good_and_store_nothing(engine: Engine) -> None:
    service = a_service()
    good = a_log_request(a_record(), service=service).SerializeToString()

    with pytest.raises(QueryFailed):
        engine.insert("otel_logs", good + b"\xff\xff\xff", a_service())

    assert rows_of(engine, "otel_logs", service, "ServiceName") == []
