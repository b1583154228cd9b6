"""Customers on a deployment's page, on their own, as CSV and over the API; counted by a real engine."""

import asyncio
import csv
import io
import random
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from onejob.config import Settings
from onejob.model.customer import ComparedCustomer, ComparedCustomers, CustomerChange, CustomerHistory, Rates
from onejob.model.verdict import State
from onejob.state.database import Database
from onejob.store.engine import Engine, open_engine
from onejob.web.app import create_app
from onejob.web.services import Services, assemble
from otlp_builders import a_payload, a_span

from .builders import START, Lists, a_deployment, some_history
from .test_pages import NASTY

Site = Callable[[Lists], str]
HTML = {"accept": "text/html"}
PAGE = "/deployments/dep_checkout1420"
BEGUN = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=30)


def a_compared(**changes: object) -> ComparedCustomer:
    values: dict[str, object] = {
        "customer": "acme & sons",
        "state": State.WORSE,
        "new": Rates(requests=1_412, errors=48, error_rate=0.034, p50_s=0.1, p95_s=0.569),
        "old": Rates(requests=90_000, errors=90, error_rate=0.001, p50_s=0.1, p95_s=0.412),
        "errors": CustomerChange(state=State.WORSE, effect=0.033, low=0.021, high=0.051),
        "latency_p95": CustomerChange(state=State.UNDECIDED, effect=1.38, low=0.0, high=2.7),
        **changes,
    }
    return ComparedCustomer(**values)  # type: ignore[arg-type]


def some_compared(*items: ComparedCustomer, customers: int = 212) -> ComparedCustomers:
    return ComparedCustomers(
        since=START, until=START + timedelta(hours=1), past_since=START - timedelta(days=7), customers=customers,
        compared=len(items), worse=sum(one.state is State.WORSE for one in items), alpha=0.01, items=items,
    )  # fmt: skip


def data(*items: ComparedCustomer) -> Lists:
    lists = Lists(some_history())
    lists.compared = some_compared(*items)
    return lists


def test_a_deployments_page_says_for_whom_it_is_worse_and_how_sure_that_is(site: Site) -> None:
    unknown = CustomerChange(state=State.UNDECIDED, effect=None, low=None, high=None)
    few = a_compared(
        customer="few", state=State.UNDECIDED, errors=unknown, latency_p95=unknown,
        new=Rates(requests=3, errors=3, error_rate=1.0, p50_s=None, p95_s=None),
        old=Rates(requests=0, errors=0, error_rate=None, p50_s=None, p95_s=None),
    )  # fmt: skip
    base = site(data(a_compared(), few))
    html = httpx.get(base + PAGE).text
    assert "Customers <small>1 of 212 customers is worse off than before</small>" in html
    assert 'href="/customers?customer=acme+%26+sons"' in html
    assert "+2.1 to +5.1" in html
    assert "at most ×2.7" in html
    assert "are no part of the verdict." in html

    rows = list(csv.DictReader(io.StringIO(httpx.get(f"{base}{PAGE}/customers.csv").text)))
    assert [(row["customer"], row["errors_low"], row["error_rate_before"]) for row in rows] == [
        ("acme & sons", "0.021", "0.001"), ("few", "", ""),
    ]  # fmt: skip
    assert httpx.get(f"{base}/deployments/none/customers.csv").status_code == 404


def test_nobody_known_to_be_worse_off_is_said_as_that_and_no_customers_are_not_shown(site: Site) -> None:
    lists = data(a_compared(state=State.NO_WORSE))
    base = site(lists)
    assert "none of the 1 that look worst of 212 customers is known to be worse off" in httpx.get(base + PAGE).text
    for without in (some_compared(customers=0), None):
        lists.compared = without
        assert 'id="customers"' not in httpx.get(base + PAGE).text


def test_a_customers_name_is_text_and_its_page_says_when_nothing_is_counted(site: Site) -> None:
    lists = data(a_compared(customer=NASTY))
    base = site(lists)
    for html in (httpx.get(base + PAGE).text, httpx.get(f"{base}/customers", params={"customer": NASTY}).text):
        assert "<script>alert" not in html
        assert "<img src=x" not in html
    assert "Not counted now, as the engine does not answer." in httpx.get(f"{base}/customers?customer=a").text
    lists.served = CustomerHistory(customer="a", since=START, until=START, step_s=3600, versions=(), steps=())
    html = httpx.get(f"{base}/customers?customer=a&days=7").text
    assert "No request in the last 7 days named this customer." in html
    assert "Look</button>" in httpx.get(f"{base}/customers?customer=+").text


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """An hour of checkout for three tenants: for one of them 1.42.0 fails, for one it is new."""
    engine = open_engine(Settings(data_dir=tmp_path_factory.mktemp("customers")))
    chance = random.Random(1)
    for version, since, tenants in (("1.41.3", -30, ("hurt", "fine")), ("1.42.0", 0, ("hurt", "fine", "fresh"))):
        spans = [
            a_span(
                start_ns=int((BEGUN + timedelta(minutes=since + n * 28 / 600)).timestamp() * 1e9),
                duration_s=chance.lognormvariate(-2.3, 0.4),
                error=tenant == "hurt" and version == "1.42.0" and n % 3 == 0,
                tenant__id=tenant,
            )
            for tenant in tenants
            for n in range(600)
        ]
        engine.insert_traces(a_payload(*spans, service="checkout", resource={"service.version": version}), version)
    yield engine
    engine.close()


@pytest.fixture
def services(sqlite_database: Database, engine: Engine) -> Services:
    services = assemble(Settings(), sqlite_database, engine=engine)
    services.deployments.add(a_deployment(started_at=BEGUN, first_seen_at=BEGUN, finished_at=None))
    return services


def get(services: Services, path: str) -> httpx.Response:
    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(create_app(services))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8320", headers=HTML) as client:
            return await client.get(path)

    return asyncio.run(ask())


def test_the_api_compares_each_customer_with_its_own_past(services: Services) -> None:
    found = get(services, f"/api/v1{PAGE}/customers").json()
    assert (found["customers"], found["compared"], found["worse"]) == (3, 3, 1)
    hurt, *others = found["items"]
    assert (hurt["customer"], hurt["state"], hurt["errors"]["state"]) == ("hurt", "worse", "worse")
    assert (hurt["new"]["requests"], hurt["new"]["errors"], hurt["old"]["errors"]) == (600, 200, 0)
    assert 0.1 < hurt["errors"]["low"] < 1 / 3 < hurt["errors"]["high"]
    fresh = next(one for one in others if one["customer"] == "fresh")
    assert (fresh["state"], fresh["old"]["error_rate"], fresh["errors"]["low"]) == ("undecided", None, None)
    assert len(get(services, f"/api/v1{PAGE}/customers?limit=1").json()["items"]) == 1
    assert "1 of 3 customers is worse off than before" in get(services, PAGE).text


def test_a_customers_page_leads_to_the_deployments_that_served_it(services: Services) -> None:
    html = get(services, "/customers?customer=hurt").text
    assert "1,200 requests in the last 30 days, 200 failed" in html
    assert f'<a class="row" href="{PAGE}">1.42.0</a>' in html
    assert "checkout 1.42.0 stands out" in html
    document = get(services, "/api/v1/customers?customer=hurt&days=1").json()
    assert [(one["version"], one["deployment_id"]) for one in document["versions"]] == [
        ("1.42.0", "dep_checkout1420"), ("1.41.3", None),
    ]  # fmt: skip
    assert sum(step["rates"]["errors"] for step in document["steps"]) == 200
    assert get(services, "/api/v1/customers?customer=nobody").json()["versions"] == []


def test_without_an_engine_the_api_says_so(sqlite_database: Database) -> None:
    services = assemble(Settings(), sqlite_database)
    services.deployments.add(a_deployment())
    assert get(services, f"/api/v1{PAGE}/customers").status_code == 503
    assert get(services, "/api/v1/customers?customer=a").status_code == 503
