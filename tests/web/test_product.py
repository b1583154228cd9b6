"""The pages over the real product: its state database, its engine, its API."""

import asyncio
import json
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from onejob.act.errors import RolloutRefusedError
from onejob.config import Settings
from onejob.history.jobs import Job
from onejob.ingest.sentry.http import accept
from onejob.ingest.sentry.sender import Sender
from onejob.state.database import Database
from onejob.state.deployments import DeploymentFilter
from onejob.state.errors import StateUnavailableError
from onejob.store.engine import Engine, open_engine
from onejob.store.errors import EngineUnavailable
from onejob.web.app import create_app
from onejob.web.pages.data import CommandRefused
from onejob.web.pages.product import ProductData
from onejob.web.services import Services, assemble
from otlp_builders import a_payload, a_span

from .builders import a_deployment, a_rollout, a_signal, a_verdict, an_explanation

BEGUN = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=3)
HTML = {"accept": "text/html"}


class Refusing:
    """A controller that refuses everything."""

    def start(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError

    def command(self, rollout_id: str, command: str, actor: str, **_: Any) -> Any:
        raise RolloutRefusedError(f"{command} does not fit: the rollout is over.")


class Broken:
    """An engine that is starting again."""

    def query(self, *_: Any, **__: Any) -> Any:
        raise EngineUnavailable("The engine is starting again.")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(data_dir=tmp_path_factory.mktemp("pages"), bin_width_s=1)


@pytest.fixture(scope="module")
def engine(settings: Settings) -> Iterator[Engine]:
    """Three minutes of two versions of checkout."""
    engine = open_engine(settings)
    chance = random.Random(1)
    for version, slower in (("1.41.3", 1.0), ("1.42.0", 1.6)):
        spans = []
        for _ in range(600):
            begun = BEGUN.timestamp() + chance.uniform(0, 100)
            spans.append(
                a_span(
                    name="POST /orders",
                    start_ns=int(begun * 1e9),
                    duration_s=chance.lognormvariate(-2.3, 0.4) * slower,
                )
            )
        resource = {"service.version": version}
        engine.insert_traces(a_payload(*spans, service="checkout", resource=resource), f"pages-{version}")
    yield engine
    engine.close()


@pytest.fixture
def database(sqlite_database: Database) -> Database:
    return sqlite_database


def _services(settings: Settings, database: Database, **parts: Any) -> Services:
    return assemble(settings, database, **parts)


def _fill(services: Services) -> None:
    deployment = a_deployment(started_at=BEGUN, first_seen_at=BEGUN, finished_at=BEGUN + timedelta(seconds=103))
    window = {"window_start": BEGUN, "window_end": BEGUN + timedelta(seconds=100), "decided_at": BEGUN}
    services.deployments.add(deployment)
    services.verdicts.record(a_verdict(signals=(a_signal(),), **window))
    services.explanations.save(an_explanation())
    services.rollouts.add(a_rollout())


async def _get(services: Services, path: str, method: str, host: str) -> httpx.Response:
    transport = httpx.ASGITransport(create_app(services))
    async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}", headers=HTML) as client:
        return await client.request(method, path)


def get(services: Services, path: str, method: str = "GET", host: str = "localhost:8320") -> httpx.Response:
    return asyncio.run(_get(services, path, method, host))


def test_pages_and_api_are_one_application(settings: Settings, database: Database, engine: Engine) -> None:
    services = _services(settings, database, engine=engine)
    _fill(services)
    page = get(services, "/deployments/dep_checkout1420")
    assert page.status_code == 200
    assert page.text.count('<svg class="chart"') == 2
    assert "1 → 41 calls" in page.text
    assert "Rolled back" in page.text
    listed = get(services, "/")
    assert "1.42.0" in listed.text
    assert "#m-rollback" in listed.text
    assert get(services, "/deployments/dep_checkout1420/spark.svg").text.count('d="M') == 2
    assert get(services, "/api/v1/deployments/dep_checkout1420").json()["verdict"]["state"] == "worse"
    assert get(services, "/openapi.json").json()["info"]["title"] == "onejob"


def test_sessions_are_told_per_version_on_the_page_and_by_the_api(
    settings: Settings, database: Database, engine: Engine
) -> None:
    services = _services(settings, database, engine=engine)
    _fill(services)
    for version, counts in (("1.42.0", {"exited": 96, "errored": 1, "crashed": 3}), ("1.41.3", {"exited": 400})):
        counted = {
            "attrs": {"release": f"checkout@{version}"},
            "aggregates": [{"started": f"{BEGUN:%Y-%m-%dT%H:%M:00Z}"} | counts],
        }
        body = b'{}\n{"type":"sessions"}\n' + json.dumps(counted).encode()
        engine.insert("otel_metrics_sum", accept(Sender("", "1"), 2**20, True, body).payload, f"sessions-{version}")

    told = get(services, "/api/v1/sessions?service=checkout&hours=1").json()
    assert [(one["version"], one["sessions"], one["crashed"]) for one in told["items"]] == [
        ("1.41.3", 400, 0),
        ("1.42.0", 100, 3),
    ]
    free = told["items"][1]["crash_free"]
    assert free["low"] < free["share"] == 0.97 < free["high"]
    assert get(services, "/api/v1/sessions?service=checkout&environment=staging").json()["items"] == []
    assert get(services, "/api/v1/sessions").status_code == 422
    assert get(_services(settings, database), "/api/v1/sessions?service=checkout").status_code == 503
    assert "97 %" in get(services, "/deployments/dep_checkout1420").text


def test_an_empty_product_counts_what_arrived(settings: Settings, database: Database, engine: Engine) -> None:
    html = get(_services(settings, database, engine=engine), "/").text
    assert "1,200" in html
    assert "from checkout" in html


def test_pages_stay_up_while_the_engine_is_away(settings: Settings, database: Database) -> None:
    services = _services(settings, database, engine=Broken())
    assert "0</strong> spans so far" in get(services, "/").text
    _fill(services)
    page = get(services, "/deployments/dep_checkout1420")
    assert page.status_code == 200
    assert "is worse" in page.text
    assert '<svg class="chart"' not in page.text


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8320", "127.0.0.1.evil.example", "localhost.evil.example"]
)
def test_a_name_that_was_made_to_lead_here_is_refused(settings: Settings, database: Database, host: str) -> None:
    services = _services(settings, database)
    for method in ("GET", "POST"):
        answer = get(services, "/api/v1/deployments", method, host)
        assert answer.status_code == 421
        assert "ONEJOB_ALLOWED_HOSTS" in answer.text


@pytest.mark.parametrize(
    ("listens", "names", "host"),
    [
        ("127.0.0.1", (), "127.0.0.1:8320"),
        ("127.0.0.1", (), "LOCALHOST:8320"),
        ("::1", (), "[::1]:8320"),
        ("127.0.0.1", ("onejob.example",), "onejob.example"),
        ("0.0.0.0", (), "onejob:8320"),  # noqa: S104
        ("0.0.0.0", ("onejob.example",), "10.0.0.7:8320"),  # noqa: S104
    ],
)
def test_addresses_and_names_that_were_told_are_answered(
    settings: Settings, database: Database, listens: str, names: tuple[str, ...], host: str
) -> None:
    told = settings.model_copy(update={"listen_host": listens, "allowed_hosts": names})
    assert get(_services(told, database), "/healthz", host=host).status_code == 200


def test_telemetry_at_the_wrong_port_is_told_the_right_one(settings: Settings, database: Database) -> None:
    answer = get(_services(settings, database), "/v1/traces", "POST")
    assert answer.status_code == 404
    assert "4318" in answer.text


def test_a_page_number_that_was_never_handed_out_leads_back(settings: Settings, database: Database) -> None:
    page = get(_services(settings, database), "/deployments?cursor=nonsense")
    assert "does not exist" in page.text


def test_commands_are_refused_in_words(settings: Settings, database: Database) -> None:
    services = _services(settings, database, controller=Refusing())
    _fill(services)
    answer = get(services, "/deployments/dep_checkout1420/rollout/promote", "POST")
    assert answer.status_code == 409
    assert "does not fit" in answer.text
    with pytest.raises(CommandRefused, match="moves the traffic"):
        ProductData(_services(settings, database)).command("rol_1", "abort", "mo")


def test_a_verdict_is_the_same_when_computed_again(settings: Settings, database: Database) -> None:
    stored = a_verdict(signals=(a_signal(),))
    for again, word in ((stored, "is the same"), (replace(stored, alpha=0.5), "differs")):
        services = _services(settings, database, recompute=lambda *_, again=again: again)
        if services.deployments.get(stored.deployment_id) is None:
            services.deployments.add(a_deployment())
            services.verdicts.record(stored)
        answer = get(services, "/deployments/dep_checkout1420/recompute", "POST")
        assert word in get(services, answer.headers["location"].partition("#")[0]).text


def test_without_a_verdict_there_is_nothing_to_compute_again(settings: Settings, database: Database) -> None:
    services = _services(settings, database)
    services.deployments.add(a_deployment())
    assert get(services, "/deployments/dep_checkout1420/recompute", "POST").status_code == 409


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/deployments/dep_checkout1420",
        "/deployments.csv",
        "/api/v1/deployments",
        "/api/v1/nothing",
        "/api/v1/rollouts",
        "/openapi.json",
        "/healthz",
        "/static/live.js",
        "/no/such/page",
    ],
)
def test_head_is_answered_as_get_without_its_body(settings: Settings, database: Database, path: str) -> None:
    services = _services(settings, database, clock=lambda: BEGUN + timedelta(minutes=3))
    _fill(services)
    whole, (start, *bodies) = get(services, path), asyncio.run(_messages(services, "HEAD", path))
    assert start["status"] == whole.status_code
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    assert headers == dict(whole.headers)
    assert [body.get("body", b"") for body in bodies] == [b""]


def test_the_stream_of_news_ends_where_only_its_head_was_asked_for(settings: Settings, database: Database) -> None:
    start, body = asyncio.run(_messages(_services(settings, database), "HEAD", "/events"))
    assert (start["status"], body["body"]) == (200, b"")


async def _messages(services: Services, method: str, path: str) -> list[Any]:
    """What the server is given to send."""
    told: list[Any] = []
    host = (b"host", b"localhost:8320")
    scope = {"type": "http", "method": method, "path": path, "headers": [host, (b"accept", b"text/html")]}
    about = {
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http",
        "query_string": b"",
        "root_path": "",
    }

    async def receive() -> Any:
        await asyncio.Event().wait()  # there is no body, and nobody leaves

    async def send(message: Any) -> None:
        told.append(message)

    await create_app(services)(scope | about, receive, send)
    return told


def test_the_time_line_knows_which_deployments_were_judged(settings: Settings, database: Database) -> None:
    services = _services(settings, database)
    services.deployments.add(a_deployment())
    services.deployments.add(a_deployment(id="dep_other", version="1.42.1", rollback_of="dep_checkout1420"))
    services.verdicts.record(a_verdict())
    marks = {mark.id: mark for mark in ProductData(services).marks(DeploymentFilter(service="checkout"), 10)}
    assert marks["dep_checkout1420"].state == "worse"
    assert (marks["dep_other"].state, marks["dep_other"].rollback_of) == ("", "dep_checkout1420")


def test_a_state_database_that_is_away_is_said(settings: Settings, database: Database) -> None:
    services = _services(settings, database)

    class Away:
        def page(self, *_: Any, **__: Any) -> Any:
            raise StateUnavailableError("The database does not answer.")

    answer = get(replace(services, deployments=Away()), "/")
    assert answer.status_code == 503
    assert "does not answer" in answer.text


def test_a_service_nobody_has_seen_is_not_calibrated_but_told_which_is_like_it(
    settings: Settings, database: Database, engine: Engine
) -> None:
    started: list[tuple[str, str | None]] = []

    class History:
        def start_calibration(self, *place: str) -> Job:
            started.append(place)  # type: ignore[arg-type]
            return Job(id="cal_1", kind="calibration", started_at=BEGUN)

    app = create_app(_services(settings, database, engine=engine, history=History()))

    async def ask(body: dict[str, str]) -> httpx.Response:
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8320") as client:
            return await client.post("/api/v1/calibrations", json=body)

    for body in ({"service": "chekout"}, {"service": "checkout", "environment": "prod"}):
        unknown = asyncio.run(ask(body))
        assert unknown.status_code == 404
        assert "is stored of the last 30 days. There is checkout in production." in unknown.json()["detail"]
    assert asyncio.run(ask({"service": "checkout"})).status_code == 202
    assert started == [("checkout", "production")]
