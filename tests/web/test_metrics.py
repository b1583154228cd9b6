"""What Prometheus reads of a running server."""

from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from onejob.durations import Durations
from otlp_builders import a_log_request, a_payload, a_record, a_span
from servers import RunningServer, running_server
from waiting import wait_until

PROTOBUF = {"content-type": "application/x-protobuf"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("server"), flush_interval_s=0.1, tick_s=0.2, watermark_s=1) as server:
        yield server


def read(server: RunningServer) -> dict[tuple[str, tuple[str, ...]], float]:
    """Values by name and labels."""
    answer = httpx.get(f"{server.url}/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(answer.text)
    samples = [sample for family in families for sample in family.samples]
    assert {s.labels.get("project", "default") for s in samples} == {"default"}
    return {
        (s.name, tuple(sorted(value for label, value in s.labels.items() if label != "project"))): s.value
        for s in samples
    }


def test_what_is_sent_is_counted_as_acknowledged_and_as_stored(server: RunningServer) -> None:
    intake = server.services.intake
    assert intake is not None
    before = read(server)
    url = f"http://127.0.0.1:{intake.http_port}/v1"
    httpx.post(f"{url}/traces", content=a_payload(a_span(), a_span()), headers=PROTOBUF).raise_for_status()
    logs = a_log_request(a_record()).SerializeToString()
    httpx.post(f"{url}/logs", content=logs, headers=PROTOBUF).raise_for_status()
    httpx.post(f"{url}/logs", content=logs, headers=PROTOBUF).raise_for_status()
    assert httpx.post(f"{url}/traces", content=b"\xff", headers=PROTOBUF).status_code == 400
    assert intake.settle(60)
    wait_until(lambda: read(server)["onejob_stored_items_total", ("logs",)] == 1, "storing")

    now = read(server)

    assert (
        now["onejob_acknowledged_items_total", ("traces",)] - before["onejob_acknowledged_items_total", ("traces",)]
        == 2
    )
    assert now["onejob_stored_items_total", ("traces",)] == 2
    assert now["onejob_repeated_requests_total", ()] == 1
    assert now["onejob_refused_requests_total", ("BadRequest",)] == 1
    assert now["onejob_spool_items", ("traces",)] == now["onejob_spool_bytes", ()] == 0
    assert now["onejob_dead_letters", ()] == now["onejob_dead_letters_bytes", ()] == 0
    assert now["onejob_engine_up", ()] == 1
    assert now["onejob_engine_insert_seconds_count", ("traces",)] >= 1
    assert now["onejob_engine_insert_seconds_bucket", ("+Inf", "traces")] >= 1
    assert now["onejob_resident_memory_bytes", ("server",)] > 10e6
    assert now["onejob_resident_memory_bytes", ("engine",)] > 10e6


def test_the_judges_looks_are_timed(server: RunningServer) -> None:
    wait_until(lambda: read(server)["onejob_judge_tick_seconds_count", ("all",)] >= 2, "looking")


def test_durations_are_counted_by_how_long_they_took() -> None:
    durations = Durations()
    for seconds in (0.01, 0.02, 100.0):
        durations.add(seconds)
    counted = durations.counted()
    assert counted.at_most[:3] == (1, 2, 2)
    assert (counted.count, counted.at_most[-1], counted.sum_s) == (3, 2, pytest.approx(100.03))
