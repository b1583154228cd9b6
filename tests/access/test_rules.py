"""Who may do what: every route there is, asked by everybody."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from onejob.model.access import Role
from onejob.state.database import Database
from onejob.web.rules import RULES, rule_for

from .site import Asks, Site

_FILLED = {
    "{deployment_id}": "dep_none",
    "{rollout_id}": "rol_none",
    "{command}": "abort",
    "{backtest_id}": "bkt_none",
    "{job_id}": "job_none",
    "{name}": "nobody",
    "{user}": "nobody",
    "{token_id}": "tok_none",
    "{tolerance_id}": "tol_none",
    "{complaint_id}": "cmp_none",
    "{rest:path}": "v9/nothing",
}
_CHANGES_NOTHING = {
    ("POST", "/theme"),
    ("POST", "/deployments/{deployment_id}/recompute"),
    ("POST", "/api/v1/deployments/{deployment_id}/recompute"),
    ("POST", "/api/v1/import"),
    ("POST", "/settings/kpi-preview"),
    ("POST", "/api/v1/kpis/preview"),
    *((method, "/api/{rest:path}") for method in ("POST", "PUT", "PATCH", "DELETE")),
}
_GUARDED = [(method, path) for (method, path), rule in RULES.items() if rule.role is not None]


def _routes(routes: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    for route in routes:
        if hasattr(route, "original_router"):
            yield from _routes(route.original_router.routes)
        elif getattr(route, "methods", None):
            yield from ((method, route.path) for method in route.methods)


def address(path: str) -> str:
    for part, value in _FILLED.items():
        path = path.replace(part, value)
    return path


def test_every_route_has_a_rule_and_every_rule_a_route(site: Site) -> None:
    routes = {(method, path) for method, path in _routes(site.app.routes) if method != "HEAD"}
    assert len(routes) > 40
    assert routes - RULES.keys() == set(), "a route without a rule: say in web/rules.py who may use it"
    assert RULES.keys() - routes == set(), "a rule without a route"


def test_an_address_gets_the_rule_of_its_own_route() -> None:
    for (method, path), rule in RULES.items():
        assert rule_for(method, address(path)) is rule, path


def test_whatever_changes_something_has_a_name_in_the_audit_log() -> None:
    changing = {key for key, rule in RULES.items() if key[0] not in ("GET", "OPTIONS") and rule.acts is None}
    assert changing == _CHANGES_NOTHING


def test_nobody_comes_in_without_a_login(site: Site) -> None:
    program = Asks(site)
    for method, path in _GUARDED:
        answer = program.ask(method, address(path))
        if method not in ("GET", "OPTIONS") and not path.startswith("/api/"):
            assert answer.status_code == 403, "a form that no page of ours sent"
            continue
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="onejob"'), path
        assert "ONEJOB_TOKEN" in answer.json()["detail"]
    assert site.log() == []


@pytest.mark.parametrize("role", list(Role))
def test_each_role_may_do_what_its_rule_says_and_no_more(site: Site, role: Role) -> None:
    program = site.program(role)
    for (method, path), rule in RULES.items():
        if rule.role is None:
            continue
        asked = "HEAD" if path == "/events" else method  # the stream does not end
        answer = program.ask(asked, address(path), headers={"accept": "application/json"})
        is_allowed = role.covers(rule.role)
        assert (answer.status_code not in (401, 403)) == is_allowed, (method, path, answer.status_code, answer.text)


def test_an_address_that_no_rule_names_is_for_admins(site: Site) -> None:
    for role in (Role.VIEWER, Role.OPERATOR):
        assert site.program(role).ask("GET", "/nowhere").status_code == 404
    assert rule_for("GET", "/nowhere") is None
    assert rule_for("BREW", "/") is None
    assert Asks(site).ask("BREW", "/api/v1/users").status_code == 401


@pytest.mark.parametrize("mark", ["%3F", "%23", "%0A", "%3B", "%25", "%2F.."])
def test_an_address_with_strange_letters_gets_the_rule_of_the_route_that_answers_it(site: Site, mark: str) -> None:
    viewer = site.program(Role.VIEWER)
    for method, path in (("POST", "/api/v1/users/bo{}/link"), ("POST", "/api/v1/rollouts/rol_1{}/abort")):
        answer = viewer.ask(method, path.format(mark))
        assert answer.status_code in (403, 404), (path, answer.text)
        assert "onejob user list" not in answer.text, "its handler was reached"
        assert "a deployment's `rollout` has its id" not in answer.text, "its handler was reached"


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/login", "/welcome", "/static/onejob.css"])
def test_what_is_open_to_everybody_is_open(site: Site, path: str) -> None:
    assert Asks(site).ask("GET", path).status_code == 200


def test_a_page_that_one_may_not_see_says_so(site: Site) -> None:
    site.add_user("bo", Role.VIEWER)
    page = site.browser("bo").get("/audit")
    assert page.status_code == 403
    assert "This takes the role admin, and bo is viewer." in page.text
    assert "/audit" not in site.browser("bo").get("/").text


def test_a_viewer_cannot_steer_a_rollout_by_its_page(site: Site) -> None:
    site.add_user("bo", Role.VIEWER)
    answer = site.browser("bo").post("/deployments/dep_none/rollout/abort")
    assert answer.status_code == 403


def test_actors_are_who_they_proved_to_be(site: Site) -> None:
    program = site.program(Role.OPERATOR)
    deployment = program.start(actor="mallory")
    assert program.get(f"/deployments/{deployment}").json()["actor"] == "mallory, token CI"
    started = program.post("/rollouts", {"deployment_id": deployment, "driver": "fake", "mode": "act"}).json()
    assert program.post(f"/rollouts/{started['id']}/hold").json()["transitions"][-1]["reason"] == "hold by token CI"
    browser = site.browser("ada")
    assert browser.post(f"/deployments/{deployment}/rollout/abort").status_code == 303
    reasons = [made["reason"] for made in program.get(f"/rollouts/{started['id']}").json()["transitions"]]
    assert "abort by ada" in reasons


def test_a_server_on_loopback_wants_no_login(sqlite_database: Database) -> None:
    site = Site(sqlite_database, "http://localhost:8320", login="auto", allowed_hosts=())
    assert Asks(site).ask("GET", "/api/v1/users").status_code == 200
    assert Asks(site).ask("GET", "/login").headers["location"] == "/"
    assert "log out" not in site.browser().get("/").text
    answer = Asks(site).ask("POST", "/api/v1/deployments", json={"service": "checkout", "version": "2", "actor": "mo"})
    assert answer.json()["actor"] == "mo"
    assert site.acts() == [("mo", "deployment.report", "checkout 2")]


@pytest.mark.parametrize(
    "reached",
    [
        {"listen_host": "0.0.0.0"},  # noqa: S104
        {"listen_host": "::"},
        {"listen_host": "10.1.2.3"},
        {"allowed_hosts": ("onejob.example",)},
        {"public_url": "https://onejob.example"},
    ],
)
def test_a_server_that_others_reach_wants_a_login(sqlite_database: Database, reached: dict[str, Any]) -> None:
    told = {"login": "auto", "allowed_hosts": ()} | reached
    base = "https://onejob.example" if "listen_host" not in reached else "http://10.1.2.3:8320"
    site = Site(sqlite_database, base, **told)
    answer = Asks(site).ask("GET", "/api/v1/deployments")
    assert answer.status_code in (401, 421)
    assert site.services.access.is_required


def test_a_login_cannot_be_switched_off_where_others_reach_the_server() -> None:
    from onejob.config import Settings

    with pytest.raises(ValueError, match="login is off while listening on"):
        Settings(listen_host="0.0.0.0", login="off")  # noqa: S104
    assert not Settings(login="off", allowed_hosts=("onejob.example",)).requires_login


def test_the_stream_of_news_ends_with_its_session(site: Site) -> None:
    import asyncio

    site.add_user("bo", Role.VIEWER)
    bo = site.browser("bo")
    told: list[Any] = []

    async def listen() -> None:
        headers = [(b"host", b"onejob.example:8320"), (b"cookie", f"onejob_session={bo.cookie()}".encode())]
        about = {"asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "scheme": "http"}
        scope = {
            "type": "http",
            "method": "GET",
            "path": "/events",
            "headers": headers,
            "query_string": b"",
            "root_path": "",
        }

        async def receive() -> Any:
            await asyncio.Event().wait()

        async def send(message: Any) -> None:
            told.append(message)
            if len(told) == 2:
                site.services.access.accounts.sessions.end_all(site.services.access.accounts.users.named("bo").id)
                asyncio.get_running_loop().call_later(0.05, site.services.events.publish, "dep_secret", "verdict")

        await asyncio.wait_for(site.app(scope | about, receive, send), timedelta(seconds=20).total_seconds())

    asyncio.run(listen())
    assert told[0]["status"] == 200
    assert b"dep_secret" not in b"".join(message.get("body", b"") for message in told)
    assert told[-1] == {"type": "http.response.body", "body": b""}
