"""Complaints: told over the API and by signed webhooks, and shown beside the deployments that they follow."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from customers.jira_events import an_event
from onejob.config import Settings
from onejob.model.complaint import Complaint, Followed
from onejob.state.database import Database
from onejob.store.engine import Engine, open_engine
from onejob.store.errors import EngineUnavailable
from onejob.web.app import create_app
from onejob.web.services import Services, assemble
from otlp_builders import a_payload, a_span

from .builders import NOW, START, Lists, a_deployment, a_record, some_history
from .test_pages import NASTY

Site = Callable[[Lists], str]
SECRET = "a secret of the webhooks"
BEGUN = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=45)
PAGE = "/deployments/dep_checkout1420"
JSON = "application/json"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """checkout 1.42.0 served acme since it began; search serves everybody."""
    engine = open_engine(Settings(data_dir=tmp_path_factory.mktemp("complaints")))
    for service, version, customer in (
        ("checkout", "1.42.0", "acme"), ("checkout", "1.41.3", "other"), ("search", "7", "acme"),
    ):  # fmt: skip
        span = a_span(start_ns=int((BEGUN + timedelta(minutes=2)).timestamp() * 1e9), tenant__id=customer)
        engine.insert_traces(a_payload(span, service=service, resource={"service.version": version}), service + version)
    yield engine
    engine.close()


def a_product(database: Database, engine: object = None, **settings: Any) -> Services:
    settings = {"hook_secret": SECRET} | settings
    services = assemble(Settings(**settings), database, engine=engine)  # type: ignore[arg-type]
    services.deployments.add(a_deployment(started_at=BEGUN, first_seen_at=BEGUN, finished_at=None))
    return services


def ask(services: Services, method: str, path: str, **options: Any) -> httpx.Response:
    async def once() -> httpx.Response:
        transport = httpx.ASGITransport(create_app(services))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8320") as client:
            return await client.request(method, path, **options)

    return asyncio.run(once())


def tell(services: Services, **said: Any) -> httpx.Response:
    said = {"customer": "acme", "summary": "Orders fail", "external_id": "T-1", "source": "zendesk"} | said
    return ask(services, "POST", "/api/v1/complaints", json=said)


def hook(services: Services, body: object, to: str = "jira", **headers: str) -> httpx.Response:
    content = json.dumps(body).encode()
    signature = "sha256=" + hmac.new(SECRET.encode(), content, hashlib.sha256).hexdigest()
    headers = {"content-type": JSON, "x-hub-signature": signature} | headers
    return ask(services, "POST", f"/api/v1/hooks/{to}", content=content, headers=headers)


def test_what_redaction_hides_in_telemetry_is_not_kept_of_a_complaint_either(sqlite_database: Database) -> None:
    services = a_product(sqlite_database, redaction=[{"action": "drop", "pattern": "in confidence"}])
    said = "ada@example.org paid with 4111 1111 1111 1111, password=hunter2"
    told = tell(services, summary=said, customer="ada@example.org").json()
    assert told["summary"] == "[redacted] paid with [redacted], password=[redacted]"
    assert told["customer"] == "ada@example.org"
    assert hook(services, an_event(summary="Mail to bob@example.org fails")).status_code == 200
    assert tell(services, summary="Said in confidence", external_id="T-2").json()["summary"] == ""
    listed = ask(services, "GET", "/api/v1/complaints").json()["items"]
    assert "Mail to [redacted] fails" in {one["summary"] for one in listed}


def test_a_complaint_is_recorded_once_and_follows_the_deployment_that_its_customer_met(
    sqlite_database: Database, engine: Engine
) -> None:
    services = a_product(sqlite_database, engine)
    at = (BEGUN + timedelta(minutes=20)).isoformat()
    first = tell(services, at=at, url="https://help.example/1")
    assert (first.status_code, first.json()["customer"]) == (201, "acme")
    assert [one["deployment_id"] for one in first.json()["deployments"]] == ["dep_checkout1420"]
    again = tell(services, at=at, summary="Orders still\nfail", closed=True)
    assert (again.status_code, again.json()["id"], again.json()["summary"]) == (
        200, first.json()["id"], "Orders still fail",
    )  # fmt: skip
    assert tell(services, customer="other", external_id="T-2", at=at).json()["deployments"] == []
    assert ask(services, "GET", f"/api/v1{PAGE}").json()["complaints"] == 1
    found = ask(services, "GET", "/api/v1/complaints?deployment=dep_checkout1420").json()["items"]
    assert [one["reference"] for one in found] == ["T-1"]
    page = ask(services, "GET", PAGE, headers={"accept": "text/html"}).text
    assert "Orders still fail" in page
    assert "not weighed by the verdict" in page
    assert ask(services, "DELETE", f"/api/v1/complaints/{first.json()['id']}").status_code == 204
    assert ask(services, "DELETE", f"/api/v1/complaints/{first.json()['id']}").status_code == 404
    assert ask(services, "GET", f"/api/v1{PAGE}").json()["complaints"] == 0


def test_what_a_complaint_follows_is_found_later_when_the_engine_is_away_or_telemetry_late(
    sqlite_database: Database, engine: Engine
) -> None:
    class Broken:
        def query(self, *_: Any, **__: Any) -> Any:
            raise EngineUnavailable("The engine is starting again.")

    at = (BEGUN + timedelta(minutes=20)).isoformat()
    told = tell(a_product(sqlite_database, Broken()), at=at)
    assert (told.status_code, told.json()["deployments"]) == (201, [])
    later = assemble(Settings(), sqlite_database, engine=engine)
    assert later.complaints.look(datetime.now(UTC)) is False
    assert ask(later, "GET", f"/api/v1{PAGE}").json()["complaints"] == 1


def test_what_cannot_be_right_is_refused_with_what_to_send(sqlite_database: Database) -> None:
    services = a_product(sqlite_database)
    for said, field in (
        ({"customer": " "}, "customer"),
        ({"summary": " \n", "text": None}, "summary"),
        ({"url": "javascript:alert(1)"}, "url"),
        ({"at": "yesterday"}, "at"),
    ):
        answer = tell(services, **said)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == field
    same = {"external_id": None, "at": BEGUN.isoformat()}
    assert [tell(services, **same).status_code for _ in range(2)] == [201, 200]
    assert len(tell(services, summary=None, text="x" * 9_000).json()["summary"]) == 500


def test_jiras_webhooks_record_change_and_delete_a_ticket(sqlite_database: Database) -> None:
    services = a_product(sqlite_database)
    for _ in range(2):  # it is delivered again
        assert hook(services, an_event()).json()["recorded"]
    assert hook(services, an_event("updated", 5, summary="It is slow")).json()["recorded"]
    (found,) = ask(services, "GET", "/api/v1/complaints?customer=initech").json()["items"]
    assert (found["summary"], found["url"]) == ("It is slow", "https://acme.atlassian.net/browse/SUP-41")
    assert not hook(services, {"webhookEvent": "comment_created", "issue": {"id": "10040"}}).json()["recorded"]
    assert hook(services, an_event("deleted", 9)).status_code == 200
    assert hook(services, an_event("updated", 5)).status_code == 200
    assert ask(services, "GET", "/api/v1/complaints").json()["items"] == []
    acts = [entry.action for entry in services.audit.after(0, 100)]
    assert acts == ["complaint.tell", "complaint.withdraw"]


def test_only_what_is_signed_is_taken(sqlite_database: Database) -> None:
    services = a_product(sqlite_database)
    wrong = "sha256=" + hmac.new(b"another secret!!", json.dumps(an_event()).encode(), hashlib.sha256).hexdigest()
    for signature in ("", wrong, "sha1=00", "sha256=", "sha256=zz"):
        answer = hook(services, an_event(), **{"x-hub-signature": signature})
        assert (answer.status_code, answer.json()["title"]) == (401, "Not signed")
        assert SECRET not in answer.text
    assert hook(services, an_event(), **{"content-type": "text/plain"}).status_code == 415
    assert hook(services, {"issue": "x" * 2**20}).status_code == 413
    assert hook(services, [1]).status_code == 422
    assert hook(services, {"customer": "acme", "text": "It is slow"}, to="complaints").json()["recorded"]
    assert len(ask(services, "GET", "/api/v1/complaints").json()["items"]) == 1


def test_without_a_secret_no_webhook_is_taken(sqlite_database: Database) -> None:
    services = a_product(sqlite_database, hook_secret=None)
    answer = hook(services, an_event())
    assert answer.status_code == 404
    assert "ONEJOB_HOOK_SECRET" in answer.json()["detail"]


def a_complaint(**changes: Any) -> Complaint:
    values = {
        "id": "cmp_1", "source": "jira", "reference": "SUP-41", "customer": "acme & sons", "at": START,
        "summary": "Orders fail", "url": "https://acme.atlassian.net/browse/SUP-41", "service": None,
        "is_closed": True, "received_at": NOW,
        "deployments": (
            Followed(
                deployment_id="dep_checkout1420", service="checkout", environment="production", version="1.42.0"
            ),
        ),
        **changes,
    }  # fmt: skip
    return Complaint(**values)


def test_pages_show_complaints_where_they_belong_and_their_text_stays_text(site: Site) -> None:
    lists = Lists([a_record(complaints=2), *some_history()[2:]])
    lists.complained = [a_complaint(), a_complaint(summary=NASTY, reference=NASTY, url="javascript:alert(1)")]
    base = site(lists)
    listed, page, one, all_of = (
        httpx.get(base + path).text for path in ("/", PAGE, "/customers?customer=acme+%26+sons", "/customers")
    )
    assert f'<a class="env" href="{PAGE}#complaints">2 complaints</a>' in listed
    assert "Complaints <small>2 complaints of customers that this version served" in page
    assert 'href="https://acme.atlassian.net/browse/SUP-41"' in page
    assert f'<a href="{PAGE}">checkout 1.42.0</a>' in one
    assert 'href="/customers?customer=acme+%26+sons"' in all_of
    for html in (page, one, all_of):
        assert "<script>alert" not in html
        assert "javascript:" not in html
    lists.complained = []
    assert 'id="complaints"' not in httpx.get(f"{base}/customers").text
