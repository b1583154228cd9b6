"""Prometheus remote write at its boundary: a request over HTTP, and the rows that it becomes."""

import math
import re
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from onejob.ingest.service import Intake
from onejob.store.engine import Engine
from otlp_builders import a_service

from .conftest import some_settings
from .waiting import wait_until
from .wire import (
    REMOTE_WRITE_1,
    REMOTE_WRITE_2,
    STALE,
    Write2,
    doubles,
    field,
    packed,
    rows,
    sample,
    snappy,
    spans,
    varint,
    write_1,
    written,
    zigzag,
)

NOW_MS = int(time.time()) * 1000
COUNTER, GAUGE, HISTOGRAM, GAUGE_HISTOGRAM, SUMMARY, INFO, STATE_SET = range(1, 8)
POINT = "ResourceAttributes, ScopeName, MetricName, Attributes, toUnixTimestamp64Milli(TimeUnix) AS ms, Flags"
Post = Callable[..., httpx.Response]


@pytest.fixture
def post(intake: Intake) -> Post:
    def post(body: bytes, headers: dict[str, str] = REMOTE_WRITE_1) -> httpx.Response:
        return httpx.post(f"http://127.0.0.1:{intake.http_port}/api/v1/write", content=body, headers=headers)

    return post


def labels(service: str, name: str = "queue_depth", **others: str) -> dict[str, str]:
    return {"__name__": name, "instance": "10.0.0.1:8080", "job": service} | others


def count(engine: Engine, service: str, table: str = "otel_metrics_gauge") -> int:
    return len(rows(engine, table, service, "Value"))


def test_a_gauge_of_1_is_stored_with_its_labels_as_attributes(post: Post, engine: Engine) -> None:
    service = a_service()

    answer = post(
        snappy(write_1((labels(service, shop="é", empty=""), [sample(7.25, NOW_MS), sample(8.0, NOW_MS + 1)])))
    )

    assert (answer.status_code, answer.content, written(answer)) == (204, b"", [2, 0, 0])
    wait_until(lambda: count(engine, service) == 2, "storing")
    found = rows(engine, "otel_metrics_gauge", service, f"Value, Instance, {POINT}")
    same = {
        "Instance": "10.0.0.1:8080",
        "ResourceAttributes": {"service.instance.id": "10.0.0.1:8080", "service.name": service},
        "ScopeName": "onejob/remote_write",
        "MetricName": "queue_depth",
        "Attributes": {"shop": "é"},
        "Flags": 0,
    }
    assert found == [{"Value": 7.25, "ms": NOW_MS} | same, {"Value": 8.0, "ms": NOW_MS + 1} | same]


def test_what_2_tells_is_stored_start_type_help_unit_and_exemplar(post: Post, engine: Engine) -> None:
    service, trace, span = a_service(), "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
    request = Write2()
    request.add(
        labels(service, "orders", code="200"),
        samples=(sample(1027.0, NOW_MS, NOW_MS - 60_000),),
        exemplars=(({"trace_id": trace, "span_id": span, "user": "u1"}, 0.48, NOW_MS - 5),),
        kind=COUNTER,
        told="Orders placed",
        unit="bytes_per_second",
    )
    request.add(labels(service, "depth_total"), samples=(sample(2.0, NOW_MS),), kind=GAUGE)
    request.add(labels(service, "build"), samples=(sample(1.0, NOW_MS),), kind=INFO)

    answer = post(snappy(request.body()), REMOTE_WRITE_2)

    assert (answer.status_code, written(answer)) == (204, [3, 0, 1])
    wait_until(lambda: count(engine, service, "otel_metrics_sum") == 2 and count(engine, service) == 1, "storing")
    columns = (
        "MetricName, MetricDescription, MetricUnit, Value, IsMonotonic, AggregationTemporality, "
        "toUnixTimestamp64Milli(StartTimeUnix) AS start, Exemplars.TraceId AS traces, Exemplars.SpanId AS spans, "
        "Exemplars.Value AS values, Exemplars.FilteredAttributes AS told"
    )
    build, orders = rows(engine, "otel_metrics_sum", service, columns)
    assert orders == {
        "MetricName": "orders",
        "MetricDescription": "Orders placed",
        "MetricUnit": "By/s",
        "Value": 1027.0,
        "IsMonotonic": True,
        "AggregationTemporality": 2,
        "start": NOW_MS - 60_000,
        "traces": [trace],
        "spans": [span],
        "values": [0.48],
        "told": [[("user", "u1")]],
    }
    assert (build["MetricName"], build["IsMonotonic"]) == ("build", False)
    assert rows(engine, "otel_metrics_gauge", service, "MetricName, Value") == [
        {"MetricName": "depth_total", "Value": 2.0}
    ]


def a_native_histogram(**others: Any) -> bytes:
    """Schema 1; buckets 0 and 1 hold 1 and 2, bucket 3 holds 1; below zero, bucket -2 holds 4."""
    made: dict[str, bytes] = {
        "count": field(1, 9),
        "sum": field(3, 18.5),
        "schema": field(4, zigzag(1)),
        "zero": field(5, 0.001) + field(6, 1),
        "negative": spans(8, (-2, 1)) + packed(9, [zigzag(4)]),
        "positive": spans(11, (0, 2), (1, 1)) + packed(12, [zigzag(1), zigzag(1), zigzag(-1)]),
        "time": field(15, NOW_MS),
    }
    return b"".join((made | others).values())


def test_a_native_histogram_becomes_an_exponential_one(post: Post, engine: Engine) -> None:
    service = a_service()
    request = Write2().add(
        labels(service, "latency"),
        histograms=(a_native_histogram(start=field(17, NOW_MS - 1000)),),
        exemplars=(({}, 0.7, NOW_MS),),
        kind=HISTOGRAM,
        unit="seconds",
    )

    answer = post(snappy(request.body()), REMOTE_WRITE_2)

    assert (answer.status_code, written(answer)) == (204, [0, 1, 1])
    table = "otel_metrics_exponential_histogram"
    wait_until(lambda: len(rows(engine, table, service, "Count")) == 1, "storing")
    columns = (
        "MetricUnit, Count, Sum, Scale, ZeroCount, PositiveOffset, PositiveBucketCounts, NegativeOffset, "
        "NegativeBucketCounts, AggregationTemporality, toUnixTimestamp64Milli(StartTimeUnix) AS start, "
        "Exemplars.Value AS exemplars"
    )
    assert rows(engine, table, service, columns) == [
        {
            "MetricUnit": "s",
            "Count": 9,
            "Sum": 18.5,
            "Scale": 1,
            "ZeroCount": 1,
            "PositiveOffset": -1,
            "PositiveBucketCounts": [1, 2, 0, 1],
            "NegativeOffset": -3,
            "NegativeBucketCounts": [4],
            "AggregationTemporality": 2,
            "start": NOW_MS - 1000,
            "exemplars": [0.7],
        }
    ]


def test_a_native_histogram_with_bounds_of_its_own_keeps_them(post: Post, engine: Engine) -> None:
    service = a_service()
    positive = spans(11, (1, 1), (1, 1)) + doubles(13, [3.0, 2.0])
    custom = a_native_histogram(
        count=field(2, 5.0), schema=field(4, zigzag(-53)), negative=b"", zero=b"", positive=positive,
        bounds=doubles(16, [0.1, 0.5, 2.5]),
    )  # fmt: skip
    request = Write2().add(labels(service, "latency"), histograms=(custom,), kind=HISTOGRAM)

    assert post(snappy(request.body()), REMOTE_WRITE_2).status_code == 204

    wait_until(lambda: len(rows(engine, "otel_metrics_histogram", service, "Count")) == 1, "storing")
    assert rows(engine, "otel_metrics_histogram", service, "Count, Sum, BucketCounts, ExplicitBounds") == [
        {"Count": 5, "Sum": 18.5, "BucketCounts": [0, 3, 0, 2], "ExplicitBounds": [0.1, 0.5, 2.5]}
    ]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"schema": field(4, zigzag(9))}, "schema 9"),
        ({"count": field(2, 8.5)}, "whole numbers"),
        ({"reset": field(14, 3)}, "gauge histogram"),
        ({"positive": spans(11, (0, 3)) + packed(12, [zigzag(1)])}, "do not fit"),
        ({"positive": spans(11, (0, 1)) + packed(12, [zigzag(-1)])}, "below 0"),
        ({"positive": spans(11, (0, 1), (-5, 1)) + packed(12, [zigzag(1)] * 2)}, "go back"),
        ({"positive": spans(11, (0, 1), (2**31 - 1, 1)) + packed(12, [zigzag(1)] * 2)}, "reach over"),
        ({"positive": spans(11, (-(2**31), 1)) + packed(12, [zigzag(1)])}, "reach over"),
        ({"schema": field(4, zigzag(-53)), "bounds": doubles(16, [2.0, 1.0])}, "do not rise"),
        ({"schema": field(4, zigzag(-53)), "bounds": doubles(16, [1.0])}, "do not bound"),
        ({"time": field(15, -5)}, "the time -5 ms"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_histogram_that_cannot_be_kept_is_refused_and_the_rest_written(
    post: Post, change: dict[str, bytes], why: str
) -> None:
    request = Write2().add(
        labels(a_service(), "latency"), histograms=(a_native_histogram(**change), a_native_histogram())
    )

    answer = post(snappy(request.body()), REMOTE_WRITE_2)

    assert (answer.status_code, written(answer)) == (400, [0, 1, 0])
    assert answer.text.startswith("1 of 2 samples were refused")
    assert why in answer.text
    assert "retry-after" not in answer.headers


def test_the_end_of_a_series_is_a_point_without_a_value_and_other_odd_numbers_stay(post: Post, engine: Engine) -> None:
    service = a_service()
    values = (STALE, math.nan, math.inf, -math.inf, -0.0)
    series = write_1((labels(service), [sample(value, NOW_MS + n) for n, value in enumerate(values)]))
    stale = Write2().add(labels(service, "latency"), histograms=(a_native_histogram(sum=field(3, STALE)),))

    assert post(snappy(series)).status_code == 204
    assert post(snappy(stale.body()), REMOTE_WRITE_2).status_code == 204

    wait_until(lambda: count(engine, service) == 5, "storing")
    kept = rows(
        engine, "otel_metrics_gauge", service, "toUnixTimestamp64Milli(TimeUnix) AS ms, toString(Value) AS v, Flags"
    )
    assert [(row["v"], row["Flags"]) for row in kept] == [("0", 1), ("nan", 0), ("inf", 0), ("-inf", 0), ("-0", 0)]
    table = "otel_metrics_exponential_histogram"
    wait_until(lambda: len(rows(engine, table, service, "Count")) == 1, "storing")
    assert rows(engine, table, service, "Count, Flags") == [{"Count": 0, "Flags": 1}]


def test_samples_out_of_order_and_labels_in_any_order_are_one_series(post: Post, engine: Engine) -> None:
    service = a_service()
    forth = list(labels(service, a="1", b="2").items())
    series = write_1(
        (forth, [sample(2.0, NOW_MS), sample(1.0, NOW_MS - 60_000)]), (forth[::-1], [sample(3.0, NOW_MS + 1)])
    )

    assert post(snappy(series)).status_code == 204

    wait_until(lambda: count(engine, service) == 3, "storing")
    kept = engine.query(
        "SELECT Value FROM otel_metrics_gauge WHERE ServiceName = {service:String} "
        "AND toString(Attributes) = '{''a'':''1'',''b'':''2''}' ORDER BY TimeUnix",
        {"service": service},
    )
    assert [row["Value"] for row in kept.to_pylist()] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        ([("job", "x")], "has no __name__"),
        ([("__name__", ""), ("job", "x")], "has no __name__"),
        ([("__name__", "x"), ("a", "1"), ("b", "2"), ("a", "3")], "has the label 'a' twice"),
        ([("__name__", "x"), ("", "1")], "has a label without a name"),
        ([("__name__", "x"), *((f"l{n}", "v") for n in range(600))], "has more than 500 labels"),
    ],
)
def test_a_series_whose_labels_are_wrong_is_refused_and_the_others_written(
    post: Post, engine: Engine, bad: list[tuple[str, str]], why: str
) -> None:
    service = a_service()

    answer = post(snappy(write_1((bad, [sample(1.0, NOW_MS)] * 2), (labels(service), [sample(1.0, NOW_MS)]))))

    assert (answer.status_code, written(answer)) == (400, [1, 0, 0])
    assert answer.text.startswith("2 of 3 samples were refused, and the others taken. The first: The series ")
    assert why in answer.text
    wait_until(lambda: count(engine, service) == 1, "storing")
    alone = post(snappy(write_1((bad, [sample(1.0, NOW_MS)]))))
    assert (alone.status_code, written(alone)) == (400, [0, 0, 0])
    assert why in alone.text


@pytest.mark.parametrize("ms", [0, -1, 2**62, 9_223_372_036_855])
def test_a_sample_without_a_time_that_can_be_is_refused(post: Post, ms: int) -> None:
    answer = post(snappy(write_1((labels(a_service()), [sample(1.0, ms), sample(1.0, NOW_MS)]))))

    assert (answer.status_code, written(answer)) == (400, [1, 0, 0])
    assert f"has the time {ms} ms" in answer.text


def test_references_to_no_symbol_and_a_table_without_the_empty_one_are_refused(post: Post) -> None:
    good = Write2().add(labels(a_service()), samples=(sample(1.0, NOW_MS),))
    good.series.append(packed(1, [1, 99]) + field(2, sample(1.0, NOW_MS)))
    good.series.append(packed(1, [1, 2, 3]) + field(2, sample(1.0, NOW_MS)))
    headless = Write2().add(labels(a_service()), samples=(sample(1.0, NOW_MS),))
    headless.symbols[0] = "something"

    answer = post(snappy(good.body()), REMOTE_WRITE_2)

    assert (answer.status_code, written(answer)) == (400, [1, 0, 0])
    assert "2 of 3 samples" in answer.text
    assert "refers to symbols that are not among the 7 sent" in answer.text
    refused = post(snappy(headless.body()), REMOTE_WRITE_2)
    assert (refused.status_code, written(refused)) == (400, [0, 0, 0])
    assert "does not start with the empty one" in refused.text


def test_exemplars_of_a_series_find_the_sample_they_go_with(post: Post, engine: Engine) -> None:
    """Prometheus sends them apart from the samples, with the same labels."""
    service = a_service()
    request = Write2().add(labels(service, "hits_total"), samples=(sample(1.0, NOW_MS), sample(2.0, NOW_MS + 1000)))
    early, late = ({}, 0.5, NOW_MS + 10), ({}, 0.75, NOW_MS + 5000)
    request.add(labels(service, "hits_total"), exemplars=(late, early))
    request.add(labels(service, "else_total"), exemplars=(early,))

    answer = post(snappy(request.body()), REMOTE_WRITE_2)

    assert (answer.status_code, written(answer)) == (400, [2, 0, 2])
    assert "1 of 5 samples were refused" in answer.text
    assert "no sample of its series" in answer.text
    wait_until(lambda: count(engine, service, "otel_metrics_sum") == 2, "storing")
    kept = rows(engine, "otel_metrics_sum", service, "Value, Exemplars.Value AS e")
    assert kept == [{"Value": 1.0, "e": [0.5]}, {"Value": 2.0, "e": [0.75]}]


def test_the_older_place_of_the_start_is_read_too(post: Post, engine: Engine) -> None:
    service = a_service()
    request = Write2().add(
        labels(service, "hits_total"), samples=(sample(1.0, NOW_MS),), kind=COUNTER, created_ms=NOW_MS - 7000
    )

    assert post(snappy(request.body()), REMOTE_WRITE_2).status_code == 204

    wait_until(lambda: count(engine, service, "otel_metrics_sum") == 1, "storing")
    kept = rows(engine, "otel_metrics_sum", service, "toUnixTimestamp64Milli(StartTimeUnix) AS start")
    assert kept == [{"start": NOW_MS - 7000}]


def test_labels_that_name_a_resource_of_opentelemetry_are_its_attributes_again(post: Post, engine: Engine) -> None:
    service = a_service()
    named = labels("prometheus-job", service_name=service, service_version="2.3.1", deployment_environment_name="dev")
    scoped = labels(f"shops/{service}-other", otel_scope_name="lib", otel_scope_version="1.2")

    answer = post(snappy(write_1((named, [sample(1.0, NOW_MS)]), (scoped, [sample(2.0, NOW_MS)]))))

    assert answer.status_code == 204
    wait_until(lambda: count(engine, service) + count(engine, f"{service}-other") == 2, "storing")
    columns = (
        "Version, Environment, ResourceAttributes['service.namespace'] AS space, ScopeName, ScopeVersion, Attributes"
    )
    assert rows(engine, "otel_metrics_gauge", service, columns) == [
        {
            "Version": "2.3.1",
            "Environment": "dev",
            "space": "",
            "ScopeName": "onejob/remote_write",
            "ScopeVersion": "",
            "Attributes": {"job": "prometheus-job"},
        }
    ]
    (other,) = rows(engine, "otel_metrics_gauge", f"{service}-other", columns)
    assert (other["space"], other["ScopeName"], other["ScopeVersion"]) == ("shops", "lib", "1.2")


@pytest.mark.parametrize(
    ("name", "kind", "more", "form", "monotonic"),
    [
        ("x", 0, {}, "gauge", None),
        ("x_total", 0, {}, "sum", True),
        ("x_count", 0, {}, "sum", True),
        ("x_sum", 0, {}, "sum", True),
        ("x_bucket", 0, {"le": "1"}, "sum", True),
        ("x_bucket", 0, {}, "gauge", None),
        ("x", COUNTER, {}, "sum", True),
        ("x_total", GAUGE, {}, "gauge", None),
        ("x_bucket", HISTOGRAM, {"le": "1"}, "sum", True),
        ("x_bucket", GAUGE_HISTOGRAM, {"le": "1"}, "gauge", None),
        ("x_count", SUMMARY, {}, "sum", True),
        ("x", SUMMARY, {"quantile": "0.5"}, "gauge", None),
        ("x_info", INFO, {}, "sum", False),
        ("x", STATE_SET, {"x": "on"}, "sum", False),
    ],
)
def test_what_a_series_is_stored_as(
    name: str, kind: int, more: dict[str, str], form: str, monotonic: bool | None
) -> None:
    from onejob.ingest.remote_write.forms import form_of

    assert form_of(name, kind, more) == (form, bool(monotonic))


def test_metadata_alone_and_an_empty_request_are_taken(post: Post) -> None:
    metadata = field(3, field(1, COUNTER) + field(2, "x_total") + field(4, "help"))

    for body, headers in ((metadata, REMOTE_WRITE_1), (b"", REMOTE_WRITE_1), (b"", REMOTE_WRITE_2)):
        answer = post(snappy(body), headers)
        assert (answer.status_code, written(answer)) == (204, [0, 0, 0])


def test_what_is_sent_again_is_acknowledged_and_stored_once(post: Post, engine: Engine) -> None:
    service = a_service()
    body = snappy(write_1((labels(service), [sample(1.0, NOW_MS)])))

    for _ in range(3):
        assert written(post(body)) == [1, 0, 0]
    assert post(snappy(write_1((labels(service), [sample(2.0, NOW_MS)])))).status_code == 204

    wait_until(lambda: count(engine, service) >= 2, "storing")
    assert count(engine, service) == 2


def a_snappy_bomb(says: int = 1 + 64 * 300_000) -> bytes:
    """A byte, and copies of it: 64 bytes out of three (google/snappy, format_description.txt)."""
    return varint(says) + b"\x00\x00" + b"\xfe\x01\x00" * 300_000


def a_body() -> bytes:
    return write_1((labels("x"), [sample(1.0, NOW_MS)]))


@pytest.mark.parametrize(
    ("body", "headers", "status", "says"),
    [
        (snappy(a_body()), REMOTE_WRITE_1 | {"content-type": "application/json"}, 415, "application/x-protobuf"),
        (snappy(a_body()), REMOTE_WRITE_1 | {"content-type": "application/x-protobuf;proto=a.B"}, 415, "proto="),
        (snappy(a_body()), {}, 415, "application/x-protobuf"),
        (a_body(), REMOTE_WRITE_1 | {"content-encoding": "zstd"}, 415, "use snappy"),
        (a_body(), REMOTE_WRITE_1, 400, "snappy"),
        (b"", REMOTE_WRITE_1, 400, "snappy"),
        (snappy(a_body())[:-3], REMOTE_WRITE_1, 400, "snappy"),
        (a_snappy_bomb(1000), REMOTE_WRITE_1, 400, "snappy"),
        (b"\xff\x06\x00\x00sNaPpY" + snappy(a_body()), REMOTE_WRITE_1, 400, "framed format"),
        (snappy(a_body()[:-3]), REMOTE_WRITE_1, 400, "prometheus.WriteRequest"),
        (snappy(field(1, field(1, b"\xff\xfe"))), REMOTE_WRITE_1, 400, "UTF-8"),
        (snappy(a_body()), REMOTE_WRITE_2, 400, "another version"),
        (snappy(Write2().add(labels("x")).body()), REMOTE_WRITE_1, 400, "another version"),
        (snappy(b"\x0a\x00" * 300_000), REMOTE_WRITE_1, 400, "mostly empty"),
        (snappy(field(1, b"\x12\x00" * 300_000)), REMOTE_WRITE_1, 400, "mostly empty"),
        (snappy(field(4, "") + b"\x2a\x00" * 300_000), REMOTE_WRITE_2, 400, "mostly empty"),
    ],
    ids=range(16),
)
def test_what_is_not_remote_write_is_refused_for_good_in_plain_words(
    post: Post, body: bytes, headers: dict[str, str], status: int, says: str
) -> None:
    answer = post(body, headers)

    assert answer.status_code == status
    assert says in answer.text
    assert answer.headers["content-type"].startswith("text/plain")
    assert written(answer) == [0, 0, 0]
    assert "retry-after" not in answer.headers


def test_only_post_is_taken_and_otlp_says_where_remote_write_goes(intake: Intake) -> None:
    base = f"http://127.0.0.1:{intake.http_port}"
    assert httpx.get(f"{base}/api/v1/write").status_code == 405
    elsewhere = httpx.post(f"{base}/v1/metrics", content=snappy(a_body()), headers=REMOTE_WRITE_1)
    assert elsewhere.status_code == 415
    assert b"remote write goes to /api/v1/write" in elsewhere.content


def a_lying_size() -> bytes:
    return b"\xff\xff\xff\xff\x0f" + snappy(a_body())


def a_bomb_of_symbols() -> bytes:
    """A long text that many series refer to."""
    request = Write2()
    for number in range(2000):
        request.add({"__name__": "x", "n": str(number % 7), "long": "y" * 100_000}, samples=(sample(1.0, NOW_MS),))
    return snappy(request.body())


def a_bomb_of_gaps() -> bytes:
    """Histograms with few counts, far apart."""
    far = spans(11, (0, 1), (19_000, 1)) + packed(12, [zigzag(1)] * 2)
    request = Write2()
    for number in range(500):
        request.add(labels("x", n=str(number)), histograms=(a_native_histogram(positive=far),))
    return snappy(request.body())


@pytest.mark.parametrize("make", [a_snappy_bomb, a_lying_size, a_bomb_of_symbols, a_bomb_of_gaps])
def test_a_bomb_ends_at_the_limit(post: Post, make: Callable[[], bytes]) -> None:
    bomb = make()
    before = _peak_memory_mb()

    answer = post(bomb, REMOTE_WRITE_2)

    assert len(bomb) < 2**20
    assert answer.status_code == 413
    assert "ONEJOB_MAX_REQUEST_BYTES" in answer.text
    assert _peak_memory_mb() - before < 50


def _peak_memory_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@pytest.mark.parametrize(
    ("limits", "status"), [({"spool_max_bytes": 1}, 429), ({"min_free_disk_bytes": 2**60}, 503)], ids=["full", "disk"]
)
def test_what_there_is_no_room_for_now_is_to_be_sent_again(
    engine: Engine, tmp_path: Path, limits: dict[str, int], status: int
) -> None:
    intake = Intake(some_settings(tmp_path, **limits), engine)
    intake.start()
    try:
        url = f"http://127.0.0.1:{intake.http_port}/api/v1/write"
        answer = httpx.post(url, content=snappy(a_body()), headers=REMOTE_WRITE_1)
    finally:
        intake.stop()

    assert answer.status_code == status
    assert int(answer.headers["retry-after"]) > 0
    assert written(answer) == [0, 0, 0]


texts = st.text(st.characters(codec="utf-8"), max_size=8)
names = st.from_regex(re.compile(r"[a-z_:][a-z0-9_:]{0,6}(_total|_sum|_count|_bucket)?", re.ASCII), fullmatch=True)
label_names = st.from_regex(r"l_[a-zA-Z0-9_]{0,4}", fullmatch=True) | st.just("le")
moments = st.integers(NOW_MS - 86_400_000, NOW_MS)
series = st.tuples(
    names,
    st.dictionaries(label_names, texts, max_size=4),
    st.lists(st.tuples(st.floats() | st.just(STALE), moments), max_size=3),
    st.integers(0, 7),
)


def expected(name: str, told: dict[str, str], kind: int) -> str:
    """Written apart from the code: of what a series is a row."""
    if kind:
        return {1: "sum", 2: "gauge", 4: "gauge", 6: "sum", 7: "sum"}.get(kind) or expected(name, told, 0)
    if name.endswith("_bucket"):
        return "sum" if told.get("le") else "gauge"
    return "sum" if name.endswith(("_total", "_sum", "_count")) else "gauge"


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(drawn=st.lists(series, min_size=1, max_size=12), version=st.sampled_from([1, 2]))
def test_whatever_is_sent_is_read_back_field_by_field(post: Post, engine: Engine, drawn: Any, version: int) -> None:
    service = a_service()
    wanted: dict[str, list[str]] = {"gauge": [], "sum": []}
    request, plain = Write2(), []
    for name, told, samples, its_kind in drawn:
        kind = its_kind if version == 2 else 0
        pairs = {"__name__": name, "job": service} | told
        if version == 2:
            request.add(pairs, samples=tuple(sample(*one) for one in samples), kind=kind)
        plain.append((pairs, [sample(*one) for one in samples]))
        for value, ms in samples:
            is_stale = sample(value, 1) == sample(STALE, 1)
            row = (name, sorted((k, v) for k, v in told.items() if v), ms, 0.0 if is_stale else value, int(is_stale))
            wanted[expected(name, told, kind)].append(repr(row))
    plain.append(({"__name__": "last", "job": service}, [sample(1.0, NOW_MS)]))
    request.add({"__name__": "last", "job": service}, samples=(sample(1.0, NOW_MS),))
    wanted["gauge"].append(repr(("last", [], NOW_MS, 1.0, 0)))

    body, headers = (request.body(), REMOTE_WRITE_2) if version == 2 else (write_1(*plain), REMOTE_WRITE_1)
    assert post(snappy(body), headers).status_code == 204

    for form, sent in wanted.items():
        assert sorted(kept(engine, f"otel_metrics_{form}", service, len(sent))) == sorted(sent)


def kept(engine: Engine, table: str, service: str, expected_rows: int) -> list[str]:
    wait_until(lambda: len(rows(engine, table, service, "Value")) >= expected_rows, "storing")
    columns = "MetricName, Attributes, toUnixTimestamp64Milli(TimeUnix) AS ms, Value, Flags"
    return [
        repr((row["MetricName"], sorted(row["Attributes"].items()), row["ms"], row["Value"], row["Flags"]))
        for row in rows(engine, table, service, columns)
    ]
