"""What Prometheus reads of a running server."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from onejob.durations import Durations
from onejob.web.timing import Answered
from otlp_builders import a_log_request, a_payload, a_record, a_span
from servers import RunningServer, running_server
from waiting import wait_until

PROTOBUF = {"content-type": "application/x-protobuf"}
PAGE = Path(__file__).resolve().parents[2] / "docs/deploying.md"


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
    assert 0 < now["onejob_data_disk_free_bytes", ()] <= shutil.disk_usage(server.services.settings.data_dir).total
    assert now["onejob_engine_insert_seconds_count", ("traces",)] >= 1
    assert now["onejob_engine_insert_seconds_bucket", ("+Inf", "traces")] >= 1
    assert now["onejob_resident_memory_bytes", ("server",)] > 10e6
    assert now["onejob_resident_memory_bytes", ("engine",)] > 10e6


def test_what_comes_in_is_counted_and_timed_by_its_door(server: RunningServer) -> None:
    intake = server.services.intake
    assert intake is not None
    before = read(server)
    with grpc.insecure_channel(f"127.0.0.1:{intake.grpc_port}") as channel:
        export = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        for _ in range(2):
            export(a_payload(a_span(), a_span(), a_span()))
        with pytest.raises(grpc.RpcError):
            export(b"\xff")
    line = {"streams": [{"stream": {"service_name": "shop"}, "values": [["1795440230000000000", "hello"]]}]}
    httpx.post(f"http://127.0.0.1:{intake.http_port}/loki/api/v1/push", json=line).raise_for_status()

    now = read(server)

    def more(name: str, *labels: str) -> float:
        return now[name, labels] - before.get((name, labels), 0)

    assert more("onejob_door_items_total", "otlp_grpc", "traces") == 6
    assert more("onejob_door_items_total", "logs", "loki") == 1
    assert more("onejob_acknowledgement_seconds_count", "otlp_grpc") == 2, "what is refused is not acknowledged"
    assert more("onejob_acknowledgement_seconds_count", "loki") == 1
    assert now["onejob_acknowledgement_seconds_sum", ("otlp_grpc",)] > 0


def test_requests_are_timed_by_route_and_kind_of_answer_whatever_strangers_ask_for(server: RunningServer) -> None:
    """What an address, a query or a method holds is in no label: a label that anybody can make new fills the memory."""
    secrets = ("hunter2", "ada@shop.example")
    for secret in secrets:
        httpx.get(f"{server.url}/deployments/{secret}?token={secret}")
        httpx.head(f"{server.url}/deployments/{secret}?token={secret}")
        httpx.get(f"{server.url}/api/v1/{secret}")
        httpx.get(f"{server.url}/{secret}")
        httpx.get(f"{server.url}/static/{secret}.js")
        httpx.request(secret.upper().replace("@", ""), f"{server.url}/deployments")
    page = httpx.get(f"{server.url}/metrics").text
    times = server.services.answers.durations.counted()

    assert not [secret for secret in secrets if secret in page.lower()]
    assert times[Answered("GET", "/deployments/{deployment_id}", "4xx")].count == 2
    assert times[Answered("HEAD", "/deployments/{deployment_id}", "4xx")].count == 2
    assert times[Answered("GET", "/api/{rest:path}", "4xx")].count == 2
    assert times[Answered("GET", "", "4xx")].count == 2
    assert times[Answered("GET", "/static/{path}", "4xx")].count == 2
    assert times[Answered("_OTHER", "", "4xx")].count == 2
    assert re.search(r'_seconds_count\{method="GET",project="default",route="/metrics",status="2xx"\} [1-9]', page)


def test_what_fails_unforeseen_is_timed_as_an_error(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr("onejob.web.api.metrics.text_of_metrics", fails)
    assert httpx.get(f"{server.url}/metrics").status_code == 500
    assert server.services.answers.durations.counted()[Answered("GET", "/metrics", "5xx")].count == 1


def test_unless_the_settings_ask_for_it_onejob_keeps_nothing_of_itself(server: RunningServer) -> None:
    """It would be a service among theirs: in lists, verdicts and what the doctor finds."""
    httpx.get(f"{server.url}/deployments")
    assert not server.services.answers.spans.are_kept
    now = read(server)
    assert now["onejob_own_spans_dropped_total", ()] == 0
    assert not [labels for name, labels in now if name == "onejob_door_items_total" and "own" in labels]


def test_each_number_is_described_on_the_page_about_deploying(server: RunningServer) -> None:
    families = text_string_to_metric_families(httpx.get(f"{server.url}/metrics").text)
    names = {f"{family.name}_total" if family.type == "counter" else family.name for family in families}
    described = set(re.findall(r"^\| `(onejob_[a-z_]+)`", PAGE.read_text(), re.MULTILINE))
    assert described == names


def test_the_judges_looks_are_timed(server: RunningServer) -> None:
    wait_until(lambda: read(server)["onejob_judge_tick_seconds_count", ("all",)] >= 2, "looking")
    assert read(server)["onejob_judge_tick_seconds_sum", ("all",)] > 0


def test_durations_are_counted_by_how_long_they_took() -> None:
    durations = Durations()
    for seconds in (0.01, 0.02, 100.0):
        durations.add(seconds)
    counted = durations.counted()
    assert counted.at_most[:5] == (0, 0, 1, 2, 2)
    assert (counted.count, counted.at_most[-1], counted.sum_s) == (3, 2, pytest.approx(100.03))
