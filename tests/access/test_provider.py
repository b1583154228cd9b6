"""Login at an OpenID provider that runs in a process of its own."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from onejob.model.access import Role
from onejob.state.database import Database

from .site import BASE, Browser, Site

ROLES = {"admins": "admin", "engineers": "developer"}


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """The provider's address."""
    command = [sys.executable, str(Path(__file__).parent / "oidc_process.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.kill()


@pytest.fixture
def site(state_database: Database, issuer: str) -> Site:
    """Nobody has a password here."""
    site = Site(state_database, oidc_issuer=issuer, oidc_roles=ROLES, oidc_client_secret="s3cret")
    site.now = site.now.now(site.now.tzinfo)  # the provider's clock is a real one
    return site


def know(issuer: str, subject: str, **claims: Any) -> None:
    """Tell the provider of somebody."""
    assert httpx.put(f"{issuer}/users/{subject}", json=claims).status_code == 204


def leave(browser: Browser, **query: str) -> str:
    """Where the browser is sent."""
    answer = browser.get("/login/provider", params=query)
    assert answer.status_code == 303, answer.text
    return answer.headers["location"]


def agree(address: str, subject: str) -> str:
    """What the provider sends the browser back to, once somebody has logged in there."""
    answer = httpx.post(address, data={"sub": subject})
    assert answer.status_code == 302, answer.text
    back = answer.headers["location"]
    assert back.startswith(f"{BASE}/login/provider/back?")
    return back.removeprefix(BASE)


def log_in(site: Site, issuer: str, subject: str, **claims: Any) -> tuple[Browser, httpx.Response]:
    know(issuer, subject, **claims)
    browser = site.browser()
    return browser, browser.get(agree(leave(browser), subject))


def test_somebody_the_provider_knows_is_let_in_with_the_role_of_their_group(site: Site, issuer: str) -> None:
    browser = site.browser()
    assert "Log in with 127.0.0.1" in browser.get("/login").text
    know(issuer, "u1", preferred_username="Ada", groups=["engineers", "others"])
    answer = browser.get(agree(leave(browser, back="/deployments?service=checkout"), "u1"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/deployments?service=checkout")
    page = browser.get("/account")
    assert "ada" in page.text
    assert "developer" in page.text
    assert "Change it" not in page.text, "the password is the provider's"
    assert ("ada", "login", "ada") in site.acts()


def test_the_login_uses_pkce_state_and_nonce_and_hides_the_verifier(site: Site) -> None:
    query = parse_qs(urlsplit(leave(site.browser())).query)
    assert query["response_type"] == ["code"]
    assert query["code_challenge_method"] == ["S256"]
    assert query["redirect_uri"] == [f"{BASE}/login/provider/back"]
    assert len(query["state"][0]) == len(query["nonce"][0]) == len(query["code_challenge"][0]) == 43
    assert "code_verifier" not in query
    assert "openid" in query["scope"][0].split()
    assert "acr_values" not in query


def test_the_provider_is_asked_for_a_login_as_strong_as_the_settings_want(
    sqlite_database: Database, issuer: str
) -> None:
    required = {"oidc_required_acr": ("urn:two", "urn:three"), "oidc_required_amr": ("mfa",)}
    site = Site(sqlite_database, oidc_issuer=issuer, oidc_roles=ROLES, oidc_client_secret="s3cret", **required)
    site.now = site.now.now(site.now.tzinfo)
    query = parse_qs(urlsplit(leave(site.browser())).query)
    assert query["acr_values"] == ["urn:two urn:three"]
    browser, answer = log_in(site, issuer, "u9", preferred_username="hal", groups=["engineers"])
    assert answer.status_code == 403
    assert "This server wants a login at the provider by urn:two or urn:three" in answer.text
    assert not browser.is_in()
    assert site.services.access.accounts.users.all() == []


def test_the_role_follows_the_groups_at_every_login(site: Site, issuer: str) -> None:
    role = lambda: site.services.access.accounts.users.all()[0].role  # noqa: E731
    log_in(site, issuer, "u2", preferred_username="bo", groups=["engineers", "admins"])
    assert role() is Role.ADMIN, "of several, the one that may do most"
    log_in(site, issuer, "u2", preferred_username="bo-renamed", groups=["engineers"])
    assert role() is Role.DEVELOPER
    assert [user.name for user in site.services.access.accounts.users.all()] == ["bo"]


@pytest.mark.parametrize("groups", [[], ["others"], "others", None, 7, {"admins": 1}])
def test_who_has_no_role_is_refused_and_not_made_a_user(site: Site, issuer: str, groups: Any) -> None:
    browser, answer = log_in(site, issuer, "u3", preferred_username="cy", groups=groups)
    assert answer.status_code == 403
    assert "gives you a role here" in answer.text
    assert not browser.is_in()
    assert site.services.access.accounts.users.all() == []
    assert ("unknown", "login", "unknown") in site.acts()


def test_a_name_that_somebody_with_a_password_has_is_not_taken_over(site: Site, issuer: str) -> None:
    site.add_user("admin")
    browser, answer = log_in(site, issuer, "u4", preferred_username="admin", groups=["engineers"])
    assert answer.status_code == 403
    assert "another user" in answer.text
    assert not browser.is_in()


def test_who_was_disabled_here_is_refused_whatever_the_provider_says(site: Site, issuer: str) -> None:
    log_in(site, issuer, "u5", preferred_username="di", groups=["engineers"])
    accounts = site.services.access.accounts
    accounts.users.change(accounts.users.all()[0].id, disabled_at=site.now)
    assert log_in(site, issuer, "u5", preferred_username="di", groups=["admins"])[1].status_code == 403


def test_a_login_that_was_begun_in_another_browser_is_refused(site: Site, issuer: str) -> None:
    know(issuer, "u6", preferred_username="ed", groups=["engineers"])
    attacker, victim = site.browser(), site.browser()
    back = agree(leave(attacker), "u6")
    for browser in (victim, site.browser()):
        assert browser.get(back).status_code == 403
        assert not browser.is_in()
    leave(victim)
    assert victim.get(back).status_code == 403, "with a cookie of its own login, too"


def test_an_answer_of_the_provider_is_taken_once_and_not_too_late(site: Site, issuer: str) -> None:
    know(issuer, "u7", preferred_username="flo", groups=["engineers"])
    browser = site.browser()
    back = agree(leave(browser), "u7")
    state = browser.cookies.get("onejob_login")
    assert browser.get(back).status_code == 303
    browser.cookies.set("onejob_login", state or "", domain="onejob.example")
    assert browser.get(back).status_code == 403
    late = agree(leave(browser), "u7")
    site.later(minutes=10)
    assert browser.get(late).status_code == 403


@pytest.mark.parametrize("change", ["code", "verifier"])
def test_a_code_that_is_not_ours_is_refused_by_the_provider(
    site: Site, issuer: str, change: str, state_database: Database
) -> None:
    know(issuer, "u8", preferred_username="gus", groups=["engineers"])
    browser = site.browser()
    back = agree(leave(browser), "u8")
    if change == "code":
        back = back.replace("code=", "code=x")
    else:
        with state_database.write() as connection:
            connection.exec_driver_sql(f"UPDATE provider_logins SET verifier = '{'x' * 43}'")  # noqa: S608
    answer = browser.get(back)
    assert answer.status_code == 403
    assert "The provider refused" in answer.text
    assert not browser.is_in()


def test_a_refusal_at_the_provider_leads_back_to_the_form(site: Site) -> None:
    browser = site.browser()
    answer = httpx.post(leave(browser), data={"action": "deny"})
    page = browser.get(answer.headers["location"].removeprefix(BASE))
    assert page.status_code == 403
    assert "The provider did not log you in" in page.text


def test_a_provider_that_does_not_answer_leaves_the_passwords(sqlite_database: Database) -> None:
    site = Site(sqlite_database, oidc_issuer="http://127.0.0.1:9", oidc_roles=ROLES)
    site.add_user()
    answer = site.browser().get("/login/provider")
    assert answer.status_code == 502
    assert "does not answer" in answer.text
    assert site.browser().log_in("ada").status_code == 303
