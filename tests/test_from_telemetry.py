"""The whole way, from telemetry that comes over OTLP to what the API and the pages say of it, in one server."""

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from google.protobuf.message import Message
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from known.builders import a_failing_span, a_line, stack
from kpis import QUEUE
from otlp_builders import a_log_request, a_record, a_request, a_service, a_span, attributes_of
from servers import RunningServer, running_server
from waiting import wait_until

DOCS = Path(__file__).parents[1] / "docs"
QUICK = {"flush_interval_s": 0.1, "tick_s": 0.2, "watermark_s": 1, "bin_width_s": 1, "errors_tick_s": 0.2}
PROTOBUF = {"content-type": "application/x-protobuf"}
HTML = {"accept": "text/html"}
SHOP = "shop"
EVERY_S, BASELINE_S, SECONDS, PER_S = 10, 30, 450, 4
SELLS = {"1": 0.4, "2": 0.2}  # of a version's requests
RAGES = {"1": 0.1, "2": 0.3}
SIGNS_UP = 0.5
A_QUEUE = QUEUE | {"every_s": 10, "service": "billing"}


def documented(page: str, name: str) -> dict[str, Any]:
    """A KPI as docs/PAGE shows it, but for the service."""
    blocks = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)]
    shown = [kpi for block in blocks for kpi in (block if isinstance(block, list) else [block])]
    return next(kpi for kpi in shown if kpi.get("name") == name) | {"service": SHOP}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """With two KPIs in its configuration."""
    kpis = [documented("kpis.md", "conversion"), documented("kpis.md", "signups")]
    with running_server(tmp_path_factory.mktemp("server"), **QUICK, kpis=kpis) as server:
        yield server


def send(server: RunningServer, kind: str, request: Message) -> None:
    """Over OTLP, until it is stored."""
    assert server.services.intake is not None
    url = f"http://127.0.0.1:{server.services.otlp_ports[1]}/v1/{kind}"
    httpx.post(url, content=request.SerializeToString(), headers=PROTOBUF).raise_for_status()
    assert server.services.intake.settle(60)


def ask(server: RunningServer, path: str) -> Any:
    return httpx.get(f"{server.url}/api/v1{path}").raise_for_status().json()


def send_a_shop(server: RunningServer, began: int) -> None:
    """Old and new version side by side, each in one process; the traces come last and at once, as the judge reads what
    there is when it first looks.
    """
    traces, logs, metrics = a_request(service=SHOP), a_log_request(service=SHOP), ExportMetricsServiceRequest()
    traces.Clear()
    logs.Clear()
    for version, begins in (("1", began - BASELINE_S), ("2", began)):
        rng = np.random.default_rng(int(version))
        resource = {"service.version": version, "service.instance.id": f"i-{version}"}
        counter = metrics.resource_metrics.add()
        counter.resource.attributes.extend(attributes_of({"service.name": SHOP} | resource))
        signups = counter.scope_metrics.add().metrics.add(name="shop.signups").sum
        signups.is_monotonic, signups.aggregation_temporality = True, 2
        spans, clicks, signed_up = [], [], 0
        for t in range(begins, began + SECONDS):
            for i in range(PER_S):
                span = a_span("POST /orders", start_ns=t * 10**9 + i * 10**8, duration_s=0.03, order__placed=False)
                if rng.random() < SELLS[version]:
                    span.attributes[0].value.bool_value = True
                    span.events.add(name="order.placed", time_unix_nano=span.end_time_unix_nano)
                if rng.random() < RAGES[version]:
                    clicks.append(a_record(time_ns=span.end_time_unix_nano, event_name="onejob.rage_click"))
                spans.append(span)
            signed_up += int(rng.binomial(PER_S, SIGNS_UP))
            if (t + 3 * int(version)) % EVERY_S == 0:
                signups.data_points.add(
                    as_int=signed_up, time_unix_nano=(t + 1) * 10**9, start_time_unix_nano=begins * 10**9
                )
        traces.MergeFrom(a_request(*spans, service=SHOP, resource=resource))
        browsers = {"service.version": version}  # which are many, and no instances
        logs.MergeFrom(a_log_request(*clicks, service=SHOP, resource=browsers))
    for kind, request in (("metrics", metrics), ("logs", logs), ("traces", traces)):
        send(server, kind, request)


def test_kpis_named_in_the_configuration_by_the_form_and_by_the_api_are_signals_of_the_verdict(
    server: RunningServer,
) -> None:
    """Of a metric, a span attribute, an event on spans, and one in logs: what rage clicks of browsers are."""
    orders = {"name": "orders", "source": "event", "named": "order.placed", "kind": "throughput", "tolerance": "10"}
    by_form = httpx.post(f"{server.url}/settings/kpis", data=orders | {"service": SHOP}, headers={"origin": server.url})
    assert by_form.status_code == 303
    by_api = httpx.post(f"{server.url}/api/v1/kpis", json=documented("browser.md", "rage_clicks"))
    assert by_api.status_code == 201, by_api.text
    began = int(time.time()) - SECONDS - 30
    send_a_shop(server, began)
    start = {"service": SHOP, "version": "2", "previous_version": "1", "started_at": began}
    path = f"/deployments/{httpx.post(f'{server.url}/api/v1/deployments', json=start).raise_for_status().json()['id']}"

    def signals() -> dict[str, Any]:
        return {one["signal"]: one for one in ask(server, path)["verdict"]["signals"]}

    wanted = {"conversion", "signups", "orders", "rage_clicks"}
    wait_until(lambda: wanted <= signals().keys(), "KPIs being judged")
    verdict, found = ask(server, path)["verdict"], signals()
    assert (verdict["state"], "conversion fell" in verdict["sentence"]) == ("worse", True), verdict["sentence"]
    assert {name: found[name]["state"] for name in wanted} == {
        "conversion": "worse", "orders": "worse", "rage_clicks": "worse", "signups": "undecided"
    }  # fmt: skip
    assert {name for name in wanted if not found[name]["exploratory"]} == {"conversion", "signups"}
    for name, told in (("conversion", SELLS), ("orders", SELLS), ("rage_clicks", RAGES)):
        assert found[name]["control"] == pytest.approx(told["1"], abs=0.04)
        assert found[name]["treatment"] == pytest.approx(told["2"], abs=0.04)
    assert found["signups"]["control"] == pytest.approx(SIGNS_UP, abs=0.04)
    page = httpx.get(f"{server.url}{path}?all=1", headers=HTML).text
    assert {name.replace("_", " ") for name in wanted} <= set(re.findall(r"<td>([a-z ]+)</td>", page))


def test_a_kpi_is_looked_at_named_and_judged_without_a_restart(server: RunningServer) -> None:
    """Of one process, every ten seconds, up to half a minute ago."""
    api, metrics, now = f"{server.url}/api/v1", ExportMetricsServiceRequest(), int(time.time()) - 30
    told_of = metrics.resource_metrics.add()
    resource = {"service.name": "billing", "service.version": "1", "service.instance.id": "a"}
    told_of.resource.attributes.extend(attributes_of(resource))
    gauge = told_of.scope_metrics.add().metrics.add(name="queue.depth").gauge
    for t in range(now - 60, now, 10):
        gauge.data_points.add(as_int=12, time_unix_nano=t * 10**9)
    send(server, "metrics", metrics)
    wait_until(lambda: httpx.post(f"{api}/kpis/preview", json=A_QUEUE).json()["values"] == 6, "storing")
    seen = httpx.post(f"{api}/kpis/preview", json=A_QUEUE).json()
    assert (seen["service"], seen["level"]) == ("billing", pytest.approx(12.0))

    assert httpx.post(f"{api}/kpis", json=A_QUEUE).status_code == 201
    assert "12 now" in httpx.get(f"{server.url}/settings/kpis/queue").text
    started = httpx.post(f"{api}/deployments", json={"service": "billing", "version": "2"}).json()

    def told() -> set[str]:
        batches = server.services.evidences.read(started["id"])
        return {kpi.name for one in batches if one.settings is not None for kpi in one.settings.kpis}

    wait_until(lambda: "queue" in told(), "the first look")


def listed(server: RunningServer, service: str) -> dict[str, dict[str, Any]]:
    """Errors of the service, by title."""
    return {one["title"]: one for one in ask(server, f"/errors?service={service}")["items"]}


def test_what_is_wrong_in_spans_and_log_records_is_listed(server: RunningServer) -> None:
    at, service, resource = datetime.now(UTC) - timedelta(seconds=3), a_service(), {"service.version": "2"}
    send(server, "traces", a_request(a_failing_span(at, stack()), service=service, resource=resource))
    send(server, "logs", a_log_request(a_line(at, "payment 17 declined", 13), service=service, resource=resource))

    def titles() -> set[str]:
        found = listed(server, service).items()
        return {title for title, one in found if one["last_day"] == 1 and one["first_version"] == "2"}

    wanted = {"KeyError in price (checkout/pricing.py)", "payment <*> declined"}
    wait_until(lambda: titles() == wanted, "errors being listed")
    assert "KeyError in price" in httpx.get(f"{server.url}/errors?service={service}", headers=HTML).text


def test_what_was_resolved_comes_back_when_a_new_version_throws_it_and_not_when_the_old_one_does(
    server: RunningServer,
) -> None:
    service, error, later = a_service(), "KeyError in price (checkout/pricing.py)", "KeyError in ship"

    def throw(version: str, at: datetime, *functions: str) -> None:
        spans = [a_failing_span(at, stack(function)) for function in functions]
        send(server, "traces", a_request(*spans, service=service, resource={"service.version": version}))

    throw("1", datetime.now(UTC) - timedelta(seconds=3), "price")
    wait_until(lambda: error in listed(server, service), "the error being listed")
    path = f"/errors/{listed(server, service)[error]['id']}"
    to = f"{server.url}{path}/resolve?in_next_version=true"
    assert httpx.post(to, headers={"origin": server.url}).status_code == 303
    assert ask(server, path)["status"] == "resolved"

    throw("1", datetime.now(UTC), "price", "ship")
    wait_until(lambda: any(title.startswith(later) for title in listed(server, service)), "a look after that")
    assert ask(server, path)["status"] == "resolved"

    throw("2", datetime.now(UTC) + timedelta(seconds=2), "price")  # a version is as old as the second it began in
    wait_until(lambda: ask(server, path)["status"] == "regressed", "the error coming back")
    assert ask(server, path)["regressed_in"] == "2"
    page = httpx.get(f"{server.url}/errors?service={service}", headers=HTML).text
    assert "1 came back after being resolved." in page
    assert "<td>came back</td>" in page
