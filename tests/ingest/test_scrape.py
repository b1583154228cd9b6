"""Scraping: real pages over HTTP, and the rows they become."""

import gzip
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Summary
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from pydantic import ValidationError

from onejob.config import Settings
from onejob.ingest.errors import BadRequest
from onejob.ingest.scrape.fetch import Fetched
from onejob.ingest.scrape.scraper import accepted
from onejob.ingest.service import Intake
from onejob.model.scrape import ScrapeTarget
from onejob.store.engine import Engine
from otlp_builders import a_service

from .conftest import some_settings
from .exporters import OPENMETRICS, TEXT, Exporter, an_exporter
from .waiting import wait_until
from .wire import rows

NOW_NS = 1_795_440_230_000_000_000
PAGE = """\
# HELP orders_total Orders placed
# TYPE orders_total counter
orders_total{code="200"} 1027 1795440229500
orders_total{code="500"} 3
# TYPE depth gauge
depth 2.5
untyped_thing{a="1"} NaN
# TYPE latency_seconds histogram
latency_seconds_bucket{path="/",le="0.5"} 5
latency_seconds_bucket{path="/",le="1"} 7
latency_seconds_bucket{path="/",le="+Inf"} 8
latency_seconds_sum{path="/"} 3.25
latency_seconds_count{path="/"} 8
# TYPE size summary
size{quantile="0.5"} 10
size{quantile="0.99"} 90
size_sum 1000
size_count 20
# TYPE broken histogram
broken_bucket{le="1"} 5
broken_bucket{le="2"} 4
broken_bucket{le="+Inf"} 6
broken_count 6
"""
OPEN_PAGE = """\
# TYPE target info
target_info{service_version="2.3.1",team="shop"} 1
# UNIT orders_bytes bytes
# TYPE orders_bytes counter
orders_bytes_total 7 # {trace_id="4bf92f3577b34da6a3ce929d0e0e4736",user="u1"} 0.5 1795440229.5
orders_bytes_created 1795440000.25
# TYPE latency histogram
latency_bucket{le="0.5"} 1 # {} 0.25
latency_bucket{le="+Inf"} 2
latency_count 2
latency_sum 1.5
latency_created 1795440000
# TYPE state stateset
state{state="on"} 1
state{state="off"} 0
# TYPE build info
build_info{rev="abc"} 1
# TYPE sizes gaugehistogram
sizes_bucket{le="+Inf"} 2
sizes_gcount 2
sizes_gsum 5
# EOF
"""


def a_target(exporter: Exporter, job: str, **fields: Any) -> dict[str, Any]:
    return {"url": exporter.url, "job": job, "interval_s": 1.0, "timeout_s": 0.5} | fields


@contextmanager
def scraping(engine: Engine, data_dir: Path, *targets: dict[str, Any], **fields: Any) -> Iterator[Intake]:
    intake = Intake(some_settings(data_dir, scrape_targets=targets, **fields), engine)
    intake.start()
    try:
        yield intake
    finally:
        intake.stop()


def ups(engine: Engine, service: str) -> list[float]:
    sql = (
        "SELECT Value FROM otel_metrics_gauge WHERE ServiceName = {service:String} AND MetricName = 'up' "
        "ORDER BY TimeUnix"
    )
    return [row["Value"] for row in engine.query(sql, {"service": service}).to_pylist()]


def as_otlp(page: str, media: str = "text/plain", **fields: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Metrics by name, but for onejob's own, and the resource."""
    target = ScrapeTarget(url="http://shop:8080/metrics", job="shop", **fields)
    taken = accepted(target, Fetched(page, media), 2**20, NOW_NS, 0.25)
    request = ExportMetricsServiceRequest.FromString(taken.payload)
    (of_resource,) = request.resource_metrics
    metrics = {metric.name: metric for of_scope in of_resource.scope_metrics for metric in of_scope.metrics}
    own = {name: metrics.pop(name).gauge.data_points[0].as_double for name in ("up", "scrape_duration_seconds")}
    assert own == {"up": 1.0, "scrape_duration_seconds": 0.25}
    return metrics, {pair.key: pair.value.string_value for pair in of_resource.resource.attributes}


def told(point: Any) -> dict[str, str]:
    return {pair.key: pair.value.string_value for pair in point.attributes}


def test_a_page_is_stored_and_the_target_is_up(engine: Engine, tmp_path: Path) -> None:
    service = a_service()
    with an_exporter(PAGE) as exporter:
        target = a_target(exporter, f"shops/{service}", labels={"service_version": "7", "zone": "a"})
        with scraping(engine, tmp_path, target) as intake:
            wait_until(lambda: len(ups(engine, service)) > 1, "scraping twice")
            assert intake.stats().failing_targets == {}
        place = exporter.place
        asked = exporter.asked[0]

    assert set(ups(engine, service)) == {1.0}
    orders = rows(
        engine, "otel_metrics_sum", service,
        "MetricName, MetricDescription, Value, IsMonotonic, Attributes, Version, Instance, ScopeName, "
        "ResourceAttributes",
    )  # fmt: skip
    resource = {
        "service.name": service, "service.namespace": "shops", "service.version": "7", "service.instance.id": place,
        "zone": "a",
    }  # fmt: skip
    same = {
        "MetricName": "orders_total", "MetricDescription": "Orders placed", "IsMonotonic": True, "Version": "7",
        "Instance": place, "ScopeName": "onejob/scrape", "ResourceAttributes": resource,
    }  # fmt: skip
    assert {"Value": 3.0, "Attributes": {"code": "500"}} | same in orders
    assert {"Value": 1027.0, "Attributes": {"code": "200"}} | same in orders
    histogram = rows(engine, "otel_metrics_histogram", service, "MetricName, Count, Sum, BucketCounts, ExplicitBounds")
    assert histogram[0] == {
        "MetricName": "latency_seconds", "Count": 8, "Sum": 3.25,
        "BucketCounts": [5, 2, 1], "ExplicitBounds": [0.5, 1.0],
    }  # fmt: skip
    assert "openmetrics" in asked["accept"]
    assert asked["accept-encoding"] == "gzip"


def test_each_type_of_the_text_format_becomes_its_own() -> None:
    metrics, resource = as_otlp(PAGE)

    assert resource == {"service.name": "shop", "service.instance.id": "shop:8080"}
    orders = metrics["orders_total"].sum
    assert (orders.is_monotonic, orders.aggregation_temporality) == (True, 2)
    assert [(told(p)["code"], p.as_double, p.time_unix_nano) for p in orders.data_points] == [
        ("200", 1027.0, 1_795_440_229_500_000_000),
        ("500", 3.0, NOW_NS),
    ]
    assert metrics["depth"].gauge.data_points[0].as_double == 2.5
    assert math.isnan(metrics["untyped_thing"].gauge.data_points[0].as_double)
    (latency,) = metrics["latency_seconds"].histogram.data_points
    assert (list(latency.bucket_counts), list(latency.explicit_bounds)) == ([5, 2, 1], [0.5, 1.0])
    assert (latency.count, latency.sum, told(latency)) == (8, 3.25, {"path": "/"})
    (size,) = metrics["size"].summary.data_points
    assert [(q.quantile, q.value) for q in size.quantile_values] == [(0.5, 10.0), (0.99, 90.0)]
    assert (size.count, size.sum) == (20, 1000.0)
    assert len(metrics["broken"].histogram.data_points) == 0  # its counts fall
    assert metrics["scrape_samples_scraped"].gauge.data_points[0].as_double == 17


def test_openmetrics_tells_starts_units_exemplars_and_the_target_itself() -> None:
    metrics, resource = as_otlp(OPEN_PAGE, "application/openmetrics-text", labels={"team": "mine"})

    assert resource == {
        "service.name": "shop", "service.instance.id": "shop:8080", "service.version": "2.3.1", "team": "mine"
    }  # fmt: skip
    orders = metrics["orders_bytes_total"]
    (point,) = orders.sum.data_points
    assert (orders.unit, point.as_double, point.start_time_unix_nano) == ("By", 7.0, 1_795_440_000_250_000_000)
    (exemplar,) = point.exemplars
    assert exemplar.trace_id.hex() == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert (exemplar.as_double, exemplar.time_unix_nano) == (0.5, 1_795_440_229_500_000_000)
    assert [pair.key for pair in exemplar.filtered_attributes] == ["user"]
    (latency,) = metrics["latency"].histogram.data_points
    assert latency.start_time_unix_nano == 1_795_440_000_000_000_000
    assert [(e.as_double, e.time_unix_nano) for e in latency.exemplars] == [(0.25, NOW_NS)]
    for name, count in (("state", 2), ("build_info", 1)):
        assert not metrics[name].sum.is_monotonic
        assert len(metrics[name].sum.data_points) == count
    assert not metrics.keys() & {"target_info", "sizes", "orders_bytes_created"}


@pytest.mark.parametrize("name", ["service_version", "service.version"])
def test_what_the_settings_say_goes_before_what_a_target_says_of_itself(name: str) -> None:
    labels = {name: "3", "service_name": "cart"}

    _, resource = as_otlp(OPEN_PAGE, "application/openmetrics-text", labels=labels)

    assert resource == {
        "service.name": "cart", "service.instance.id": "shop:8080", "service.version": "3",
        "team": "shop", "job": "shop",
    }  # fmt: skip


values = st.floats(allow_nan=False)
sizes = st.lists(st.floats(0, 100), max_size=8)


@given(values, st.floats(0, 1e9), sizes, sizes, st.booleans(), st.text(st.characters(codec="utf-8"), max_size=8))
def test_what_the_client_library_writes_is_read_field_by_field(
    level: float, added: float, seen: list[float], summed: list[float], is_open: bool, label: str
) -> None:
    registry = CollectorRegistry()
    Gauge("level", "", ["a"], registry=registry).labels(label).set(level)
    Counter("added", "", registry=registry).inc(added)
    histogram = Histogram("seen", "", buckets=(1, 10, 50), registry=registry)
    summary = Summary("summed", "", registry=registry)
    for value in seen:
        histogram.observe(value)
    for value in summed:
        summary.observe(value)
    page = (openmetrics.generate_latest if is_open else generate_latest)(registry).decode()

    metrics, _ = as_otlp(page, "application/openmetrics-text" if is_open else "text/plain")

    (point,) = metrics["level"].gauge.data_points
    assert (point.as_double, told(point)) == (level, {"a": label})
    assert metrics["added_total"].sum.data_points[0].as_double == added
    (buckets,) = metrics["seen"].histogram.data_points
    bounds = (-math.inf, 1.0, 10.0, 50.0, math.inf)
    between = [sum(low < value <= high for value in seen) for low, high in pairwise(bounds)]
    assert (list(buckets.bucket_counts), list(buckets.explicit_bounds)) == (between, [1.0, 10.0, 50.0])
    assert (buckets.count, buckets.sum) == (len(seen), pytest.approx(sum(seen)))
    (total,) = metrics["summed"].summary.data_points
    assert (total.count, total.sum) == (len(summed), pytest.approx(sum(summed)))


def test_one_dead_target_is_down_and_the_others_do_not_notice(engine: Engine, tmp_path: Path) -> None:
    well, refusing, failing, garbled, slow, large, odd = (a_service() for _ in range(7))
    with (
        an_exporter("depth 1\n") as good,
        an_exporter("depth 1\n") as broken,
        an_exporter("this is {no page\n") as nonsense,
        an_exporter("depth 1\n") as sleepy,
        an_exporter("depth 1\n" * 1000) as heavy,
        an_exporter("depth 1\n") as packed,
    ):
        broken.status, sleepy.pause_s, packed.encoding = 500, 1.5, "br"
        closed = a_target(good, refusing) | {"url": "http://127.0.0.1:1/metrics"}
        targets = [
            a_target(good, well), closed, a_target(broken, failing), a_target(nonsense, garbled),
            a_target(sleepy, slow), a_target(heavy, large), a_target(packed, odd),
        ]  # fmt: skip
        with scraping(engine, tmp_path, *targets, scrape_max_bytes=2000) as intake:
            down = (refusing, failing, garbled, slow, large, odd)
            wait_until(lambda: all(ups(engine, name) for name in (well, *down)), "scraping")
            why = {name.partition(" ")[0]: text for name, text in intake.stats().failing_targets.items()}
            assert why.keys() == set(down)
            assert "cannot be reached" in why[refusing]
            assert "HTTP status 500" in why[failing]
            assert "cannot be read" in why[garbled]
            assert "longer than 0.5 s" in why[slow]
            assert "larger than 2000 bytes (ONEJOB_SCRAPE_MAX_BYTES)" in why[large]
            assert "'br'" in why[odd]
            broken.status = 200
            wait_until(lambda: 1.0 in ups(engine, failing), "coming back")
            wait_until(lambda: f"{failing} {broken.place}" not in intake.stats().failing_targets, "noticing")

    assert set(ups(engine, well)) == {1.0}
    assert all(0.0 in ups(engine, name) for name in down)


def test_a_compressed_page_is_bounded_as_it_unfolds(engine: Engine, tmp_path: Path) -> None:
    fits, bomb = a_service(), a_service()
    with an_exporter() as small, an_exporter() as large:
        small.page, large.page = gzip.compress(b"depth 1\n"), gzip.compress(b"#" * 10**6)
        small.encoding = large.encoding = "gzip"
        with scraping(
            engine, tmp_path, a_target(small, fits), a_target(large, bomb), scrape_max_bytes=10_000
        ) as intake:
            wait_until(lambda: bool(ups(engine, fits) and ups(engine, bomb)), "scraping")
            assert list(intake.stats().failing_targets) == [f"{bomb} {large.place}"]
    assert (set(ups(engine, fits)), set(ups(engine, bomb))) == ({1.0}, {0.0})


def test_stopping_does_not_wait_for_a_target(engine: Engine, tmp_path: Path) -> None:
    with an_exporter() as sleepy:
        sleepy.pause_s = 3.0
        target = a_target(sleepy, a_service(), interval_s=60.0, timeout_s=50.0)
        with scraping(engine, tmp_path, target):
            wait_until(lambda: bool(sleepy.asked), "asking")
        assert not [thread for thread in threading.enumerate() if thread.name.startswith("scrape")]


GOOD = {"url": "http://shop:8080/metrics", "job": "shop"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"url": "shop:8080"}, "`url` must be http://host:port/path"),
        ({"url": "ftp://shop/metrics"}, "`url` must be"),
        ({"job": ""}, "`job` must name the service"),
        ({"interval_s": 0.1}, "`interval_s` must be 1 or more"),
        ({"timeout_s": 20.0}, "no longer than `interval_s`"),
        ({"timeout_s": 0.0}, "above 0"),
        ({"labels": {"job": "x"}}, "`labels` cannot have job"),
        ({"lables": {}}, "'lables', which is none of"),
    ],
)
def test_a_target_that_contradicts_itself_is_refused_by_name(change: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says.replace("(", r"\(")):
        Settings(scrape_targets=[GOOD | change])


def test_two_targets_cannot_be_told_apart_by_nothing() -> None:
    with pytest.raises(ValidationError, match="two targets have the job and instance 'shop shop:8080'"):
        Settings(scrape_targets=[GOOD, GOOD | {"url": "http://shop:8080/other"}])


def test_a_password_in_the_address_is_not_part_of_the_name() -> None:
    target = ScrapeTarget(url="http://user:secret@shop:8080/metrics", job="shop")

    assert target.name == "shop shop:8080"


def test_the_target_s_own_media_type_decides_how_it_is_read() -> None:
    with pytest.raises(Exception, match="Missing # EOF"):
        as_otlp("depth 1\n", OPENMETRICS.partition(";")[0])
    assert as_otlp("depth 1\n", TEXT.partition(";")[0])[0]["depth"].gauge.data_points[0].as_double == 1.0


def test_times_that_the_library_cannot_compare_make_a_page_that_cannot_be_read() -> None:
    """With and without a fraction, of one series."""
    with pytest.raises(BadRequest, match="cannot be read"):
        as_otlp("# TYPE depth gauge\ndepth 1 7.5\ndepth 2 8e0\n# EOF\n", OPENMETRICS.partition(";")[0])
