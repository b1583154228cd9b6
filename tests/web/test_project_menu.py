"""The menu of projects in the top bar: there for those who may see several, and only for them."""

from collections.abc import Iterator

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from access.serving import served
from onejob.web.app import build
from onejob.web.pages.data import SeenProject
from onejob.web.projects import Projects
from waiting import PATIENT_S

from .builders import Lists, some_history

LONG = "a-project-with-a-name-as-long-as-names-may-be-and-no-longer-than"
SHOP = "/p/shop"
DETAIL = "/deployments/dep_checkout1420"


def _seen(current: str) -> list[SeenProject]:
    roots = {"default": "", LONG: f"/p/{LONG}", "shop": SHOP}
    return [SeenProject(name=name, root=root, is_current=name == current) for name, root in roots.items()]


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    default, shop = Lists(some_history()), Lists(some_history())
    default.seen_projects, shop.seen_projects = _seen("default"), _seen("shop")
    with served(Projects(build(default), {"shop": build(shop)}.get, None)) as url:
        yield url
        for lists in (default, shop):
            lists.events.close()


@pytest.mark.parametrize(
    ("page", "kind"),
    [
        ("/", "/"),
        (DETAIL, "/deployments"),
        ("/errors?level=all", "/errors"),
        ("/customers?customer=acme", "/customers"),
        ("/deployments/nothing", "/deployments"),
    ],
)
def test_the_menu_leads_to_the_same_kind_of_page_of_the_other_projects(url: str, page: str, kind: str) -> None:
    html = httpx.get(url + SHOP + page, timeout=PATIENT_S).text
    assert f'<li><a href="{kind}">default</a></li><li><a href="/p/{LONG}{kind}">' in html
    assert f'<a href="{SHOP}{kind}" aria-current="true">shop</a>' in html
    assert '<summary><span class="hide">Project </span>shop</summary>' in html


def test_the_title_says_which_project_unless_it_is_default(url: str) -> None:
    assert "<title>Deployments · shop · onejob</title>" in httpx.get(url + SHOP + "/", timeout=PATIENT_S).text
    assert "<title>Deployments · onejob</title>" in httpx.get(url + "/", timeout=PATIENT_S).text


def test_whoever_may_see_one_project_sees_no_menu() -> None:
    alone, one = Lists(some_history()), Lists(some_history())
    one.seen_projects = _seen("default")[:1]
    pages = []
    for lists in (alone, one):
        with served(build(lists)) as base:
            pages.append([httpx.get(base + path, timeout=PATIENT_S).text for path in ("/", DETAIL, "/errors")])
        lists.events.close()
    assert pages[0] == pages[1]
    assert not [page for page in pages[0] if "projects" in page]


def test_the_keyboard_opens_the_menu_chooses_and_closes(page: Page, url: str) -> None:
    page.goto(f"{url}{SHOP}/errors")
    summary, menu = page.locator(".projects summary"), page.locator(".projects ul")
    summary.focus()
    page.keyboard.press("Enter")
    expect(menu).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    expect(menu).to_be_hidden()
    expect(summary).to_be_focused()
    page.keyboard.press("Enter")
    page.locator("h1").click()
    expect(menu).to_be_hidden()
    summary.focus()
    page.keyboard.press("Space")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{url}/errors")
    expect(page.locator(".projects summary")).to_contain_text("default")


def test_nothing_jumps_when_the_menu_opens_and_it_needs_no_script(browser: Browser, url: str) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1360, "height": 820})
    try:
        page = context.new_page()
        page.goto(f"{url}{SHOP}/")
        before = [page.locator(place).bounding_box() for place in ("header nav", "h1", "main")]
        page.locator(".projects summary").click()
        expect(page.locator(".projects ul")).to_be_visible()
        assert [page.locator(place).bounding_box() for place in ("header nav", "h1", "main")] == before
        page.get_by_role("link", name="default").click()
        page.wait_for_url(f"{url}/")
    finally:
        context.close()


@pytest.mark.parametrize("width", [1360, 390])
def test_axe_finds_nothing_in_the_menu_wide_narrow_and_dark(browser: Browser, url: str, width: int) -> None:
    page = browser.new_page(viewport={"width": width, "height": 900})
    try:
        page.goto(f"{url}{SHOP}/errors")
        page.locator(".projects summary").click()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            found = Axe().run(page, options={"resultTypes": ["violations"]})
            assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    finally:
        page.close()
