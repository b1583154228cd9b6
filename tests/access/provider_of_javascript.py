"""Login at oidc-provider, which the OpenID Foundation certified, and which shares no code with onejob.

Needs Node.js and what `make test-js` gets from npm, so it is no part of the other tests.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from onejob.state.database import Database

from .site import BASE, Browser, Site

HERE = Path(__file__).parent / "javascript"
SECRET = "s3cret of+one%job:/&="  # of what a form has to encode


@pytest.fixture(scope="module")
def issuer() -> Iterator[str]:
    """The provider's address."""
    command = ["node", "provider.mjs", SECRET, f"{BASE}/login/provider/back"]
    with subprocess.Popen(command, cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.kill()


def a_site(database: Database, issuer: str, **settings: Any) -> Site:
    told = {"oidc_client_secret": SECRET, "oidc_roles": {"engineers": "developer", "admins": "admin"}} | settings
    site = Site(database, oidc_issuer=issuer, **told)
    site.now = site.now.now(site.now.tzinfo)  # the provider's clock is a real one
    return site


def log_in(site: Site, name: str, *, agrees: bool = True) -> tuple[Browser, httpx.Response]:
    """Through the provider's own pages, as a browser goes through them."""
    browser = site.browser()
    at = browser.get("/login/provider").headers["location"]
    with httpx.Client(timeout=10) as there:
        for _ in range(12):
            if at.startswith(BASE):
                return browser, browser.get(at.removeprefix(BASE))
            answer = there.get(at)
            if not answer.is_redirect:
                answer = _answered(there, answer, name, agrees)
            at = str(answer.url.join(answer.headers["location"]))
    raise AssertionError(f"The provider goes on and on: {at}")


def _answered(there: httpx.Client, page: httpx.Response, name: str, agrees: bool) -> httpx.Response:
    """Of its two forms the one that is shown: who it is, or whether onejob may know."""
    prompt = re.search(r'name="prompt" value="(\w+)"', page.text)
    assert prompt, page.text
    if prompt[1] == "consent" and not agrees:
        return there.get(f"{page.url}/abort")
    return there.post(page.url, data={"prompt": prompt[1], "login": name, "password": "any"})


def test_somebody_that_a_certified_provider_knows_is_let_in(sqlite_database: Database, issuer: str) -> None:
    site = a_site(sqlite_database, issuer)
    browser, answer = log_in(site, "ada.engineers.others")
    assert (answer.status_code, answer.headers.get("location")) == (303, "/"), answer.text
    page = browser.get("/account").text
    assert ("ada" in page, "developer" in page) == (True, True)
    log_in(site, "ada.engineers.others")
    assert len(site.services.access.accounts.users.all()) == 1


def test_who_has_no_role_or_does_not_agree_is_not_let_in(sqlite_database: Database, issuer: str) -> None:
    site = a_site(sqlite_database, issuer)
    browser, answer = log_in(site, "bo.others")
    assert (answer.status_code, "gives you a role here" in answer.text, browser.is_in()) == (403, True, False)
    browser, answer = log_in(site, "cy.admins", agrees=False)
    assert (answer.status_code, "did not log you in" in answer.text, browser.is_in()) == (403, True, False)
    assert site.services.access.accounts.users.all() == []


def test_a_login_that_the_provider_tells_too_little_of_or_a_wrong_secret_is_refused(
    sqlite_database: Database, issuer: str
) -> None:
    site = a_site(sqlite_database, issuer, oidc_required_amr=("mfa",))
    browser, answer = log_in(site, "di.admins")
    assert (answer.status_code, "by mfa" in answer.text, browser.is_in()) == (403, True, False)
    other = a_site(sqlite_database, issuer, oidc_client_secret="another")
    browser, answer = log_in(other, "di.admins")
    assert (answer.status_code, "refused (invalid_client)" in answer.text, browser.is_in()) == (403, True, False)
