"""One server that everything is a backup of, and one ClickHouse."""

from collections.abc import Iterator

import httpx
import pytest

from backup.installations import Made, kept_by
from onejob.store.hash_key import hash_key
from otlp_builders import a_log_request, a_metric_request, a_payload, a_record, a_span
from servers import running_server
from state.builders import a_batch
from store.clickhouse_node import ClickHouseNode

PROTOBUF = {"content-type": "application/x-protobuf"}
SERVICES = ("before", "after")


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseNode]:
    node = ClickHouseNode(tmp_path_factory.mktemp("clickhouse"))
    yield node
    node.stop()


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """On the embedded engine and SQLite, with telemetry of all kinds, and a deployment that was judged."""
    folder = tmp_path_factory.mktemp("server") / "data"
    with running_server(folder, flush_interval_s=0.1, tick_s=3600, errors_tick_s=3600) as server:
        hash_key(folder)
        services = server.services
        assert services.engine is not None
        assert services.intake is not None
        assert services.recompute is not None
        long_ago = a_span(start_ns=1)
        for service in SERVICES:
            spans = a_span(enduser__id="c-1"), a_span(duration_s=1.5, error=True), long_ago
            for kind, body in (
                ("traces", a_payload(*spans, service=service, resource={"service.version": "7"})),
                ("logs", a_log_request(a_record("\0 it's \\ 'all' ☂"), service=service).SerializeToString()),
                ("metrics", a_metric_request(service).SerializeToString()),
            ):
                url = f"http://127.0.0.1:{services.intake.http_port}/v1/{kind}"
                assert httpx.post(url, content=body, headers=PROTOBUF).status_code == 200
            assert services.intake.settle(60)
        services.engine.execute("INSERT INTO error_counts SELECT 'e', now('UTC'), '7', 3")
        started = httpx.post(f"{server.url}/api/v1/deployments", json={"service": "s", "version": "2"})
        deployment_id = started.raise_for_status().json()["id"]
        services.evidences.append(a_batch(deployment_id))
        deployment = services.deployments.get(deployment_id)
        assert deployment is not None
        services.verdicts.record(services.recompute(deployment, services.evidences.read(deployment_id)))
        assert services.projects is not None
        httpx.post(f"{server.url}/api/v1/projects", json={"name": "shop"}).raise_for_status()
        services.projects.look()
        shop = services.projects.running()["shop"]
        assert shop.engine is not None
        shop.engine.insert_traces(a_payload(a_span(), service="till"), "t")
        shop_url = f"{server.url}/p/shop/api/v1/deployments"
        httpx.post(shop_url, json={"service": "till", "version": "2"}).raise_for_status()
        answer = httpx.post(f"{server.url}/api/v1/backup", timeout=120)
        assert answer.status_code == 200, answer.text
        yield Made(server, answer.content, kept_by(services), deployment_id)
