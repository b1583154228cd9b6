"""Logging in, in a real browser."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from access.serving import served
from access.site import PASSWORD, Site
from onejob.model.access import Role
from onejob.state.database import Database


@pytest.fixture
def access(sqlite_database: Database) -> Site:
    """With one user: ada, an admin."""
    site = Site(sqlite_database)
    site.now = site.now.now(site.now.tzinfo)  # browsers keep cookies by the real clock
    site.add_user()
    return site


@pytest.fixture
def url(access: Site) -> Iterator[str]:
    with served(access.app) as url:
        yield url


def log_in(page: Page, url: str) -> None:
    page.goto(f"{url}/account")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="ada", exact=True)).to_be_visible()


def _check_with_axe(page: Page) -> None:
    result = Axe().run(page, options={"resultTypes": ["violations"]})
    assert result.violations_count == 0, result.generate_report()


@pytest.mark.parametrize("width", [1360, 390])
def test_axe_finds_nothing_on_the_pages_about_access(browser: Browser, access: Site, url: str, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    try:
        for path in ("/login", "/welcome"):
            page.goto(url + path)
            _check_with_axe(page)
        log_in(page, url)
        page.get_by_label("Name").fill("CI")
        page.get_by_role("button", name="Make a token").click()
        expect(page.get_by_role("status")).to_contain_text("onejob_api_")
        _check_with_axe(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.goto(f"{url}/audit")
        _check_with_axe(page)
    finally:
        page.close()


def test_a_link_fills_in_its_code_and_leaves_the_address(page: Page, access: Site, url: str) -> None:
    _, code = access.services.access.accounts.add("bo", Role.VIEWER)
    page.goto(f"{url}/welcome#{code}")
    expect(page.get_by_label("Code")).to_have_value(code)
    assert page.url == f"{url}/welcome"
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_label("Once more").fill(PASSWORD)
    page.get_by_role("button", name="Set it and log in").click()
    expect(page.get_by_role("link", name="bo", exact=True)).to_be_visible()


def test_everything_about_access_works_without_script(browser: Browser, access: Site, url: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        log_in(page, url)
        page.get_by_label("Name").fill("CI")
        page.get_by_role("button", name="Make a token").click()
        expect(page.get_by_role("status")).to_contain_text("onejob_api_")
        page.get_by_role("button", name="revoke").click()
        expect(page.get_by_role("button", name="revoke")).to_have_count(0)
        accounts = access.services.access.accounts
        ada = accounts.users.named("ada")
        assert ada
        accounts.begin(ada, "10.0.0.9")
        page.reload()
        expect(page.get_by_role("cell", name="10.0.0.9")).to_be_visible()
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="End it").click()
        expect(page.get_by_role("cell", name="10.0.0.9")).to_have_count(0)
        page.get_by_role("link", name="Audit").click()
        expect(page.get_by_role("cell", name="token.revoke")).to_be_visible()
        page.get_by_role("button", name="log out").click()
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
        page.goto(f"{url}/audit")
        expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    finally:
        context.close()


def test_scripts_of_a_page_have_no_cookie_to_read(page: Page, access: Site, url: str) -> None:
    log_in(page, url)
    assert "onejob" not in page.evaluate("document.cookie")
