"""A real Prometheus: it writes what it scrapes to onejob, and onejob scrapes it."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from doors import Said
from onejob.ingest.service import Intake
from onejob.store.engine import Engine
from otlp_builders import a_service
from ports import free_ports

from .conftest import some_settings
from .exporters import OPENMETRICS, an_exporter
from .waiting import wait_until
from .wire import rows

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PAGE = f"""\
# TYPE orders counter
orders_total{{code="200"}} 1027 # {{trace_id="{TRACE}"}} 0.@
# TYPE depth gauge
depth 2.5
# TYPE latency_seconds histogram
latency_seconds_bucket{{le="0.5"}} 5
latency_seconds_bucket{{le="+Inf"}} 8
latency_seconds_count 8
latency_seconds_sum 3.25
# EOF
"""

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("prometheus") is None, reason="needs Prometheus (Debian: prometheus)"),
]


@contextmanager
def a_prometheus(folder: Path, port: int, service: str, exporter: str, write_url: str) -> Iterator[None]:
    """An agent, which keeps nothing but what it has not sent yet."""
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
        "scrape_configs": [{"job_name": service, "static_configs": [{"targets": [exporter]}]}],
        "remote_write": [
            {
                "url": write_url,
                "send_exemplars": True,
                "queue_config": {"batch_send_deadline": "200ms", "min_shards": 1, "max_shards": 1},
                "metadata_config": {"send_interval": "1s"},
            }
        ],
    }
    path = folder / "prometheus.yml"
    path.write_text(json.dumps(config))  # which is YAML too
    command = [
        "prometheus", f"--config.file={path}", f"--storage.agent.path={folder / 'agent'}",
        f"--web.listen-address=127.0.0.1:{port}", "--enable-feature=agent,exemplar-storage",
    ]  # fmt: skip
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)


def ends(engine: Engine, service: str) -> set[str]:
    """Of `depth`, that there is no more of it; of `up`, that it is 0."""
    sql = (
        "SELECT DISTINCT MetricName FROM otel_metrics_gauge WHERE ServiceName = {service:String} "
        "AND (MetricName = 'depth' AND Flags = 1 OR MetricName = 'up' AND Value = 0)"
    )
    return {row["MetricName"] for row in engine.query(sql, {"service": service}).to_pylist()}


def version() -> str:
    said = subprocess.run(["prometheus", "--version"], capture_output=True, text=True, check=True)
    found = re.search(r"version (\d[\d.]*)", said.stdout + said.stderr)  # of which one, depends on its release
    return found[1] if found else ""


def test_a_real_prometheus_writes_here_and_is_scraped(engine: Engine, door: Said, tmp_path: Path) -> None:
    written, scraped = a_service(), a_service()
    (port,) = free_ports(1)
    target = {"url": f"http://127.0.0.1:{port}/metrics", "job": scraped, "interval_s": 1.0, "timeout_s": 1.0}
    intake = Intake(some_settings(tmp_path, scrape_targets=[target]), engine)
    intake.start()
    before = time.time()
    try:
        with an_exporter(PAGE, OPENMETRICS) as exporter:
            url = f"http://127.0.0.1:{intake.http_port}/api/v1/write"
            with a_prometheus(tmp_path, port, written, exporter.place, url):
                sums = "MetricName, Attributes, Value, IsMonotonic, Instance, Flags"
                wait_until(lambda: len(rows(engine, "otel_metrics_sum", written, sums)) >= 10, "writing")
                wait_until(lambda: bool(rows(engine, "otel_metrics_histogram", scraped, "Count")), "scraping")
                exporter.status = 500
                wait_until(lambda: ends(engine, written) == {"depth", "up"}, "ending the series")
            place = exporter.place
    finally:
        intake.stop()

    def a_sum(name: str, value: float, **attributes: str) -> dict[str, object]:
        same = {"IsMonotonic": True, "Instance": place, "Flags": 0}
        return {"MetricName": name, "Attributes": attributes, "Value": value} | same

    kept = rows(engine, "otel_metrics_sum", written, sums)
    for expected in (
        a_sum("orders_total", 1027.0, code="200"),
        a_sum("latency_seconds_bucket", 5.0, le="0.5"),
        a_sum("latency_seconds_bucket", 8.0, le="+Inf"),
        a_sum("latency_seconds_count", 8.0),
        a_sum("latency_seconds_sum", 3.25),
    ):
        assert expected in kept
    gauges = rows(engine, "otel_metrics_gauge", written, "MetricName, Value, toUnixTimestamp(TimeUnix) AS s, Flags")
    depth = [row for row in gauges if row["MetricName"] == "depth"]
    assert {(row["Value"], row["Flags"]) for row in depth} == {(2.5, 0), (0.0, 1)}
    assert all(before - 2 <= row["s"] <= time.time() + 1 for row in depth)
    assert {row["Value"] for row in gauges if row["MetricName"] == "up"} >= {1.0, 0.0}
    exemplars = rows(engine, "otel_metrics_sum", written, "MetricName, Exemplars.TraceId AS traces")
    assert {"MetricName": "orders_total", "traces": [TRACE]} in exemplars
    assert "Value" in gauges[0]

    own = rows(engine, "otel_metrics_gauge", scraped, "MetricName, Value, Attributes['version'] AS version")
    assert any(row["MetricName"] == "prometheus_build_info" and row["version"].startswith("2.") for row in own)
    assert {row["Value"] for row in own if row["MetricName"] == "up"} >= {1.0}
    buckets = rows(engine, "otel_metrics_histogram", scraped, "Count, BucketCounts")
    assert all(row["Count"] == sum(row["BucketCounts"]) for row in buckets)

    page = "a page with a counter, an exemplar, a gauge and a histogram; then its target is down"
    door("/api/v1/write", "Prometheus", version(), page, engine, written)
    door("scraping", "Prometheus", version(), "its own page", engine, scraped)
