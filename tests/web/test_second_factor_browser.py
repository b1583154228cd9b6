"""Setting up a second factor and logging in with it, in a real browser, with scripts and without."""

import re
from collections.abc import Iterator
from contextlib import closing

import pyotp
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from access.serving import served
from access.site import PASSWORD, Site
from onejob.state.database import Database
from state_sqlite import Template, unsynced


@pytest.fixture(scope="module")
def access(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Who has no second factor is led to set one up."""
    path = tmp_path_factory.mktemp("second-factor") / "state.db"
    with closing(unsynced(Database(template.copy(path)))) as database:
        site = Site(database, require_second_factor="all")
        site.now = site.now.now(site.now.tzinfo)  # browsers keep cookies by the real clock
        yield site


@pytest.fixture(scope="module")
def url(access: Site) -> Iterator[str]:
    with served(access.app) as url:
        yield url


def log_in(page: Page, url: str, name: str) -> None:
    page.goto(f"{url}/login?back=/account")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()


def _check(page: Page, width: int) -> None:
    result = Axe().run(page, options={"resultTypes": ["violations"]})
    assert result.violations_count == 0, result.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize(("width", "has_script"), [(1360, True), (390, False)])
def test_a_second_factor_is_set_up_and_asked_for(
    browser: Browser, access: Site, url: str, width: int, has_script: bool
) -> None:
    name = f"ada{width}"
    access.add_user(name)
    context = browser.new_context(java_script_enabled=has_script, viewport={"width": width, "height": 900})
    check = _check if has_script else lambda *_: None
    try:
        page = context.new_page()
        log_in(page, url, name)
        expect(page.get_by_role("status")).to_contain_text("This server wants a second factor")
        check(page, width)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Set it up").click()
        drawn = page.get_by_role("img", name="QR code").locator("svg").bounding_box()
        assert drawn
        assert (drawn["width"], drawn["height"]) == (216, 216)
        check(page, width)
        secret = page.get_by_label("The secret", exact=True).inner_text().replace(" ", "").strip()
        totp = pyotp.TOTP(secret)
        address = page.get_by_role("link", name="Open it on this device").get_attribute("href")
        assert address == f"otpauth://totp/onejob:{name}?secret={secret}&issuer=onejob"
        page.get_by_label("Type the code").fill(totp.at(access.now))
        page.get_by_role("button", name="Switch it on").click()
        codes = re.findall(r"\S+", page.get_by_label("The recovery codes", exact=True).inner_text())
        assert len(codes) == 10
        check(page, width)
        page.get_by_role("link", name="go on").click()
        expect(page.get_by_role("link", name=name, exact=True)).to_be_visible()
        page.get_by_role("button", name="log out").click()

        log_in(page, url, name)
        expect(page.get_by_role("heading", name="Your second factor")).to_be_visible()
        check(page, width)
        page.get_by_label("Code").fill("000000")
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("alert")).to_contain_text("The code is wrong")
        page.get_by_label("Code").fill(codes[0])
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
        page.get_by_role("link", name="Change it").click()
        expect(page.get_by_text("9 recovery codes are left")).to_be_visible()
        check(page, width)
        access.later(seconds=60)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_label("Code").fill(totp.at(access.now))
        page.get_by_role("button", name="Switch it off").click()
        expect(page.get_by_role("button", name="Set it up")).to_be_visible()
    finally:
        context.close()
