"""onejob in onejob: what it says of itself, read back from the tables of a project that was made for it."""

import itertools
import logging
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from onejob import __version__
from onejob.config import Settings
from onejob.ingest.door import Door
from onejob.ingest.own import telemetry
from onejob.ingest.own.requests import is_own, own_target, request_of
from onejob.ingest.own.telemetry import SelfTelemetry
from onejob.model.project import Project
from onejob.model.scrape import ScrapeTarget
from onejob.own_spans import Buffer, OwnSpan, OwnSpans
from onejob.store.engine import Engine
from onejob.web.services import Services
from otlp_builders import a_log_request, a_payload, a_record, a_span
from servers import RunningServer, running_server

from .spools import FakeEngine, a_spool, doors_to, flushing
from .waiting import wait_until
from .wire import rows

PROJECT = "ops"
PROTOBUF = {"content-type": "application/x-protobuf"}
SECRETS = ("hunter2", "ada-lovelace", "onejob_api_secret")
TABLES = ("otel_traces", *(f"otel_metrics_{kind}" for kind in ("gauge", "sum", "histogram")))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("server")
    fast = {"flush_interval_s": 0.1, "tick_s": 0.5, "watermark_s": 1}
    with (
        pytest.MonkeyPatch.context() as patch,
        ExitStack() as stack,
    ):
        patch.setattr(telemetry, "_SPANS_EVERY_S", 0.3)
        settings = {"self_telemetry_project": PROJECT, "default_environment": "staging"} | fast
        server = stack.enter_context(running_server(folder, **settings))
        services = server.services
        services.access.projects.add(Project(name=PROJECT, created_at=services.clock()))
        assert services.projects is not None
        services.projects.look()
        yield server


def of(server: RunningServer, project: str = PROJECT) -> Services:
    return server.services.with_projects()[project]


def engine_of(server: RunningServer) -> Engine:
    engine = of(server).engine
    assert engine is not None
    return engine


def spans(server: RunningServer, name: str) -> list[dict[str, Any]]:
    columns = (
        "SpanName, SpanKind, StatusCode, SpanAttributes, ResourceAttributes, Duration, TraceId, SpanId, ParentSpanId"
    )
    return [row for row in rows(engine_of(server), "otel_traces", "onejob", columns) if row["SpanName"] == name]


def arrived(server: RunningServer, name: str, least: int = 1) -> list[dict[str, Any]]:
    wait_until(lambda: len(spans(server, name)) >= least, f"spans {name!r}")
    return spans(server, name)


def test_requests_to_pages_and_api_are_spans_of_a_server_by_their_routes(server: RunningServer) -> None:
    httpx.get(f"{server.url}/api/v1/deployments/none-such")

    (span, *_) = arrived(server, "GET /api/v1/deployments/{deployment_id}")

    assert (span["SpanKind"], span["StatusCode"], span["ParentSpanId"]) == ("Server", "Unset", "")
    assert span["SpanAttributes"] == {
        "http.request.method": "GET",
        "http.route": "/api/v1/deployments/{deployment_id}",
        "http.response.status_code": "404",
        "onejob.project": "default",
    }
    assert 0 < span["Duration"] < 60e9
    who = span["ResourceAttributes"]
    assert (who["service.name"], who["service.version"]) == ("onejob", __version__)
    assert who["deployment.environment.name"] == "staging"
    settings = server.services.settings
    assert who["service.instance.id"] == (settings.data_dir / "server-id").read_text().strip()


def test_what_fails_is_an_error(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError(f"could not reach postgresql://onejob:{SECRETS[0]}@host")

    monkeypatch.setattr("onejob.web.api.metrics.text_of_metrics", fails)
    httpx.get(f"{server.url}/metrics")
    (span, *_) = arrived(server, "GET /metrics")
    assert (span["StatusCode"], span["SpanAttributes"]["error.type"]) == ("Error", "500")
    assert SECRETS[0] not in str(span)


def test_looks_of_the_judge_are_spans_with_their_steps_in_them(server: RunningServer) -> None:
    (look, *_) = arrived(server, "judge look")
    arrived(server, "judge deployments")
    steps = [one for one in spans(server, "detect deployments") if one["ParentSpanId"] == look["SpanId"]]
    assert [step["TraceId"] for step in steps] == [look["TraceId"]]
    assert (look["SpanKind"], look["ParentSpanId"]) == ("Internal", "")
    wait_until(
        lambda: (
            {one["SpanAttributes"]["onejob.project"] for one in spans(server, "judge look")} == {"default", PROJECT}
        ),
        "looks of both projects",
    )


def test_a_batch_that_is_stored_is_a_span_with_its_inserts_in_it(server: RunningServer) -> None:
    intake = server.services.intake
    assert intake is not None
    url = f"http://127.0.0.1:{intake.http_port}/v1/traces"
    httpx.post(url, content=a_payload(a_span(), a_span()), headers=PROTOBUF).raise_for_status()

    (batch, *_) = arrived(server, "store traces")
    (insert, *_) = [one for one in arrived(server, "insert otel_traces") if one["ParentSpanId"] == batch["SpanId"]]

    assert batch["SpanAttributes"] == {
        "onejob.signal": "traces",
        "onejob.items": "2",
        "onejob.requests": "1",
        "onejob.project": "default",
    }
    assert (batch["SpanKind"], batch["StatusCode"]) == ("Internal", "Unset")
    assert insert["TraceId"] == batch["TraceId"]
    assert insert["Duration"] <= batch["Duration"]


def test_its_own_numbers_are_metrics_of_the_same_service(server: RunningServer) -> None:
    engine = engine_of(server)
    columns = "MetricName, Version, Instance, Value"

    def names(kind: str) -> set[str]:
        return {row["MetricName"] for row in rows(engine, f"otel_metrics_{kind}", "onejob", "MetricName")}

    wait_until(lambda: "up" in names("gauge") and names("sum") and names("histogram"), "the page of metrics")
    gauges = {row["MetricName"]: row for row in rows(engine, "otel_metrics_gauge", "onejob", columns)}
    instance = (server.services.settings.data_dir / "server-id").read_text().strip()
    assert (gauges["up"]["Value"], gauges["up"]["Version"], gauges["up"]["Instance"]) == (1.0, __version__, instance)
    assert gauges["onejob_data_disk_free_bytes"]["Value"] > 0
    assert "onejob_acknowledged_items_total" in names("sum")
    assert {"onejob_judge_tick_seconds", "onejob_engine_insert_seconds"} <= names("histogram")


def test_nothing_that_somebody_sends_is_in_it(server: RunningServer) -> None:
    """No address, query, header, name or message: of what is asked only the route is kept."""
    for secret in SECRETS:
        head = {"authorization": f"Bearer {secret}", "cookie": f"session={secret}", "user-agent": secret}
        for path in (f"deployments/{secret}", f"api/v1/{secret}", secret, "customers", f"p/{secret}/errors"):
            httpx.get(f"{server.url}/{path}", params={"customer": secret, "token": secret}, headers=head)
        httpx.request(f"X{secret}".replace("_", ""), f"{server.url}/", headers=head)
    arrived(server, "GET /customers", len(SECRETS))
    arrived(server, "_OTHER", len(SECRETS))
    engine = engine_of(server)
    for table, secret in itertools.product(TABLES, SECRETS):
        sql = f"SELECT count() AS rows FROM {table} WHERE position(formatRow('JSONEachRow', *), {{what:String}}) > 0"  # noqa: S608
        assert engine.query(sql, {"what": secret}).to_pylist() == [{"rows": 0}], (table, secret)


def test_storing_what_it_says_of_itself_is_nothing_that_it_tells_of(server: RunningServer) -> None:
    """Else a server to which nobody sends anything would find something to tell of for ever."""
    looks = len(spans(server, "judge look"))
    arrived(server, "judge look", looks + 4)  # several batches of it
    about_it = [
        one
        for kind in ("traces", "metrics")
        for one in spans(server, f"store {kind}")
        if one["SpanAttributes"]["onejob.project"] == PROJECT
    ]
    assert about_it == []


def test_its_versions_are_known_as_those_of_any_service(server: RunningServer) -> None:
    def known() -> set[tuple[str, str, str]]:
        return {(one.service, one.environment, one.version) for one in of(server).versions.all()}

    wait_until(lambda: ("onejob", "staging", __version__) in known(), "noticing its version")
    assert "onejob" not in {one.service for one in of(server, "default").versions.all()}


def test_the_project_it_is_kept_in_is_the_only_one_that_has_it(server: RunningServer) -> None:
    arrived(server, "judge look")
    engine = of(server, "default").engine
    assert engine is not None
    assert rows(engine, "otel_traces", "onejob", "SpanName") == []
    assert rows(engine, "otel_metrics_gauge", "onejob", "MetricName") == []


# --- the parts ---


def a_target(project: str = "default") -> ScrapeTarget:
    return own_target(project, "a server", "production")


def some_spans(buffer: Buffer, count: int) -> None:
    for number in range(count):
        OwnSpans(buffer).add(OwnSpan(f"span {number}", {}), 0.001)


def test_what_finds_no_room_is_dropped_and_counted_and_nobody_waits() -> None:
    buffer = Buffer(most=3)
    some_spans(buffer, 5)
    assert [span.name for span in buffer.take()] == ["span 0", "span 1", "span 2"]
    assert (buffer.take(), buffer.dropped) == ([], 2)
    some_spans(buffer, 1)
    assert (len(buffer.take()), buffer.dropped) == (1, 2)


def test_unless_it_is_wanted_nothing_is_kept() -> None:
    spans = OwnSpans()
    with spans.span("work"):
        spans.add(OwnSpan("request", {}), 1.0)
    assert (spans.are_kept, spans.dropped) == (False, 0)
    assert Settings.model_fields["self_telemetry_project"].default is None


def test_a_span_that_is_left_by_an_error_says_its_class_only() -> None:
    buffer = Buffer()
    with pytest.raises(ValueError, match=SECRETS[0]), OwnSpans(buffer, "shop").span("work", {"number": 1}):
        raise ValueError(SECRETS[0])
    (span,) = buffer.take()
    assert (span.error, span.attributes) == ("ValueError", {"number": 1, "onejob.project": "shop"})
    assert span.start_ns <= span.end_ns
    assert SECRETS[0].encode() not in request_of([span], a_target())


def test_what_cannot_be_kept_is_counted_and_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with a_spool(tmp_path) as spool:
        spool.close()  # takes nothing any more
        refusing = doors_to(spool).of

        def nowhere(_: str) -> Door | None:
            return None

        for door_of, why in ((nowhere, "its project default is not there"), (refusing, "stopping")):
            buffer = Buffer()
            some_spans(buffer, 2)
            telling = SelfTelemetry(a_target(), buffer, lambda: b"", door_of)
            with caplog.at_level(logging.WARNING):
                telling.start()
                telling.stop()
            assert buffer.dropped == 2
            assert why in caplog.text


def test_a_batch_tells_of_itself_unless_all_of_it_is_onejobs_own(tmp_path: Path) -> None:
    """Asked of the requests as they are stored, so that it holds after a restart too."""
    buffer, taken = Buffer(), list[OwnSpan]()
    own = request_of([OwnSpan("GET /", {})], a_target())
    theirs = a_payload(a_span(), service="onejob")
    assert (is_own(own), is_own(theirs), is_own(a_log_request(a_record()).SerializeToString())) == (True, False, False)
    with a_spool(tmp_path) as spool, flushing(spool, FakeEngine(), OwnSpans(buffer)) as flusher:
        for payload, batches in ((own, 0), (theirs, 1)):
            stored = flusher.stored["traces"]
            spool.append(payload, 1).result()
            wait_until(lambda before=stored: flusher.stored["traces"] > before, "storing")  # type: ignore[misc]
            taken = buffer.take()
            assert [span.name for span in taken] == ["insert otel_traces", "store traces"] * batches
    assert {span.trace_id for span in taken} == {taken[-1].trace_id}
    assert taken[0].parent_id == taken[-1].span_id
