"""Tokens of programs: what they open, for how long, and that nobody sees them twice."""

import logging
import re
import zlib

import pytest

from known.builders import an_occurrence, see
from onejob.access.secrets import hidden, new_token, token_kind
from onejob.model.access import Role, TokenKind
from onejob.state.database import Database

from .site import Asks, Program, Site, token_in

TOKEN = re.compile(r"onejob_(api|ingest)_[0-9A-Za-z]{43}_[0-9a-f]{8}")


def test_a_token_has_the_form_that_is_documented_for_scanners() -> None:
    for kind in TokenKind:
        text = new_token(kind)
        assert TOKEN.fullmatch(text)
        start, _, checksum = text.rpartition("_")
        assert checksum == f"{zlib.crc32(start.encode()):08x}"
        assert token_kind(text) is kind
        assert text not in hidden(f"say {text} again")
    assert token_kind(new_token(TokenKind.API)[:-1] + "x") is None


def test_a_token_is_shown_once_and_opens_what_its_role_may(any_site: Site) -> None:
    browser = any_site.browser("ada")
    made = browser.make_token(name="CI of checkout")
    program = Program(any_site, token_in(made.text))
    program.start()
    assert program.get("/users").status_code == 403
    listed = browser.get("/account").text
    assert "CI of checkout" in listed
    assert not TOKEN.search(listed)
    assert ("ada", "token.create", "CI of checkout") in any_site.acts()
    assert ("token CI of checkout of ada", "deployment.report", "checkout 2") in any_site.acts()


@pytest.mark.parametrize(
    "wrong",
    ["onejob_api_nothing", new_token(TokenKind.API), new_token(TokenKind.INGEST)],
    ids=["of no form", "unknown", "for telemetry"],
)
def test_what_is_no_token_is_refused_whatever_else_comes_with_it(site: Site, wrong: str) -> None:
    browser = site.browser("ada")
    answer = browser.get("/api/v1/deployments", headers={"authorization": f"Bearer {wrong}"})
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="onejob", error="invalid_token"'
    assert wrong not in answer.text


def test_a_token_is_never_taken_from_an_address(site: Site) -> None:
    token = site.program(Role.ADMIN).token
    for name in ("token", "access_token", "authorization"):
        assert Asks(site).ask("GET", "/api/v1/deployments", params={name: token}).status_code == 401


def test_a_token_opens_nothing_once_it_is_revoked_or_too_old(any_site: Site) -> None:
    admin, other = any_site.program(Role.ADMIN, name="root"), any_site.program(Role.VIEWER)
    items = admin.get("/tokens").json()["items"]
    (token_id,) = [token["id"] for token in items if token["name"] == "CI"]
    assert other.get("/deployments").status_code == 200
    assert admin.ask("DELETE", f"/api/v1/tokens/{token_id}").json()["revoked_at"] == "2026-03-01T12:00:00Z"
    assert other.get("/deployments").status_code == 401
    assert ("token root", "token.revoke", token_id) in any_site.acts()
    any_site.later(days=89, hours=23)
    assert admin.get("/tokens").status_code == 200
    any_site.later(hours=1)
    assert admin.get("/tokens").status_code == 401


def test_when_a_token_was_last_used_is_known_to_the_minute(any_site: Site) -> None:
    admin = any_site.program(Role.ADMIN)
    used = lambda: admin.get("/tokens").json()["items"][0]["last_used_at"]  # noqa: E731
    assert used() == "2026-03-01T12:00:00Z"
    any_site.later(seconds=59)
    assert used() == "2026-03-01T12:00:00Z"
    any_site.later(seconds=1)
    assert used() == "2026-03-01T12:01:00Z"


def test_a_token_may_never_do_more_than_its_owner(any_site: Site) -> None:
    any_site.add_user("bo", Role.OPERATOR)
    bo = any_site.browser("bo")
    assert bo.make_token("admin").status_code == 400
    program = Program(any_site, token_in(bo.make_token("operator").text))
    assert program.get("/dead-letters").status_code == 503, "let in; this server has no intake"
    admin = any_site.program(Role.ADMIN)
    admin.ask("PATCH", "/api/v1/users/bo", json={"role": "viewer"})
    assert program.get("/dead-letters").status_code == 403
    assert program.get("/deployments").status_code == 200
    admin.ask("PATCH", "/api/v1/users/bo", json={"disabled": True})
    assert program.get("/deployments").status_code == 401


def test_a_token_for_one_service_sees_and_touches_only_that(any_site: Site) -> None:
    all_of_them = any_site.program(Role.OPERATOR)
    theirs = all_of_them.start("payments")
    rollout = all_of_them.post("/rollouts", {"deployment_id": theirs, "driver": "fake"}).json()["id"]
    program = any_site.program(Role.OPERATOR, service="checkout")
    mine = program.start("checkout")

    assert [one["id"] for one in program.get("/deployments").json()["items"]] == [mine]
    assert program.get(f"/deployments/{mine}").status_code == 200
    assert program.get("/gate", params={"service": "checkout", "version": "2"}).status_code == 200
    assert program.post("/rollouts", {"deployment_id": mine, "driver": "fake"}).status_code == 201
    refused = {
        "list": program.get("/deployments", params={"service": "payments"}),
        "report": program.post("/deployments", {"service": "payments", "version": "2"}),
        "show": program.get(f"/deployments/{theirs}"),
        "progress": program.ask("PATCH", f"/api/v1/deployments/{theirs}", json={"status": "finished"}),
        "history": program.get(f"/deployments/{theirs}/verdicts"),
        "recompute": program.post(f"/deployments/{theirs}/recompute"),
        "gate": program.get("/gate", params={"service": "payments", "version": "2"}),
        "start": program.post("/rollouts", {"deployment_id": theirs, "driver": "fake"}),
        "rollout": program.get(f"/rollouts/{rollout}"),
        "abort": program.post(f"/rollouts/{rollout}/abort"),
        "page": program.ask("GET", f"/deployments/{theirs}"),
        "status": program.get("/status"),
        "tokens": program.post("/tokens", {"name": "x", "role": "viewer"}),
    }
    assert {name: answer.status_code for name, answer in refused.items()} == dict.fromkeys(refused, 403)


def test_a_token_for_one_service_sees_and_resolves_only_its_errors(any_site: Site) -> None:
    mine, theirs = an_occurrence(), an_occurrence(service="payments")
    see(any_site.services.database, mine, theirs)
    program = any_site.program(Role.DEVELOPER, service="checkout")

    assert [one["id"] for one in program.get("/errors").json()["items"]] == [mine.error_id]
    assert program.get("/errors", params={"service": "payments"}).status_code == 403
    assert program.post(f"/errors/{mine.error_id}/resolve").status_code == 200
    assert program.get(f"/errors/{theirs.error_id}").status_code == 403
    for said in ("resolve", "reopen"):
        assert program.post(f"/errors/{theirs.error_id}/{said}").status_code == 403


def test_a_token_for_one_service_tells_complaints_of_it_and_changes_no_others(any_site: Site) -> None:
    told = {"customer": "acme", "summary": "slow", "source": "desk"}
    everybodys = any_site.program(Role.DEVELOPER)
    assert everybodys.post("/complaints", told | {"external_id": "1"}).status_code == 201
    program = any_site.program(Role.DEVELOPER, service="checkout")

    mine = program.post("/complaints", told | {"external_id": "2"})
    assert (mine.status_code, mine.json()["service"]) == (201, "checkout")
    assert program.post("/complaints", told | {"external_id": "2", "summary": "fast"}).status_code == 200
    assert program.post("/complaints", told | {"external_id": "3", "service": "payments"}).status_code == 403
    taken_over = program.post("/complaints", told | {"external_id": "1", "summary": "fast"})
    assert (taken_over.status_code, taken_over.json()["detail"]) == (
        403, "That ticket is not known as one about checkout."
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"role": None}, "what the token may do"),
        ({"role": "emperor"}, "role"),
        ({"days": 0}, "days"),
        ({"days": 367}, "days"),
        ({"name": ""}, "name"),
        ({"origins": ["https://shop.example"]}, "Only ingest tokens have origins"),
        ({"kind": "ingest"}, "nothing else"),
        ({"kind": "ingest", "role": None, "origins": ["https://shop.example/path"]}, "no origin"),
        ({"kind": "ingest", "role": None, "origins": ["*"]}, "no origin"),
    ],
)
def test_a_token_that_makes_no_sense_is_refused_in_words(site: Site, body: dict[str, object], said: str) -> None:
    answer = site.program(Role.ADMIN).post("/tokens", {"name": "x", "role": "viewer"} | body)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]


def test_people_see_and_revoke_their_own_tokens_only(site: Site) -> None:
    for name in ("bo", "cy"):
        site.add_user(name, Role.DEVELOPER)
    bo, cy = site.browser("bo"), site.browser("cy")
    bo.make_token(name="mine")
    (mine,) = site.services.access.book.tokens.all()
    assert "mine" not in cy.get("/account").text
    assert cy.get("/api/v1/tokens").json()["items"] == []
    assert cy.post(f"/account/tokens/{mine.id}/revoke").status_code == 400
    assert bo.post(f"/account/tokens/{mine.id}/revoke").status_code == 303
    assert bo.get("/account").text.count("revoke</button>") == 0


def test_no_token_is_in_the_database_a_log_a_page_or_the_audit_log(
    site: Site, sqlite_database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    browser = site.browser("ada")
    token = token_in(browser.make_token("admin").text)
    program = Program(site, token)
    program.start()
    pages = [browser.get(path).text for path in ("/", "/account", "/audit")]
    pages += [program.get(path).text for path in ("/tokens", "/audit", "/users", "/deployments")]
    with sqlite_database.read() as connection:
        tables = [name for (name,) in connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table'")]
        kept = [repr(connection.exec_driver_sql(f"SELECT * FROM {name}").all()) for name in tables]  # noqa: S608
    secret = token.split("_")[2]
    assert not any(secret in text for text in (*pages, *kept, caplog.text))
