"""The pages where they are not at the root of their server: below the path of a proxy, and those of a project."""

import asyncio
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect

import nginx
from access.serving import served
from access.site import Site
from onejob.cli.client import Api
from onejob.config import OWN_ADDRESSES
from onejob.state.database import Database
from onejob.web import projects
from onejob.web.api import router as api_router
from onejob.web.app import build, create_app
from onejob.web.pages import outcome_routes
from onejob.web.projects import OF_SERVER, Projects
from onejob.web.rules import PUBLIC, RULES
from ports import free_ports
from waiting import PATIENT_S

from .builders import NOW, ErrorLists, Lists, a_backtest, a_detail, a_record, a_row, some_history

WEB = Path(projects.__file__).parent
SHOWN_AT = "/onejob"
SHOP = f"{SHOWN_AT}/p/shop"
DETAIL = "/deployments/dep_checkout1420"
HTML = {"accept": "text/html"}
WAYS = ["cut off", "passed on"]
PAGES = ["/", DETAIL, "/errors", "/errors/err_0123456789abcdef0123", "/customers", "/backtest", "/settings/kpis"]


class Links(HTMLParser):
    """Every address of a page that a browser would ask, and those that say of themselves that they lead elsewhere."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        said = {name: value or "" for name, value in attributes}
        if "noreferrer" in said.get("rel", ""):
            return
        for name in ("href", "src", "action", "formaction", "data-watch"):
            if not said.get(name, "#").startswith("#"):
                self.found.append((name, said[name]))


def _at_a_path(ports: list[int], backend: str) -> str:
    """nginx shows the server at a path, on the first port cutting the path off, on the second passing it on."""
    shows = "".join(
        f"server {{ listen 127.0.0.1:{port}; location {SHOWN_AT}/ {{ proxy_pass {target}; }} }}\n"
        for port, target in zip(ports, (f"{backend}/", backend), strict=True)
    )
    return f"proxy_http_version 1.1; proxy_set_header Host $http_host;\n{shows}"


class Shown:
    """A server with the project `shop` behind nginx, both ways; `shop` is what its pages show."""

    def __init__(self, ports: list[int], shop: Lists) -> None:
        self.bases = {way: f"http://127.0.0.1:{port}" for way, port in zip(WAYS, ports, strict=True)}
        self.shop = shop
        self.client = httpx.Client(timeout=PATIENT_S)

    def get(self, way: str, path: str, **options: Any) -> httpx.Response:
        return self.client.get(self.bases[way] + path, **options)


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    folder = tmp_path_factory.mktemp("shown")
    database = Database(f"sqlite:///{folder}/state.db")
    database.migrate()
    ports = free_ports(len(WAYS))
    site = Site(database)
    shop = Lists(some_history())
    shop.known = ErrorLists(a_detail())
    shop.report = a_backtest()
    of_shop = build(shop, api_router, outcome_routes.router)
    of_shop.state.services = site.services
    public_url = f"http://127.0.0.1:{ports[0]}{SHOWN_AT}"
    app = Projects(build(Lists(some_history()[:1])), {"shop": of_shop}.get, public_url)
    with (
        served(app) as backend,
        nginx.in_front(folder, _at_a_path(ports, backend), ports, lambda status: status == 404),
    ):
        shown = Shown(ports, shop)
        yield shown
        shown.client.close()
        shop.events.close()
    database.close()


def test_no_template_makes_an_address_by_itself() -> None:
    attribute = re.compile(r'<[^<>]*?\b(href|action|formaction|src|data-watch)="((?:\{\{.*?\}\}|[^"{])*)"[^>]*')
    for path in (WEB / "templates").iterdir():
        for found in attribute.finditer(path.read_text()):
            address, is_elsewhere = found[2], "noreferrer" in found[0]
            is_made = re.match(r"\{\{[^}]*\|at(_server)?\b", address) or address.startswith(("#", "?"))
            assert is_made or is_elsewhere, f"{path.name}: {found[1]}={address!r} lacks `|at`"


def test_no_script_or_style_knows_an_address() -> None:
    for path in [*(WEB / "static").glob("*.js"), *(WEB / "static").glob("*.css")]:
        assert not re.search(r"""["'`(]/\w""", path.read_text()), path.name


def test_redirects_and_locations_are_made_in_one_place() -> None:
    made = [path.name for path in WEB.rglob("*.py") if "RedirectResponse(" in path.read_text()]
    assert sorted(made) == ["admission.py", "forms.py", "login.py", "places.py"]
    for path in (WEB / "api").glob("*.py"):
        assert not re.search(r'"location": *f?"', path.read_text()), path.name


@pytest.mark.parametrize("way", WAYS)
def test_every_link_is_below_where_the_project_is_and_leads_somewhere(shown: Shown, way: str) -> None:
    wanted, asked = [SHOP + page for page in PAGES], set[str]()
    while wanted:
        path = wanted.pop()
        kind = f"{urlsplit(path).path}?{sorted(parse_qs(urlsplit(path).query))}"
        if kind in asked:
            continue
        asked.add(kind)
        page = shown.get(way, path, headers=HTML)
        is_there = page.status_code == 200 or (path.startswith(f"{SHOP}/api/") and "nothing at" not in page.text)
        assert is_there, (path, page.text)
        if not page.headers["content-type"].startswith("text/html") or "content-disposition" in page.headers:
            continue
        for name, link in Links(page.text).found:
            target = urljoin(path, link)
            assert target.startswith((f"{SHOP}/", f"{SHOWN_AT}/static/", f"{SHOWN_AT}/theme")), (path, name, link)
            if name in ("href", "src"):
                wanted.append(target.partition("#")[0])
    assert len(asked) > 30


def test_addresses_of_the_server_itself_are_as_they_were() -> None:
    for page in ("/", DETAIL, "/nothing"):
        text = _ask(build(Lists([a_record()])), "GET", page, headers=HTML).text
        links = [link for _, link in Links(text).found]
        assert links
        assert all(link.startswith(("/", "?")) and not link.startswith(("/p/", "//")) for link in links)


@pytest.mark.parametrize("way", WAYS)
def test_forms_and_reports_lead_back_into_the_project(shown: Shown, way: str) -> None:
    base = shown.bases[way] + SHOP
    again = shown.client.post(f"{base}{DETAIL}/recompute")
    assert again.headers["location"] == f"{SHOP}{DETAIL}?said=same#sure"
    form = {"signal": "errors", "tolerance": "1", "service": "*", "operation": "*"}
    named = shown.client.post(f"{base}/settings/tolerances", data=form)
    assert named.headers["location"] == f"{SHOP}/settings/kpis#tolerances"
    start = {"service": "checkout", "version": way}
    reported = shown.client.post(f"{base}/api/v1/deployments", json=start)
    assert Api(base).get("api/v1/deployments")["items"], "the command line, told that address"
    assert reported.headers["location"] == f"{SHOP}/api/v1/deployments/{reported.json()['id']}"
    assert shown.client.get(shown.bases[way] + reported.headers["location"]).json()["version"] == way


@pytest.mark.parametrize("way", WAYS)
def test_the_api_says_where_it_is(shown: Shown, way: str) -> None:
    told = shown.get(way, f"{SHOP}/openapi.json").json()
    assert [one["url"] for one in told["servers"]] == [SHOP]
    assert "/api/v1/deployments" in told["paths"]
    csv = shown.get(way, f"{SHOP}/deployments.csv")
    assert csv.text.count("\n") > 5


def test_an_address_that_is_none_is_answered_within_the_project(shown: Shown) -> None:
    answer = shown.get("cut off", f"{SHOP}/deployments/nothing", headers=HTML)
    assert answer.status_code == 404
    assert f'<a href="{SHOP}/deployments">Back</a>' in answer.text
    lost = shown.get("cut off", f"{SHOP}/nothing", headers=HTML)
    assert (lost.status_code, SHOP in lost.text) == (404, True)


def test_what_is_to_be_copied_has_the_address_that_people_use() -> None:
    lists = Lists(spans=5, services=["checkout"])
    app = Projects(build(Lists()), {"shop": build(lists)}.get, "https://tools.example/onejob")
    for path in ("/p/shop/", "/p/shop", "/onejob/p/shop"):
        text = _ask(app, "GET", path).text
        assert "ONEJOB_URL=https://tools.example/onejob/p/shop " in text
        assert "curl https://tools.example/onejob/p/shop/api/v1/deployments" in text
    assert "ONEJOB_URL=http://127.0.0.1:8320 " in _ask(build(lists), "GET", "/").text


def test_a_file_that_is_none_does_not_lead_into_the_files() -> None:
    page = _ask(build(Lists()), "GET", "/static/nothing.js", headers=HTML)
    assert page.status_code == 404
    assert 'href="/deployments"' in page.text


def test_no_project_is_answered_as_no_address_is(sqlite_database: Database) -> None:
    site = Site(sqlite_database)
    app = Projects(site.app, {"shop": create_app(site.services)}.get, None)
    for accept in ("text/html", "application/json"):
        paths, told = ("/p/none/x", "/p/p/x", "/q/x"), {"accept": accept}
        kinds = [_ask(app, "GET", path, site.base, headers=told) for path in paths]
        assert len({(one.status_code, one.text) for one in kinds}) == 1
    assert _ask(app, "GET", "/p/none/x", site.base, headers=HTML).headers["location"] == "/login?back=%2Fp%2Fnone%2Fx"


def test_a_page_for_strangers_leads_into_no_project(sqlite_database: Database) -> None:
    site = Site(sqlite_database)
    app = Projects(site.app, {"shop": create_app(site.services)}.get, None)
    told = {**HTML, "origin": site.base, "authorization": "Bearer onejob_api_none"}
    refused = [_ask(app, "GET", f"/p/{name}/errors", site.base, headers=told) for name in ("shop", "none")]
    assert [one.status_code for one in refused] == [401, 401]
    assert refused[0].text.replace("/p/shop/", "/p/none/") == refused[1].text
    addresses = [link for _, link in Links(refused[0].text).found]
    assert [one for one in addresses if "/p/shop" in one] == ["/theme?back=/p/shop/errors"]


def test_a_project_has_none_of_the_addresses_of_the_server(sqlite_database: Database) -> None:
    site = Site(sqlite_database)
    app = Projects(site.app, {"shop": create_app(site.services)}.get, None)
    public = {path for (_, path), rule in RULES.items() if rule.role is None and "/hooks/" not in path}
    assert {path.split("/")[1] for path in public} | {"account", "static", "p"} == OF_SERVER
    for path in (*public, "/account", "/static/onejob.css"):
        there = _ask(app, "GET", f"/p/shop{path}", site.base)
        assert (there.status_code, there.text) == (401, _ask(app, "GET", f"/p/none{path}", site.base).text), path
    assert _ask(app, "GET", "/p/shop/deployments", site.base, headers=HTML).status_code == 303
    assert PUBLIC.role is None


def test_no_path_of_a_proxy_can_be_taken_for_an_address_of_ours() -> None:
    firsts = {path.split("/")[1].partition(".")[0] for _, path in RULES} - {""}
    assert firsts | {"p", "static"} == OWN_ADDRESSES


def test_a_login_leads_back_into_the_project(sqlite_database: Database) -> None:
    site = Site(sqlite_database, public_url="https://onejob.example/tools")
    site.add_user()
    site.base = "https://onejob.example"
    site.app = Projects(site.app, {"shop": create_app(site.services)}.get, "https://onejob.example/tools")  # type: ignore[assignment]
    browser = site.browser()
    wanted = "/tools/p/shop/deployments?range=all"
    sent_away = browser.get(wanted).headers["location"]
    assert sent_away == "/tools/login?back=%2Ftools%2Fp%2Fshop%2Fdeployments%3Frange%3Dall"
    form = browser.get(sent_away).text
    assert f'name="back" value="{wanted}"' in form
    assert 'action="/tools/login"' in form
    entered = browser.post("/tools/login", name="ada", password="several words in a row", back=wanted)
    assert entered.headers["location"] == wanted
    assert "Path=/;" in entered.headers["set-cookie"]
    page = browser.get(wanted).text
    assert 'action="/tools/logout"' in page
    assert '<a href="/tools/account">ada</a>' in page
    assert browser.post("/tools/theme?back=/tools/p/shop/errors").headers["location"] == "/tools/p/shop/errors"
    assert browser.post("/tools/logout").headers["location"] == "/tools/login"


_ELSEWHERE = (
    *("//evil.example", "https://evil.example", "/\\evil.example", "/tools//evil.example", ""),
    *("/tools/../other", "/tools/%2e%2E/other", "/tools/.."),
)


@pytest.mark.parametrize("back", _ELSEWHERE)
def test_nobody_is_led_to_what_else_a_proxy_shows(back: str) -> None:
    app = build(Lists())
    placed = Projects(app, lambda _: None, "https://onejob.example/tools")
    assert _ask(placed, "POST", "/theme", params={"back": back}).headers["location"] == "/tools/"
    assert _ask(placed, "POST", "/theme", params={"back": "/other"}).headers["location"] == "/tools/other"


def _ask(app: Any, method: str, path: str, base: str = "http://127.0.0.1:8320", **options: Any) -> httpx.Response:
    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base) as client:
            return await client.request(method, path, **options)

    return asyncio.run(ask())


@pytest.fixture
def asked(context: BrowserContext) -> list[str]:
    """Every address that the browser asks."""
    paths: list[str] = []
    context.on("request", lambda request: paths.append(_path(request)))
    return paths


def _path(request: Request) -> str:
    return urlsplit(request.url).path


def test_a_browser_finds_everything_below_the_project(page: Page, shown: Shown, asked: list[str]) -> None:
    base = shown.bases["cut off"] + SHOP
    page.goto(f"{base}/")
    expect(page).to_have_title("Deployments · shop · onejob")
    expect(page.locator("[data-live-state]")).to_have_text("live")
    page.select_option("select[name=service]", "checkout")
    page.wait_for_url("**service=checkout**")
    page.locator(f"a.row[href='{SHOP}{DETAIL}']").click()
    expect(page.locator("h1")).to_contain_text("is worse")
    page.locator("#evidence a.sort").first.click()
    page.wait_for_url("**sort=**")
    page.locator("#evidence a.row").last.click()
    page.wait_for_url("**signal=**")
    page.get_by_role("button", name="recompute").click()
    expect(page.locator(".notice")).to_contain_text("the verdict is the same")
    page.keyboard.press("g")
    page.keyboard.press("e")
    page.wait_for_url(f"{base}/errors")
    page.locator("a.row").first.click()
    page.get_by_role("button", name="It is gone", exact=True).click()
    page.wait_for_url(f"{base}/errors/err_*")
    page.keyboard.press("g")
    page.keyboard.press("c")
    page.locator("[data-search]").fill("acme")
    page.keyboard.press("Enter")
    page.wait_for_url(f"{base}/customers?customer=acme")
    page.get_by_role("link", name="KPIs").click()
    page.get_by_text("Name a tolerance").click()
    page.get_by_label("Tolerated rise").fill("10")
    page.get_by_role("button", name="Tolerate it").click()
    page.wait_for_url(f"{base}/settings/kpis#tolerances")
    page.locator("[data-theme-switch] button").click()
    page.go_back()
    page.goto(f"{base}/")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    assert download.value.suggested_filename == "deployments.csv"
    outside = [path for path in asked if not path.startswith((f"{SHOP}/", f"{SHOWN_AT}/static/"))]
    assert [path for path in outside if path != "/favicon.ico"] == []


def test_pages_of_a_project_follow_what_changes_there(page: Page, shown: Shown) -> None:
    page.goto(f"{shown.bases['cut off']}{SHOP}/")
    expect(page.locator("[data-live-state]")).to_have_text("live")
    shown.shop.change(a_row(901, "search", "89", "88", None, "", started_at=NOW))
    expect(page.locator("[data-new]")).to_have_text("1 new deployment")
    page.locator("[data-new]").click()
    expect(page.locator("#dep_0901")).to_be_visible()
    page.wait_for_url(f"**{SHOP}/deployments*")


def test_the_theme_is_switched_without_a_script_and_leads_back(browser: Browser, shown: Shown) -> None:
    context = browser.new_context(java_script_enabled=False)
    try:
        page = context.new_page()
        page.goto(f"{shown.bases['passed on']}{SHOP}{DETAIL}")
        page.locator("[data-theme-switch] button").click()
        page.wait_for_url(f"**{SHOP}{DETAIL}")
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    finally:
        context.close()
