"""Prometheus' own library for Go sends remote write 2.0.

Needs Go, and what `make test-go` gets for it, so it is no part of the other tests.
"""

import re
import subprocess
import time
from pathlib import Path

from doors import Said
from onejob.ingest.service import Intake
from onejob.store.engine import Engine
from otlp_builders import a_service

from .waiting import wait_until
from .wire import rows

HERE = Path(__file__).parent / "golang"
CLIENT = "github.com/prometheus/client_golang/exp"
TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def version() -> str:
    found = re.search(rf"{CLIENT} v(\S+)", (HERE / "go.mod").read_text())
    return found[1] if found else ""


def send(program: str, *words: str) -> str:
    command = ["go", "run", "-buildvcs=false", f"./{program}", *words]
    sent = subprocess.run(command, cwd=HERE, capture_output=True, text=True, check=False, timeout=240)
    assert sent.returncode == 0, sent.stderr
    return sent.stdout


def test_what_the_library_of_prometheus_writes_in_2_arrives(intake: Intake, engine: Engine, door: Said) -> None:
    service, ms = a_service(), int(time.time() * 1000)

    written = send("remote_write", f"http://127.0.0.1:{intake.http_port}", service, str(ms), TRACE, SPAN)

    assert written.split() == ["3", "1", "1"], "samples, histograms, exemplars, as it reads the answer"
    histograms = "otel_metrics_exponential_histogram"
    wait_until(lambda: len(rows(engine, histograms, service, "Count")) == 1, "storing")
    wait_until(lambda: len(rows(engine, "otel_metrics_gauge", service, "Value")) == 2, "storing")
    same = {"Instance": "10.0.0.1:8080", "ms": ms}
    point = "MetricName, Instance, toUnixTimestamp64Milli(TimeUnix) AS ms"
    exemplar = "Exemplars.TraceId AS traces, Exemplars.SpanId AS spans, Exemplars.Value AS values"
    counted = "Value, IsMonotonic, MetricDescription, Attributes, toUnixTimestamp64Milli(StartTimeUnix) AS start"
    (orders,) = rows(engine, "otel_metrics_sum", service, f"{point}, {counted}, {exemplar}")
    assert orders == same | {
        "MetricName": "orders",
        "Value": 1027.0,
        "IsMonotonic": True,
        "MetricDescription": "Orders placed.",
        "Attributes": {"code": "200"},
        "start": ms - 60_000,
        "traces": [TRACE],
        "spans": [SPAN],
        "values": [0.5],
    }
    gauges = rows(engine, "otel_metrics_gauge", service, f"Value, {point}")
    assert gauges == [
        {"Value": -1.0, "MetricName": "depth"} | same | {"ms": ms + 1},
        {"Value": 2.5, "MetricName": "depth"} | same,
    ]
    buckets = "Count, Sum, Scale, ZeroCount, PositiveOffset, PositiveBucketCounts, MetricUnit"
    (latency,) = rows(engine, histograms, service, f"{point}, {buckets}")
    assert latency == same | {
        "MetricName": "latency_seconds",
        "Count": 10,
        "Sum": 3.25,
        "Scale": 2,
        "ZeroCount": 1,
        "PositiveOffset": -4,
        "PositiveBucketCounts": [3, 4, 0, 2],
        "MetricUnit": "s",
    }
    client = "the library of Prometheus for Go (client_golang/exp, remote write 2.0)"
    what = "a counter with its start and an exemplar, a gauge, a native histogram"
    door("/api/v1/write", client, version(), what, engine, service)
