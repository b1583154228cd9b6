"""What every engine must do. Runs against chDB and against a real ClickHouse server, upon the database of a project:
the one that was always there is the same code under another name.
"""

import base64
import json
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from onejob.config import Settings
from onejob.model.evidence import Cell
from onejob.store.databases import open_database
from onejob.store.engine import Engine
from onejob.store.errors import EngineUnavailable, QueryFailed
from onejob.store.expressions import span_columns
from onejob.store.rollup import clock_skew, read_cells, series, totals, versions_seen
from onejob.store.sql import array_of_strings, drop_table, quote, quote_name, read_query
from otlp_builders import a_moment, a_payload, a_request, a_service, a_span, attributes_of

Answer = TypeVar("Answer")
ALL_TIME = {"since": 946_684_800, "until": 4_000_000_000}
HOSTILE = "<script>alert('x')</script> \"quoted\" back\\slash NUL\0 é 😀 ${x} {y:String}"


@pytest.fixture(scope="module")
def engine(engine: Engine) -> Iterator[Engine]:
    opened = open_database(engine, Settings(), "acceptance")
    yield opened
    opened.close()


def spans_of(engine: Engine, service: str) -> list[dict[str, object]]:
    sql = "SELECT * FROM otel_traces WHERE ServiceName = {service:String} ORDER BY Timestamp"
    rows: list[dict[str, object]] = engine.query(sql, {"service": service}).to_pylist()
    return rows


def cells_of(engine: Engine, service: str, environment: str = "production") -> list[Cell]:
    return read_cells(engine, service=service, environment=environment, default_environment="production", **ALL_TIME)


def count_of(cells: list[Cell]) -> int:
    return sum(cell.count for cell in cells)


def test_rows_that_were_dumped_are_loaded_as_they_were_and_once_under_a_token(engine: Engine) -> None:
    service, copy = a_service(), f"copy_of_{a_service().replace('-', '_')}"
    span = a_span(HOSTILE, odd=HOSTILE)
    span.events.add(name="e", time_unix_nano=a_moment(), attributes=attributes_of({"k": HOSTILE}))
    engine.insert_traces(a_payload(span, service=service), service)
    columns = ["Timestamp", "SpanName", "ServiceName", "SpanAttributes", "Events.Timestamp", "Events.Attributes"]
    listed = ", ".join(map(quote_name, columns))
    engine.execute(f"CREATE TABLE {quote_name(copy)} AS otel_traces")

    rows = engine.dump(f"SELECT {listed} FROM otel_traces WHERE ServiceName = {quote(service)}")  # noqa: S608
    for _ in range(2):
        engine.load(copy, columns, rows, "t")

    (kept,) = spans_of(engine, service)
    (found,) = engine.query(f"SELECT {listed} FROM {quote_name(copy)}").to_pylist()  # noqa: S608
    assert found == {column: kept[column] for column in columns}
    drop_table(engine, copy)


def test_a_span_is_kept_as_the_collectors_exporter_keeps_it(engine: Engine) -> None:
    service, start = a_service(), a_moment()
    span = a_span("GET /cart", start_ns=start, duration_s=1.5, error=True, parent=b"\1" * 8, http__route="/cart")
    span.trace_state, span.status.message = "k=v", "it broke"
    span.events.add(name="exception", time_unix_nano=start + 5, attributes=attributes_of({"exception.type": "E"}))
    span.links.add(
        trace_id=b"\2" * 16, span_id=b"\3" * 8, trace_state="l=1", attributes=attributes_of({"why": "retry"})
    )

    engine.insert_traces(a_payload(span, service=service, resource={"host.name": "h"}), a_service())

    (row,) = spans_of(engine, service)
    assert row["TraceId"] == span.trace_id.hex()
    assert row["SpanId"] == span.span_id.hex()
    assert row["ParentSpanId"] == "01" * 8
    assert (row["TraceState"], row["SpanName"], row["SpanKind"]) == ("k=v", "GET /cart", "Server")
    assert dict(row["ResourceAttributes"]) == {"service.name": service, "host.name": "h"}
    assert (row["ScopeName"], row["ScopeVersion"]) == ("tests", "1.0")
    assert dict(row["SpanAttributes"]) == {"http.route": "/cart"}
    assert (row["Duration"], row["StatusCode"], row["StatusMessage"]) == (1_500_000_000, "Error", "it broke")
    assert row["Timestamp"].timestamp() == start / 1e9  # type: ignore[attr-defined]
    assert row["Events.Name"] == ["exception"]
    assert dict(row["Events.Attributes"][0]) == {"exception.type": "E"}
    assert row["Events.Timestamp"][0].value == start + 5
    assert (row["Links.TraceId"], row["Links.SpanId"], row["Links.TraceState"]) == (["02" * 16], ["03" * 8], ["l=1"])
    assert dict(row["Links.Attributes"][0]) == {"why": "retry"}


def test_attribute_values_of_every_type_become_the_collectors_text(engine: Engine) -> None:
    service = a_service()
    nested = {"list": [1, "two", [True, None]], "deep": {"é": 2.5, "raw": b"\xff\0"}}
    values = {
        "s": HOSTILE, "i": -(2**63), "b": False, "d": 1.5e300, "half": 0.5, "y": b"\xff\0", "a": ["x", "é"],
        "k": nested, "none": None, "empty list": [], "empty map": {},
    }  # fmt: skip
    span = a_span()
    span.attributes.extend(attributes_of(values))

    engine.insert_traces(a_payload(span, service=service), a_service())

    kept = dict(spans_of(engine, service)[0]["SpanAttributes"])
    assert kept["s"] == HOSTILE
    assert (kept["i"], kept["b"], kept["half"], kept["none"]) == ("-9223372036854775808", "false", "0.5", "")
    assert float(kept["d"]) == 1.5e300
    assert base64.b64decode(kept["y"]) == b"\xff\0"
    assert json.loads(kept["a"]) == ["x", "é"]
    assert json.loads(kept["k"]) == nested | {"deep": {"é": 2.5, "raw": base64.b64encode(b"\xff\0").decode()}}
    assert (kept["empty list"], kept["empty map"]) == ("[]", "{}")


def test_requests_one_after_another_are_one_request(engine: Engine) -> None:
    first, second = a_service(), a_service()
    together = a_payload(a_span(), service=first) + a_payload(a_span(), a_span(), service=second)

    engine.insert_traces(together, a_service())

    assert (len(spans_of(engine, first)), len(spans_of(engine, second))) == (1, 2)


def test_the_same_token_stores_once_in_the_table_and_in_the_rollup(engine: Engine) -> None:
    service, token = a_service(), a_service()
    payload = a_payload(*(a_span() for _ in range(10)), service=service)

    for _ in range(3):
        engine.insert_traces(payload, token)

    assert len(spans_of(engine, service)) == 10
    assert count_of(cells_of(engine, service)) == 10


def test_equal_bytes_under_two_tokens_are_two_batches(engine: Engine) -> None:
    service = a_service()
    payload = a_payload(a_span(), service=service)

    engine.insert_traces(payload, a_service())
    engine.insert_traces(payload, a_service())

    assert len(spans_of(engine, service)) == 2
    assert count_of(cells_of(engine, service)) == 2


def test_a_cell_counts_requests_errors_and_durations_of_the_bin_they_ended_in(engine: Engine) -> None:
    service, start = a_service(), a_moment()
    spans = [
        a_span(start_ns=start, duration_s=1.0),
        a_span(start_ns=start, duration_s=0.25, error=True),
        a_span(start_ns=start, duration_s=0.0),
        a_span(start_ns=start, duration_s=12.0),
    ]
    resource = {"service.version": "7", "service.instance.id": "i-1"}

    engine.insert_traces(a_payload(*spans, service=service, resource=resource), a_service())

    first, second = cells_of(engine, service)
    assert (first.version, first.instance, first.operation) == ("7", "i-1", "GET /cart")
    assert (first.bin_start, second.bin_start) == (start // 10**9, start // 10**9 + 10)
    assert (first.count, first.errors, first.zeros) == (3, 1, 1)
    assert first.sum_s == pytest.approx(1.25)
    assert first.sum_sq_s2 == pytest.approx(1.0625)
    assert first.buckets == {-1: 1, -65: 1}  # upper edges belong to their bucket: 1 s and 2^-2 s are edges
    assert second.buckets == {math.ceil(math.log2(12.0) * 32) - 1: 1}


@pytest.mark.parametrize("duration_ns", [1, 999, 1_000_000, 3_141_592_653, 86_400 * 10**9])
def test_a_duration_falls_into_the_bucket_whose_edges_enclose_it(engine: Engine, duration_ns: int) -> None:
    service = a_service()
    span = a_span()
    span.end_time_unix_nano = span.start_time_unix_nano + duration_ns

    span.start_time_unix_nano -= duration_ns
    span.end_time_unix_nano -= duration_ns
    engine.insert_traces(a_payload(span, service=service), a_service())

    ((index, count),) = cells_of(engine, service)[0].buckets.items()
    assert count == 1
    assert 2 ** (index / 32) * (1 - 1e-9) <= duration_ns / 1e9 <= 2 ** ((index + 1) / 32) * (1 + 1e-9)


def test_telemetry_without_an_environment_belongs_to_the_default_one(engine: Engine) -> None:
    service = a_service()
    engine.insert_traces(a_payload(a_span(), service=service), a_service())
    named = {"deployment.environment.name": "staging", "deployment.environment": "old name"}
    engine.insert_traces(a_payload(a_span(), a_span(), service=service, resource=named), a_service())

    assert count_of(cells_of(engine, service, "production")) == 1
    assert count_of(cells_of(engine, service, "staging")) == 2
    assert count_of(cells_of(engine, service, "old name")) == 0


DIGEST = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"


@pytest.mark.parametrize(
    ("resource", "version", "build", "source"),
    [
        ({}, "", "", ""),
        ({"service.version": "1.2"}, "1.2", "", "service.version"),
        ({"service.version": "1.2", "oci.manifest.digest": DIGEST}, "1.2", "0123456789ab", "service.version"),
        ({"container.image.repo_digests": [f"r/a@{DIGEST}"]}, "0123456789ab", "0123456789ab", "image_digest"),
        ({"container.image.id": DIGEST, "k8s.pod.name": "a-6d4cf56-x2x7k"}, DIGEST[7:19], DIGEST[7:19], "image_digest"),
        ({"k8s.pod.label.pod-template-hash": "6d4cf56db6"}, "6d4cf56db6", "6d4cf56db6", "pod_template_hash"),
        ({"k8s.pod.name": "cart-6d4cf56db6-x2x7k"}, "6d4cf56db6", "6d4cf56db6", "pod_template_hash"),
        ({"k8s.replicaset.name": "cart-6d4cf56db6"}, "6d4cf56db6", "6d4cf56db6", "pod_template_hash"),
        ({"k8s.pod.name": "database-0"}, "", "", ""),
        ({"k8s.pod.name": "agent-x2x7k"}, "", "", ""),
        ({"faas.version": "cart-00042-abc"}, "cart-00042-abc", "cart-00042-abc", "deployment_revision"),
        ({"service.version": "v" * 500}, "v" * 200, "", "service.version"),
    ],
)  # fmt: skip
def test_a_version_is_named_by_the_best_label_there_is(
    engine: Engine, resource: dict[str, object], version: str, build: str, source: str
) -> None:
    service = a_service()
    engine.insert_traces(a_payload(a_span(), service=service, resource=resource), a_service())

    (seen,) = [v for v in versions_seen(engine, **ALL_TIME) if v.service == service]
    assert (seen.version, seen.build, seen.version_source, seen.count) == (version, build, source, 1)


@pytest.mark.parametrize(
    ("resource", "instance"),
    [
        ({}, ""),
        ({"service.instance.id": "i", "k8s.pod.name": "p", "host.name": "h", "process.pid": 7}, "i"),
        ({"k8s.pod.name": "p-0", "host.name": "h", "process.pid": 7}, "p-0"),
        ({"host.name": "h", "process.pid": 7}, "h:7"),
        ({"host.name": "h"}, "h"),
    ],
)
def test_an_instance_is_named_by_the_best_label_there_is(
    engine: Engine, resource: dict[str, object], instance: str
) -> None:
    service = a_service()
    engine.insert_traces(a_payload(a_span(), service=service, resource=resource), a_service())

    assert [cell.instance for cell in cells_of(engine, service)] == [instance]


@pytest.mark.parametrize(
    ("attributes", "operation"),
    [
        ({"http__request__method": "GET", "http__route": "/cart/{id}"}, "GET /cart/{id}"),
        ({"http__method": "POST", "http__route": "/pay"}, "POST /pay"),
        ({"http__request__method": "GET"}, "span name"),
        ({"http__route": "/no-method"}, "span name"),
    ],
)
def test_an_http_operation_is_its_method_and_route(engine: Engine, attributes: dict[str, str], operation: str) -> None:
    service = a_service()
    engine.insert_traces(a_payload(a_span("span name", **attributes), service=service), a_service())

    assert [cell.operation for cell in cells_of(engine, service)] == [operation]


@pytest.mark.parametrize(
    ("span_kind", "has_parent", "is_entry"),
    [
        (Span.SPAN_KIND_SERVER, True, True),
        (Span.SPAN_KIND_CONSUMER, True, True),
        (Span.SPAN_KIND_INTERNAL, False, True),
        (Span.SPAN_KIND_INTERNAL, True, False),
        (Span.SPAN_KIND_CLIENT, True, False),
        (99, True, False),
    ],
)
def test_only_entry_spans_are_requests(engine: Engine, span_kind: int, has_parent: bool, is_entry: bool) -> None:
    service = a_service()
    engine.insert_traces(
        a_payload(a_span(kind=span_kind, parent=b"\1" * 8 if has_parent else b""), service=service), a_service()
    )

    assert len(spans_of(engine, service)) == 1
    assert count_of(cells_of(engine, service)) == int(is_entry)


def test_a_parent_of_zeros_is_none_as_it_is_to_the_collector(engine: Engine) -> None:
    service = a_service()
    span = a_span(kind=Span.SPAN_KIND_INTERNAL, parent=bytes(8))
    span.links.add(trace_id=bytes(16), span_id=bytes(8))

    engine.insert_traces(a_payload(span, service=service), a_service())

    sql = (
        "SELECT ParentSpanId, IsEntry, Links.TraceId AS t, Links.SpanId AS s FROM otel_traces "
        "WHERE ServiceName = {s:String}"
    )
    (row,) = engine.query(sql, {"s": service}).to_pylist()
    assert row == {"ParentSpanId": "", "IsEntry": True, "t": [""], "s": [""]}


@pytest.mark.parametrize(
    "attributes",
    [
        {"user_agent__synthetic__type": "bot"},
        {"user_agent__original": "kube-probe/1.30"},
        {"http__user_agent": "ELB-HealthChecker/2.0"},
        {"http__route": "/healthz"},
        {"url__path": "/readyz/"},
        {"http__target": "/health?full=1"},
        {"http__request__method": "OPTIONS", "http__route": "/cart"},
        {"rpc__service": "grpc.health.v1.Health"},
    ],
)
def test_probes_and_synthetic_requests_are_no_evidence(engine: Engine, attributes: dict[str, str]) -> None:
    service = a_service()
    engine.insert_traces(a_payload(a_span(**attributes), service=service), a_service())

    assert len(spans_of(engine, service)) == 1
    assert cells_of(engine, service) == []


def test_an_http_server_that_answers_500_failed_and_404_did_not(engine: Engine) -> None:
    service = a_service()
    spans = [a_span(http__response__status_code=code) for code in (200, 404, 500, 503)]
    spans.append(a_span(http__status_code=502))

    engine.insert_traces(a_payload(*spans, service=service), a_service())

    assert sum(cell.errors for cell in cells_of(engine, service)) == 3


@pytest.mark.parametrize(
    "start_ns",
    [0, 1_000, a_moment() // 1_000, a_moment() // 10**9, a_moment(-400 * 86_400)],
    ids=["none", "at once", "microseconds", "seconds", "a year ahead"],
)
def test_impossible_times_are_kept_out_of_the_bins_and_told(engine: Engine, start_ns: int) -> None:
    service, began = a_service(), int(time.time()) - 60
    resource = {"service.instance.id": "skewed"}

    engine.insert_traces(a_payload(a_span(start_ns=start_ns), service=service, resource=resource), a_service())

    assert cells_of(engine, service) == []
    (told,) = [skew for skew in clock_skew(engine, since=began) if skew.service == service]
    assert (told.instance, told.spans) == ("skewed", 1)


def test_times_beyond_the_columns_range_and_backwards_spans_do_no_harm(engine: Engine) -> None:
    service = a_service()
    far = a_span()
    far.start_time_unix_nano = far.end_time_unix_nano = 2**64 - 1
    backwards = a_span()
    backwards.end_time_unix_nano = backwards.start_time_unix_nano - 1

    engine.insert_traces(a_payload(far, backwards, service=service), a_service())

    (cell,) = cells_of(engine, service)
    assert (cell.count, cell.zeros) == (1, 1)


def test_spans_of_many_days_at_once_are_stored(engine: Engine) -> None:
    service = a_service()
    spans = [a_span(start_ns=a_moment(-3600 * 24 * day)) for day in range(1, 150)]

    engine.insert_traces(a_payload(*spans, service=service), a_service())

    assert len(spans_of(engine, service)) == 149


def test_what_a_collector_writes_gets_the_same_columns_and_counts(engine: Engine) -> None:
    service = a_service()
    engine.execute(
        "INSERT INTO otel_traces (Timestamp, TraceId, SpanId, TraceState, SpanName, SpanKind, ServiceName, "
        "ResourceAttributes, SpanAttributes, Duration, StatusCode) "
        "SELECT now64(9), 'ab', 'cd', 'ot=th:c', 'GET', 'Server', {service:String}, "
        "map('service.version', '9', 'host.name', 'h'), map('http.route', '/x', 'http.method', 'GET'), 1, 'Error'",
        {"service": service},
    )

    (cell,) = cells_of(engine, service)
    assert (cell.version, cell.instance, cell.operation, cell.count, cell.errors) == ("9", "h", "GET /x", 1, 1)
    assert (cell.adjusted, cell.adjusted_errors, cell.adjusted_sq, cell.tail_sampled) == (4, 4, 16, 0)


@pytest.mark.parametrize(
    ("trace_state", "requests"),
    [
        ("", 1),
        ("vendor=ot=th:8", 1),
        ("ot=th:0", 1),
        ("ot=th:8", 2),
        ("ot=th:c;rv:f0f0f0f0f0f0f0", 4),
        ("vendor=x, ot=rv:f0f0f0f0f0f0f0;th:e666, other=1", 10.0001),
        ("ot=th:ffffffffffffff", 2.0**56),
        ("ot=th:", 1),
        ("ot=th:123456789abcdef", 1),
        ("ot=th:xyz", 1),
        ("ot=path:c", 1),
        ("ot=p:3;r:5", 8),
        ("ot=p:0", 1),
        ("ot=p:63", 1),
        ("ot=p:3;th:8", 2),
    ],
)
def test_a_sampled_span_stands_for_as_many_requests_as_its_threshold_says(
    engine: Engine, trace_state: str, requests: float
) -> None:
    service, span = a_service(), a_span()
    span.trace_state = trace_state

    engine.insert_traces(a_payload(span, service=service), a_service())

    assert spans_of(engine, service)[0]["AdjustedCount"] == pytest.approx(requests, rel=1e-4)


@given(st.from_regex(r"[0-9a-f]{1,14}", fullmatch=True))
@settings(max_examples=25, deadline=None)
def test_any_threshold_is_undone_as_the_specification_says(engine: Engine, threshold: str) -> None:
    sql = "SELECT {} AS n FROM (SELECT 'ot=th:{}' AS TraceState)"

    (row,) = engine.query(sql.format(span_columns()["AdjustedCount"], threshold)).to_pylist()

    assert row["n"] == pytest.approx(2**56 / (2**56 - int(threshold.ljust(14, "0"), 16)))


def test_a_cell_tells_requests_from_the_spans_that_stand_for_them(engine: Engine) -> None:
    service, start = a_service(), a_moment()
    spans = [a_span(start_ns=start, error=failed) for failed in (False, False, True)]
    for span, state in zip(spans, ("ot=th:c", "ot=th:c", "ot=th:8"), strict=True):
        span.trace_state = state

    engine.insert_traces(a_payload(*spans, service=service), a_service())

    (cell,) = cells_of(engine, service)
    assert (cell.count, cell.errors) == (3, 1)
    assert (cell.adjusted, cell.adjusted_errors, cell.adjusted_sq) == (10, 2, 36)


def test_a_cell_of_whole_traffic_says_nothing_of_sampling(engine: Engine) -> None:
    service = a_service()

    engine.insert_traces(a_payload(a_span(), a_span(error=True), service=service), a_service())

    assert [(c.adjusted, c.adjusted_errors, c.adjusted_sq, c.tail_sampled) for c in cells_of(engine, service)] == [
        (None, None, None, 0)
    ]


@pytest.mark.parametrize("where", ["scope", "span"])
def test_spans_that_the_collectors_tail_sampler_chose_are_counted(engine: Engine, where: str) -> None:
    """It notes its policy on the scope; some pipelines copy what is there to the spans."""
    service, request = a_service(), ExportTraceServiceRequest()
    request.ParseFromString(a_payload(a_span(), service=service))
    of_scope = request.resource_spans[0].scope_spans[0]
    marked = of_scope.scope if where == "scope" else of_scope.spans[0]
    marked.attributes.extend(attributes_of({"tailsampling.policy": "keep-errors"}))

    engine.insert_traces(request.SerializeToString() + a_payload(a_span(), service=service), a_service())

    assert sum(cell.tail_sampled for cell in cells_of(engine, service)) == 1


def test_versions_seen_says_who_served_and_when(engine: Engine) -> None:
    service, start = a_service(), a_moment(100)
    for instance, offset in (("a", 0), ("b", 10), ("a", 30)):
        span = a_span(start_ns=start + offset * 10**9)
        resource = {"service.version": "2", "service.instance.id": instance}
        engine.insert_traces(a_payload(span, service=service, resource=resource), a_service())

    (seen,) = [v for v in versions_seen(engine, **ALL_TIME) if v.service == service]
    assert (seen.first_bin, seen.last_bin) == (start // 10**9, start // 10**9 + 30)
    assert (seen.count, seen.instances) == (3, ("a", "b"))
    assert [v for v in versions_seen(engine, since=0, until=start // 10**9) if v.service == service] == []


def test_a_series_adds_bins_up_to_its_step(engine: Engine) -> None:
    service, start = a_service(), a_moment(300) // (60 * 10**9) * 60 * 10**9
    for seconds in (0, 10, 50, 60):
        span = a_span(start_ns=start + seconds * 10**9, duration_s=1.0)
        engine.insert_traces(a_payload(span, service=service, resource={"service.version": "1"}), a_service())

    points = series(
        engine, service=service, environment="production", default_environment="production", step_s=60, **ALL_TIME
    )

    assert [(p.bin_start, p.count, dict(p.buckets)) for p in points] == [
        (start // 10**9, 3, {-1: 3}),
        (start // 10**9 + 60, 1, {-1: 1}),
    ]


def test_a_series_shows_the_requests_that_sampled_spans_stand_for(engine: Engine) -> None:
    service, start = a_service(), a_moment(300) // (60 * 10**9) * 60 * 10**9
    spans = [a_span(start_ns=start, duration_s=1.0, error=failed) for failed in (False, True)]
    for span in spans:
        span.trace_state = "ot=th:c"
    engine.insert_traces(a_payload(*spans, service=service, resource={"service.version": "1"}), a_service())

    (point,) = series(
        engine, service=service, environment="production", default_environment="production", step_s=60, **ALL_TIME
    )

    assert (point.count, point.errors, point.sum_s, dict(point.buckets)) == (8, 4, 8.0, {-1: 2})


def test_totals_say_how_much_is_there_and_how_fresh(engine: Engine) -> None:
    start = a_moment(5)
    engine.insert_traces(a_payload(a_span(start_ns=start), service=a_service()), a_service())

    total = totals(engine)

    assert total.spans >= 1
    assert total.services >= 1
    assert total.last_span_at is not None
    assert total.last_span_at >= datetime.fromtimestamp(start / 1e9, UTC)


def test_totals_read_no_span_however_many_there_are(engine: Engine) -> None:
    engine.insert_traces(a_payload(a_span(), service=a_service()), a_service())
    plan = "\n".join(row["explain"] for row in engine.query(f"EXPLAIN {read_query('totals')}").to_pylist())
    assert "_minmax_count_projection" in plan
    assert "otel_traces" not in plan


def test_parameters_and_quoted_lists_carry_any_text(engine: Engine) -> None:
    service = a_service()
    engine.insert_traces(a_payload(a_span(HOSTILE), service=service), a_service())

    where = f"ServiceName = {{service:String}} AND SpanName IN {array_of_strings([HOSTILE, 'other'])}"
    found = engine.query(f"SELECT SpanName FROM otel_traces WHERE {where}", {"service": service})  # noqa: S608

    assert found.to_pylist() == [{"SpanName": HOSTILE}]
    assert engine.query("SELECT {x:String} AS x", {"x": HOSTILE + "\t\n"}).to_pylist() == [{"x": HOSTILE + "\t\n"}]


def test_a_service_name_cannot_break_out_of_a_query(engine: Engine) -> None:
    assert cells_of(engine, "' OR 1 = 1 --") == []


def test_a_wrong_statement_fails_for_good(engine: Engine) -> None:
    with pytest.raises(QueryFailed, match="nonsense"):
        engine.query("SELECT nonsense")


def test_a_query_beyond_its_time_may_be_tried_again(engine: Engine) -> None:
    with pytest.raises(EngineUnavailable):
        engine.query("SELECT sum(sleepEachRow(0.5)) FROM numbers(20) SETTINGS max_block_size = 1", timeout_s=0.5)


def test_bytes_that_are_no_request_fail_for_good_and_store_nothing(engine: Engine) -> None:
    service = a_service()
    good = a_payload(*(a_span() for _ in range(10)), service=service)

    with pytest.raises(QueryFailed):
        engine.insert_traces(good + b"\xff\xff\xff", a_service())

    assert spans_of(engine, service) == []
    assert cells_of(engine, service) == []


def test_unknown_fields_are_passed_over(engine: Engine) -> None:
    service = a_service()
    payload = a_request(a_span(), service=service).SerializeToString() + bytes([0xFA, 0x3F, 3]) + b"new"

    engine.insert_traces(payload, a_service())

    assert len(spans_of(engine, service)) == 1


def test_an_empty_request_stores_nothing(engine: Engine) -> None:
    service = a_service()
    engine.insert_traces(a_payload(service=service), a_service())
    question = "SELECT count() AS n FROM otel_traces WHERE ServiceName = {service:String}"
    assert engine.query(question, {"service": service}).column("n").to_pylist() == [0]


def until_it_has_time(ask: Callable[[], Answer]) -> Answer:
    """An engine on a busy machine may put off whoever waits for too many others; asking again is what it says to do."""
    while True:
        with suppress(EngineUnavailable):
            return ask()


def test_many_threads_insert_and_ask_at_once(engine: Engine) -> None:
    service = a_service()

    def work(number: int) -> int:
        payload = a_payload(*(a_span() for _ in range(20)), service=service)
        until_it_has_time(lambda: engine.insert_traces(payload, f"{service}-{number}"))
        return len(until_it_has_time(lambda: spans_of(engine, service)))

    with ThreadPoolExecutor(8) as pool:
        assert all(seen >= 20 for seen in pool.map(work, range(16)))
    assert len(spans_of(engine, service)) == 320
    assert count_of(cells_of(engine, service)) == 320
