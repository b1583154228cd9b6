"""KPIs and tolerances through the API: named, listed beside those of the configuration, changed, deleted, looked at."""

from collections.abc import Callable
from typing import Any

import pytest

from access.site import Program, Site
from kpis import QUEUE
from onejob.config import Settings
from onejob.model.access import Role
from onejob.state.database import Database
from onejob.state.outcomes import StoredOutcomes
from onejob.verdict.batches import judge_settings

from .api_client import PROBLEM, Api

REVENUE = {
    "name": "revenue",
    "kind": "mean",
    "direction": "higher_is_better",
    "attribute": "order.total",
    "service": "checkout",
    "unit": "EUR",
    "guardrail": True,
}
ORDERS = {"name": "orders", "kind": "throughput", "direction": "higher_is_better", "attribute": "o", "tolerance": 0.1}
CONFIGURED = {"kpis": [ORDERS]}


@pytest.fixture
def api(state_database: Database) -> Api:
    return Api(state_database)


@pytest.fixture
def configured(sqlite_database: Database) -> Site:
    return Site(sqlite_database, tolerances=[{"signal": "errors", "tolerance": 0.01}], **CONFIGURED)


def put(program: Program, path: str, json: Any) -> Any:
    return program.ask("PUT", f"/api/v1{path}", json=json)


def test_a_kpi_is_named_changed_and_deleted(api: Api) -> None:
    made = api.post("/kpis", REVENUE)
    assert made.status_code == 201, made.text
    assert made.json() == made.json() | REVENUE | {
        "origin": "page", "is_hidden": False, "changed_at": "2026-03-01T12:00:00Z", "tolerance": 0.02, "every_s": 60,
        "warnings": [],
    }  # fmt: skip
    assert api.post("/kpis", QUEUE).status_code == 201
    assert [one["name"] for one in api.get("/kpis").json()["items"]] == ["queue", "revenue"]

    changed = api.request("PUT", "/api/v1/kpis/revenue", json=REVENUE | {"tolerance": 0.05})
    assert (changed.status_code, api.get("/kpis/revenue").json()["tolerance"]) == (200, 0.05)
    assert api.request("DELETE", "/api/v1/kpis/revenue").json()["unit"] == "EUR"
    assert api.get("/kpis/revenue").status_code == 404
    assert api.request("DELETE", "/api/v1/kpis/revenue").status_code == 404


def test_tolerances_hold_in_the_order_in_which_they_are_listed(api: Api) -> None:
    first = api.post("/tolerances", {"signal": "errors", "tolerance": 0.01}).json()
    api.later(seconds=1)
    second = api.post("/tolerances", {"signal": "errors", "tolerance": 0.001, "service": "checkout"}).json()
    assert [one["id"] for one in api.get("/tolerances").json()["items"]] == [second["id"], first["id"]]

    path = f"/api/v1/tolerances/{first['id']}"
    assert api.request("PUT", path, json={"signal": "latency_p95", "tolerance": 1.5}).json()["tolerance"] == 1.5
    assert [one["signal"] for one in api.get("/tolerances").json()["items"]] == ["errors", "latency_p95"]
    assert api.request("DELETE", path).status_code == 200
    assert api.request("DELETE", path).status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/kpis", REVENUE | {"kind": "slope"}, "set per_instance to true"),
        ("/kpis", REVENUE | {"name": "errors"}, "choose another"),
        ("/kpis", REVENUE | {"nmae": "x"}, "check its spelling"),
        ("/kpis", REVENUE | {"attribute": "a\x00b"}, "control character"),
        ("/kpis", REVENUE | {"tolerance": 10**400}, "tolerance"),
        ("/kpis", QUEUE | {"kind": "yes_no"}, "no yes and no"),
        ("/kpis", ORDERS | {"tolerance": 0.02}, "The least tolerance that makes sense is 0.07 (7 %)"),
        ("/tolerances", {"signal": "latency_p95", "tolerance": 0.1}, "a ratio above 1"),
        ("/tolerances", {"signal": "revenue", "tolerance": 0.1}, "no signal 'revenue'"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(api: Api, path: str, body: dict[str, Any], said: str) -> None:
    refused = api.post(path, body)
    assert (refused.status_code, refused.headers["content-type"]) == (422, PROBLEM)
    assert said in refused.text
    assert api.get(path).json() == {"items": []}


def test_a_kpi_that_can_never_say_what_it_is_for_warns_of_it(sqlite_database: Database) -> None:
    of_tokens = ORDERS | {"name": "refreshed", "attribute": "Session_Token"}
    site = Site(sqlite_database, kpis=[ORDERS | {"tolerance": 0.02}], redaction=[{"action": "hash", "key": "plan.*"}])
    program = site.program(Role.OPERATOR)
    (hidden,) = program.post("/kpis", of_tokens).json()["warnings"]
    assert hidden.startswith("Redaction masks Session_Token before it is stored")
    assert '{"action": "keep", "key": "Session_Token"}' in hidden
    (hashed,) = program.post("/kpis", REVENUE | {"attribute": "plan.name"}).json()["warnings"]
    assert hashed.startswith("Redaction hashes plan.name")
    told = {one["name"]: one["warnings"] for one in program.get("/kpis").json()["items"]}
    assert "never no worse" in told["orders"][0]


def test_a_name_is_taken_once_and_kept(api: Api) -> None:
    api.post("/kpis", REVENUE)
    assert api.post("/kpis", REVENUE).status_code == 409
    renamed = api.request("PUT", "/api/v1/kpis/revenue", json=REVENUE | {"name": "sales"})
    assert (renamed.status_code, "keeps its name" in renamed.text) == (422, True)


def test_what_the_configuration_says_is_listed_and_changed_there(configured: Site) -> None:
    program = configured.program(Role.OPERATOR)
    (orders,) = program.get("/kpis").json()["items"]
    assert (orders["origin"], orders["changed_by"]) == ("configuration", None)
    (errors,) = program.get("/tolerances").json()["items"]
    assert (errors["origin"], errors["id"]) == ("configuration", None)

    body = CONFIGURED["kpis"][0]
    for refused in (put(program, "/kpis/orders", body), program.ask("DELETE", "/api/v1/kpis/orders")):
        assert refused.status_code == 409
        assert "ONEJOB_KPIS" in refused.json()["detail"]
    assert program.post("/kpis", body).status_code == 409


def test_one_that_the_configuration_hides_can_still_be_deleted(sqlite_database: Database) -> None:
    Api(sqlite_database).post("/kpis", REVENUE | {"name": "orders"})
    program = Site(sqlite_database, **CONFIGURED).program(Role.OPERATOR)
    assert [(one["origin"], one["is_hidden"]) for one in program.get("/kpis").json()["items"]] == [
        ("configuration", False),
        ("page", True),
    ]
    assert program.ask("DELETE", "/api/v1/kpis/orders").status_code == 200
    assert len(program.get("/kpis").json()["items"]) == 1


def test_judges_are_told_of_both_and_the_page_comes_first_among_tolerances(sqlite_database: Database) -> None:
    site = Site(sqlite_database, tolerances=[{"signal": "errors", "tolerance": 0.01}], **CONFIGURED)
    program = site.program(Role.OPERATOR)
    for path, body in (
        ("/kpis", REVENUE),
        ("/kpis", QUEUE | {"service": "stock"}),
        ("/tolerances", {"signal": "errors", "tolerance": 0.002, "service": "check*"}),
    ):
        assert program.post(path, body).status_code == 201
    named = StoredOutcomes(sqlite_database).told()
    told = judge_settings(site.services.settings, "checkout", named=named)
    assert [kpi.name for kpi in told.kpis] == ["orders", "revenue"]
    assert [one.tolerance for one in told.tolerances] == [0.002, 0.01]
    assert judge_settings(Settings(), "search", named=named).kpis == ()


def test_who_changes_what_judges_are_told_is_in_the_audit_log(configured: Site) -> None:
    program = configured.program(Role.OPERATOR)
    program.post("/kpis", REVENUE)
    put(program, "/kpis/revenue", REVENUE | {"unit": "USD"})
    program.ask("DELETE", "/api/v1/kpis/revenue")
    made = program.post("/tolerances", {"signal": "errors", "tolerance": 0.02}).json()
    program.ask("DELETE", f"/api/v1/tolerances/{made['id']}")
    assert [(entry.action, entry.object, entry.detail) for entry in configured.log()] == [
        ("kpi.create", "revenue", "mean of order.total for checkout, higher_is_better"),
        ("kpi.change", "revenue", "mean of order.total for checkout, higher_is_better"),
        ("kpi.delete", "revenue", "mean of order.total for checkout, higher_is_better"),
        ("tolerance.create", "errors", "errors 0.02 for *"),
        ("tolerance.delete", made["id"], "errors 0.02 for *"),
    ]
    assert {entry.actor for entry in configured.log()} == {"token CI"}


@pytest.mark.parametrize("role", [Role.VIEWER, Role.DEVELOPER])
def test_it_takes_an_operator(configured: Site, role: Role) -> None:
    program = configured.program(role)
    assert program.get("/kpis").status_code == 200
    refused: list[Callable[[], Any]] = [
        lambda: program.post("/kpis", REVENUE),
        lambda: program.ask("DELETE", "/api/v1/kpis/orders"),
        lambda: program.post("/tolerances", {"signal": "errors", "tolerance": 0.02}),
    ]
    assert [ask().status_code for ask in refused] == [403] * 3


def test_without_an_engine_a_preview_says_where_to_ask(api: Api) -> None:
    answer = api.post("/kpis/preview", REVENUE)
    assert (answer.status_code, "ask a server that has one" in answer.text) == (503, True)
