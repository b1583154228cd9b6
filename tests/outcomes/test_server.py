"""A KPI that is named while the server runs: looked at in what came over OTLP, and judged in the next deployment."""

import time
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from otlp_builders import attributes_of
from servers import running_server
from waiting import wait_until

QUEUE = {
    "name": "queue",
    "kind": "mean",
    "direction": "lower_is_better",
    "source": "metric",
    "metric": "queue.depth",
    "per_instance": True,
    "every_s": 10,
    "service": "billing",
}


def a_minute_of_points() -> bytes:
    """Of one process, every ten seconds, up to half a minute ago."""
    request, now = ExportMetricsServiceRequest(), int(time.time()) - 30
    told_of = request.resource_metrics.add()
    resource = {"service.name": "billing", "service.version": "1", "service.instance.id": "a"}
    told_of.resource.attributes.extend(attributes_of(resource))
    gauge = told_of.scope_metrics.add().metrics.add(name="queue.depth").gauge
    for t in range(now - 60, now, 10):
        gauge.data_points.add(as_int=12, time_unix_nano=t * 10**9)
    return request.SerializeToString()


def test_it_is_looked_at_named_and_judged_without_a_restart(tmp_path: Path) -> None:
    with running_server(tmp_path, flush_interval_s=0.1, tick_s=0.2, watermark_s=1, bin_width_s=1) as server:
        intake, api = server.services.intake, f"{server.url}/api/v1"
        assert intake is not None
        url, kind = f"http://127.0.0.1:{intake.http_port}/v1/metrics", {"content-type": "application/x-protobuf"}
        httpx.post(url, content=a_minute_of_points(), headers=kind).raise_for_status()
        assert intake.settle(60)
        wait_until(lambda: httpx.post(f"{api}/kpis/preview", json=QUEUE).json()["values"] == 6, "storing")
        seen = httpx.post(f"{api}/kpis/preview", json=QUEUE).json()
        assert (seen["service"], seen["level"]) == ("billing", pytest.approx(12.0))

        assert httpx.post(f"{api}/kpis", json=QUEUE).status_code == 201
        assert "12 now" in httpx.get(f"{server.url}/settings/kpis/queue").text
        started = httpx.post(f"{api}/deployments", json={"service": "billing", "version": "2"}).json()

        def told() -> list[str]:
            batches = server.services.evidences.read(started["id"])
            return [kpi.name for one in batches if one.settings is not None for kpi in one.settings.kpis]

        wait_until(lambda: told() == ["queue"], "the first look")
