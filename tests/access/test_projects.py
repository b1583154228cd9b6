"""Projects see nothing of one another: every route there is, asked by members of another one."""

import hashlib
import hmac
import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from onejob.model.access import Role
from onejob.web.rules import RULES
from state_sqlite import Template

from .site import Asks, Browser, Program, token_in
from .test_rules import address
from .town import Town, a_town

SHOP, BANK = "/p/shop", "/p/bank"
SECRET = "a secret of webhooks"


@pytest.fixture(scope="module")
def town(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Town:
    """Only asked, by these tests."""
    return a_town(template, tmp_path_factory.mktemp("town"), hook_secret=SECRET)


@pytest.fixture
def own_town(template: Template, tmp_path: Path) -> Town:
    """For a test that changes something."""
    return a_town(template, tmp_path)


def the_token(town: Town, project: str, role: Role) -> Program:
    return town.program(role, project=project)


def _answers(who: Asks, at: str) -> dict[tuple[str, str], tuple[int, str, str]]:
    """What each route there is answers below this address; the stream of news does not end, so only its head."""
    found = {}
    for method, path in RULES:
        asked = "HEAD" if path == "/events" else method
        answer = who.ask(asked, at + address(path), headers={"accept": "application/json"})
        found[method, path] = (answer.status_code, answer.headers.get("location", ""), answer.text)
    return found


def _unnamed(answers: dict[tuple[str, str], tuple[int, str, str]], name: str) -> Any:
    return {
        key: tuple(one.replace(name, "NAME") if isinstance(one, str) else one for one in answer)
        for key, answer in answers.items()
    }


def test_a_member_of_another_project_gets_nothing_at_any_address(town: Town) -> None:
    member = town.browser("ban")
    answers = _answers(member, SHOP)
    assert {key: answer for key, answer in answers.items() if answer[0] != 404} == {}
    assert _unnamed(answers, "shop") == _unnamed(_answers(member, "/p/nowhere"), "nowhere")


def test_a_token_of_another_project_gets_nothing_at_any_address(town: Town) -> None:
    program = the_token(town, "bank", Role.ADMIN)
    for at in (SHOP, ""):
        answers = _answers(program, at)
        open_to_all = {key for key, rule in RULES.items() if rule.role is None}
        assert {key: answer for key, answer in answers.items() if key not in open_to_all and answer[0] != 404} == {}
    assert _unnamed(_answers(program, SHOP), "shop") == _unnamed(_answers(program, "/p/nowhere"), "nowhere")


def test_whoever_does_not_say_who_they_are_learns_of_no_project(town: Town) -> None:
    nobody = Asks(town)
    answers = _answers(nobody, SHOP)
    assert {answer[0] for answer in answers.values()} <= {401, 403}, "403: a form that no page of ours sent"
    assert _unnamed(answers, "shop") == _unnamed(_answers(nobody, "/p/nowhere"), "nowhere")
    page = {"accept": "text/html"}
    asked = [nobody.ask("GET", f"/p/{name}/errors", headers=page) for name in ("shop", "nowhere")]
    assert [answer.status_code for answer in asked] == [303, 303]


@pytest.mark.parametrize("role", list(Role))
def test_each_role_may_do_in_its_project_what_its_rule_says_and_nothing_of_the_server(town: Town, role: Role) -> None:
    program = the_token(town, "shop", role)
    for key, (status, _, said) in _answers(program, SHOP).items():
        rule, top = RULES[key], key[1].split("/")[1]
        if rule.of_server or top in ("login", "welcome", "logout", "account", "healthz", "readyz", "theme"):
            assert status == 404, (key, said)
        elif rule.role is not None:
            assert (status not in (401, 403)) == role.covers(rule.role), (key, status, said)


def test_a_role_in_a_project_is_none_elsewhere(own_town: Town) -> None:
    sho, ban = own_town.browser("sho"), own_town.browser("ban")
    body = {"service": "till", "version": "2"}
    same_origin = {"sec-fetch-site": "same-origin"}
    told = sho.ask("POST", f"{SHOP}/api/v1/deployments", json=body, headers=same_origin)
    assert told.status_code == 201
    assert told.headers["location"].startswith(SHOP)
    assert sho.ask("POST", "/api/v1/deployments", json=body, headers=same_origin).status_code == 403
    assert ban.get(f"{BANK}/api/v1/audit").status_code == 200
    assert ban.get("/api/v1/audit").status_code == 403
    assert [one["service"] for one in sho.get(f"{SHOP}/api/v1/deployments").json()["items"]] == ["till"]
    for who, at in ((sho, ""), (ban, BANK), (own_town.browser("ada"), "")):
        assert who.get(f"{at}/api/v1/deployments").json()["items"] == []
    assert own_town.browser("ada").get(f"{SHOP}/api/v1/deployments").status_code == 200
    (entry,) = own_town.kept.running()["shop"].audit.after(0, 10)
    assert (entry.actor, entry.action) == ("sho", "deployment.report")
    assert "till" not in str(own_town.acts())


def test_who_is_put_out_of_a_project_is_out_at_once_and_so_is_their_token(own_town: Town) -> None:
    ada = own_town.program(Role.ADMIN)
    sho = own_town.browser("sho")
    made = _make(sho, {"name": "CI", "role": "operator", "project": "shop"}).json()
    program = Program(own_town, made["token"])
    assert program.ask("GET", f"{SHOP}/api/v1/deployments").status_code == 200
    assert ada.ask("PUT", "/api/v1/projects/shop/members/sho", json={"role": "viewer"}).status_code == 200
    assert program.ask("GET", f"{SHOP}/api/v1/dead-letters").status_code == 403
    gone = ada.ask("DELETE", "/api/v1/projects/shop/members/SHO").json()
    assert gone["members"] == {}
    for who in (sho, program):
        assert who.ask("GET", f"{SHOP}/api/v1/deployments").status_code == 404
    assert [act for act in own_town.acts() if act[1].startswith("member")] == [
        ("token CI", "member.set", "shop sho"),
        ("token CI", "member.remove", "shop sho"),
    ]


def _make(who: Browser, body: dict[str, Any]) -> Any:
    return who.ask("POST", "/api/v1/tokens", json=body, headers={"sec-fetch-site": "same-origin"})


def test_tokens_are_made_for_ones_own_projects_and_for_no_more_than_one_may_there(own_town: Town) -> None:
    sho = own_town.browser("sho")
    assert _make(sho, {"name": "x", "role": "operator", "project": "shop"}).json()["project"] == "shop"
    assert _make(sho, {"name": "x", "kind": "ingest", "project": "shop"}).status_code == 201
    assert _make(sho, {"name": "x", "role": "admin", "project": "shop"}).status_code == 403
    assert _make(sho, {"name": "x", "kind": "ingest"}).status_code == 403, "a viewer of default"
    refused = [_make(sho, {"name": "x", "role": "viewer", "project": name}) for name in ("bank", "nowhere")]
    assert [answer.status_code for answer in refused] == [404, 404]
    assert refused[0].json()["detail"].replace("bank", "nowhere") == refused[1].json()["detail"]

    of_shop = own_town.program(Role.ADMIN, project="shop")
    assert (
        of_shop.ask("POST", f"{SHOP}/api/v1/tokens", json={"name": "y", "role": "viewer"}).json()["project"] == "shop"
    )
    for project in ("bank", "default"):
        body = {"name": "y", "role": "viewer", "project": project}
        assert of_shop.ask("POST", f"{SHOP}/api/v1/tokens", json=body).status_code == 404
    listed = of_shop.ask("GET", f"{SHOP}/api/v1/tokens").json()["items"]
    assert {token["project"] for token in listed} == {"shop"}
    (mine,) = [one for one in own_town.browser("ada").get("/api/v1/tokens").json()["items"] if one["name"] == "y"]
    of_bank = own_town.program(Role.ADMIN, project="bank")
    assert of_bank.ask("DELETE", f"{BANK}/api/v1/tokens/{mine['id']}").status_code == 404
    assert of_shop.ask("DELETE", f"{SHOP}/api/v1/tokens/{mine['id']}").status_code == 200


def test_a_token_of_the_server_makes_none_for_a_project_of_its_owner(own_town: Town) -> None:
    sho = own_town.browser("sho")
    program = Program(own_town, _make(sho, {"name": "CI", "role": "viewer"}).json()["token"])
    body = {"name": "more", "role": "operator", "project": "shop"}
    assert program.ask("POST", "/api/v1/tokens", json=body).status_code == 404
    assert program.ask("GET", f"{SHOP}/api/v1/deployments").status_code == 404
    admin = own_town.program(Role.ADMIN)
    assert admin.ask("POST", "/api/v1/tokens", json=body).status_code == 201


def test_people_make_tokens_for_their_projects_on_their_account_page(own_town: Town) -> None:
    sho = own_town.browser("sho")
    page = sho.get("/account").text
    assert "<option>shop</option>" in page
    assert "bank" not in page
    made = Program(own_town, token_in(sho.make_token("operator", project="shop").text))
    assert made.ask("GET", f"{SHOP}/api/v1/dead-letters").status_code == 503, "let in; there is no intake"
    assert sho.make_token("operator", project="bank").status_code == 400
    assert sho.make_token("operator").status_code == 400, "a viewer of default"
    assert "<td>shop</td>" in sho.get("/account").text
    assert "<option>default</option>" not in _alone(own_town).get("/account").text


def test_operators_look_after_the_ingest_tokens_of_their_projects_on_their_account_page(own_town: Town) -> None:
    site, gate = "https://shop.example", own_town.services.access.ingest
    sho, ban = own_town.browser("sho"), own_town.browser("ban")

    def make(project: str = "shop", **form: str) -> httpx.Response:
        return sho.post("/account/ingest-tokens", **({"name": "web", "days": "30", "project": project} | form))

    made = make(origins=f"{site}  https://m.shop.example")
    (text,) = set(re.findall(r"onejob_ingest_\w{40,}", made.text))
    assert [gate.admits(f"Bearer {text}", origin) for origin in (site, None, "https://evil.example")] == [
        *("shop", "shop", None)
    ]
    assert own_town.log()[-1].detail == "ingest of shop"
    assert {answer.status_code for answer in (make("bank"), make("default"), make(origins="shop"), make(days="9"))} == {
        400
    }
    (token,) = own_town.services.access.book.tokens.all(project="shop")
    assert (token.role, token.owner_id, token.made_by) == (None, None, "sho")
    for who, is_shown in ((sho, True), (own_town.browser("ada"), True), (ban, False), (_alone(own_town), False)):
        page = who.get("/account").text
        assert (f"{site} https://m.shop.example" in page, text in page) == (is_shown, False)
    assert "Make an ingest token" not in own_town.browser("solo").get("/account").text
    revoke = f"/account/tokens/{token.id}/revoke"
    assert (ban.post(revoke).status_code, gate.admits(f"Bearer {text}", None)) == (400, "shop")
    assert (sho.post(revoke).status_code, gate.admits(f"Bearer {text}", None)) == (303, None)


def _alone(town: Town) -> Browser:
    town.add_user("solo", Role.VIEWER)
    return town.browser("solo")


def test_an_empty_project_says_how_telemetry_finds_it(town: Town) -> None:
    assert "--ingest --project shop" in town.browser("sho").get(f"{SHOP}/").text
    assert 'make one in <a href="/account">your account</a>' in town.browser("sho").get(f"{SHOP}/").text
    assert "--project" not in town.browser("sho").get("/").text


def test_a_menu_leads_to_the_projects_that_one_may_see(own_town: Town) -> None:
    page = own_town.browser("sho").get(f"{SHOP}/errors").text
    assert 'href="/errors"' in page
    assert 'href="/p/shop/errors"' in page
    assert "/p/bank" not in page
    assert 'href="/p/bank/errors"' in own_town.browser("ada").get(f"{SHOP}/errors").text
    assert "/p/" not in _alone(own_town).get("/errors").text


def test_a_project_that_does_not_run_says_why_to_those_who_belong_to_it_only(own_town: Town) -> None:
    own_town.kept.told["shop"] = "Its disk is full."
    assert "Its disk is full." in own_town.browser("sho").get(f"{SHOP}/").text
    assert own_town.browser("ban").get(f"{SHOP}/").status_code == 404
    status = own_town.program(Role.ADMIN).get("/status").json()["projects"]
    assert {one["name"]: one["trouble"] for one in status} == {"bank": "", "shop": "Its disk is full."}
    assert own_town.program(Role.VIEWER).get("/status").json()["projects"] == []
    checks = {one["check"] for one in own_town.program(Role.ADMIN).get("/doctor").json()["findings"]}
    assert "project shop" in checks


def test_names_that_are_none_and_limits_that_make_no_sense_are_refused(town: Town) -> None:
    admin = town.program(Role.ADMIN)
    for name in ("", "Shop", "1shop", "a_b", "a" * 33, "shop\n", "default", "../x"):
        assert admin.post("/projects", {"name": name}).status_code == 422, name
    assert admin.post("/projects", {"name": "shop"}).status_code == 409
    for body in ({"traces_retention_days": 0}, {"traces_retention_days": 9999}, {"spool_max_bytes": -1}, {"x": 1}):
        assert admin.ask("PATCH", "/api/v1/projects/shop", json=body).status_code == 422
    for method, path in (("PATCH", "nowhere"), ("DELETE", "nowhere"), ("DELETE", "shop/members/nobody")):
        body = {"logs_retention_days": 1} if method == "PATCH" else None
        assert admin.ask(method, f"/api/v1/projects/{path}", json=body).status_code == 404
    assert admin.ask("DELETE", "/api/v1/projects/default").status_code == 422


def test_a_project_describes_what_it_has_and_nothing_of_the_servers(town: Town) -> None:
    admin = town.browser("ada")
    paths = {at: admin.get(f"{at}/openapi.json").json()["paths"] for at in ("", SHOP)}
    server, shop = ({(way.upper(), path) for path, ways in paths[at].items() for way in ways} for at in ("", SHOP))
    assert shop < server
    of_server = {key for key in server if RULES[key].of_server}
    assert server - shop == of_server
    assert {("GET", "/api/v1/users"), ("POST", "/api/v1/backup")} < of_server


def test_a_webhook_is_signed_with_the_secret_of_its_own_project(template: Template, tmp_path: Path) -> None:
    town = a_town(template, tmp_path, hook_secret=SECRET)
    # As docs/projects.md says: printf shop | openssl dgst -sha256 -hmac "$ONEJOB_HOOK_SECRET"
    secrets = {at: hmac.new(SECRET.encode(), at[3:].encode(), hashlib.sha256).hexdigest() for at in (SHOP, BANK)}
    secrets[""] = SECRET
    body = {"customer": "acme", "summary": "Orders fail", "external_id": "T-1", "source": "zendesk"}
    content = json.dumps(body).encode()
    for at in secrets:
        answers = {}
        for whose, secret in secrets.items():
            signature = "sha256=" + hmac.new(secret.encode(), content, hashlib.sha256).hexdigest()
            headers = {"content-type": "application/json", "x-hub-signature": signature}
            answers[whose] = Asks(town).ask("POST", f"{at}/api/v1/hooks/complaints", content=content, headers=headers)
        assert {whose for whose, answer in answers.items() if answer.status_code == 200} == {at}
        assert {answer.status_code for whose, answer in answers.items() if whose != at} == {401}
        (told,) = town.browser("ada").get(f"{at}/api/v1/complaints").json()["items"]
        assert told["customer"] == "acme"


def test_a_server_without_a_login_has_its_projects_open_to_whoever_is_on_the_machine(
    template: Template, tmp_path: Path
) -> None:
    town = a_town(template, tmp_path, base="http://localhost:8320", login="auto", allowed_hosts=())
    assert Asks(town).ask("GET", f"{SHOP}/api/v1/deployments").status_code == 200
    assert Asks(town).ask("GET", "/p/nowhere/api/v1/deployments").status_code == 404
