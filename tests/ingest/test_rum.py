"""The script for browsers in a real one, on pages of a real site, read back from the engine it reports to."""

import gzip
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

import onejob
from doors import Said
from onejob.config import Settings
from onejob.ingest.service import Intake
from onejob.store.engine import Engine
from onejob.verdict.reading import read_vitals
from onejob.verdict.said import Scope
from otlp_builders import a_service
from waiting import PATIENT_S
from web.conftest import CHROMIUM_ARGUMENTS

from .conftest import some_settings
from .sites import Site
from .waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "src/onejob/ingest/browser/rum.js"
PAGE = ROOT / "docs/browser.md"
TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01")
HIDE = """(state) => {
    Object.defineProperty(document, 'visibilityState', {value: state, configurable: true});
    document.dispatchEvent(new Event('visibilitychange', {bubbles: true}));
}"""
PRESSED = """void (window.pressed = new Promise(done => {
    const found = list => list.getEntries().some(one => one.interactionId && one.duration > 100) && done();
    new PerformanceObserver(found).observe({type: 'event', durationThreshold: 16});
}))"""
PAINTED = """() => new Promise(done => {
    new PerformanceObserver(() => done()).observe({type: 'largest-contentful-paint', buffered: true});
})"""  # a page that is left before has no vitals to tell but the first byte's
OBJECTIONS = {
    "Do Not Track": "Object.defineProperty(Navigator.prototype, 'doNotTrack', {get: () => '1'})",
    "Global Privacy Control": "Object.defineProperty(Navigator.prototype, 'globalPrivacyControl', {get: () => true})",
}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path, "Chromium is missing: apt-get install chromium"
    arguments = [*CHROMIUM_ARGUMENTS, "--host-resolver-rules=MAP *.test 127.0.0.1"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    context = browser.new_context(viewport={"width": 1000, "height": 700})
    context.set_default_timeout(PATIENT_S * 1000)
    yield context
    context.close()


@pytest.fixture
def site() -> Iterator[Site]:
    with Site().serving() as site:
        yield site


@pytest.fixture
def script(intake: Intake) -> str:
    return f"http://127.0.0.1:{intake.http_port}/rum.js"


@dataclass
class Visit:
    """One tab, what it said in its console and what it sent to onejob."""

    page: Page
    said: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("console", lambda message: self.said.append(message.text) if message.type == "error" else None)
        self.page.on("request", lambda request: self.sent.append(request.url) if "/v1/" in request.url else None)

    def leave(self) -> None:
        self.page.goto("about:blank")

    def hide(self, *, is_sent: bool) -> None:
        """As when another tab is opened; then something is sent, or nothing is."""
        before = len(self.sent)
        self.page.evaluate(HIDE, "hidden")
        deadline = time.monotonic() + (PATIENT_S if is_sent else 0.3)
        while len(self.sent) == before and time.monotonic() < deadline:
            self.page.wait_for_timeout(50)
        assert (len(self.sent) > before) is is_sent

    def press(self) -> None:
        """The slow button, until the browser has told how slow it was."""
        self.page.evaluate(PRESSED)
        self.page.click("#buy")
        self.page.evaluate("window.pressed")


def events(engine: Engine, service: str, name: str = "") -> list[dict[str, Any]]:
    """What arrived of a service: the attributes of each record, the oldest first."""
    sql = (
        "SELECT EventName, SeverityNumber, ServiceName, Version, ResourceAttributes, LogAttributes FROM otel_logs "
        "WHERE ServiceName = {service:String} ORDER BY Timestamp"
    )
    rows = engine.query(sql, {"service": service}).to_pylist()
    found = [dict(row["LogAttributes"]) | {"": row} for row in rows if name in ("", row["EventName"])]
    return found


def arrived(engine: Engine, service: str, name: str, count: int = 1) -> list[dict[str, Any]]:
    wait_until(lambda: len(events(engine, service, name)) >= count, f"{count} of {name}")
    return events(engine, service, name)


def by_the_script(context: BrowserContext) -> tuple[str, str, str]:
    """Door, client, version."""
    return "/v1/logs", "the script for pages, in Chromium", context.browser.version if context.browser else ""


def names(engine: Engine, service: str) -> set[str]:
    return {one[""]["EventName"] for one in events(engine, service)}


def judged(engine: Engine, service: str, settings: Settings) -> dict[str, tuple[int, float, str]]:
    """What the judge reads of it: per vital, how many page views, their sum in seconds, and the page."""
    scope = Scope(
        service=service, environment="production", default_environment=settings.default_environment,
        since=int(time.time()) - 600, until=int(time.time()) + 60, width_s=86_400, has_logs=True,
    )  # fmt: skip
    return {
        vital.name: (
            sum(cell.count for cell in vital.cells),
            sum(cell.sum_s for cell in vital.cells),
            " ".join({cell.operation for cell in vital.cells}),
        )
        for vital in read_vitals(engine, scope)
    }


def test_each_vital_arrives_with_what_it_was_made_of_and_is_what_the_judge_reads(
    context: BrowserContext, site: Site, script: str, engine: Engine, settings: Settings, door: Said
) -> None:
    service = a_service()
    site.page(script, data_service=service, data_version="1.42.0", data_environment="production")
    visit = Visit(context.new_page())
    visit.page.goto(f"{site.origin}/orders/17?card=4111#joe")
    visit.page.evaluate(
        # What was never painted cannot shift.
        "new Promise(done => { new PerformanceObserver(done).observe({type: 'layout-shift'});"
        " new PerformanceObserver(() => requestAnimationFrame("
        " () => { document.querySelector('h1').style.marginTop = '300px'; }"
        " )).observe({type: 'paint', buffered: true}) }).then(() => null)"
    )
    visit.press()
    visit.leave()

    found = {one["browser.web_vital.name"]: one for one in arrived(engine, service, "browser.web_vital", 5)}

    value = {name: float(one["browser.web_vital.value"]) for name, one in found.items()}
    assert set(value) == {"lcp", "inp", "cls", "fcp", "ttfb"}
    assert value["inp"] >= 120
    assert value["lcp"] >= value["fcp"] >= value["ttfb"] > 0
    assert 0 < value["cls"] < 1
    attribution = "browser.web_vital.attribution."
    assert found["inp"][attribution + "interaction_target"] == "button#buy"
    assert float(found["inp"][attribution + "processing_duration"]) >= 119
    assert found["lcp"][attribution + "target"] == "body>h1"
    assert found["cls"][attribution + "largest_shift_target"]
    assert {attribution + "time_to_first_byte", attribution + "first_byte_to_fcp"} <= found["fcp"].keys()
    assert attribution + "request_duration" in found["ttfb"]
    assert {one["browser.web_vital.rating"] for one in found.values()} <= {"good", "needs-improvement", "poor"}
    assert {one["url.template"] for one in found.values()} == {"/orders/{id}"}
    assert len({one["session.id"] for one in found.values()}) == 1
    row = found["lcp"][""]
    assert (row["Version"], row["SeverityNumber"]) == ("1.42.0", 9)
    assert not re.search("card|4111|joe|orders/17|Your order", json.dumps(events(engine, service), default=str))
    read = judged(engine, service, settings)
    assert {name: (count, page) for name, (count, _, page) in read.items()} == dict.fromkeys(
        ("cls", "inp", "lcp"), (1, "/orders/{id}")
    )
    assert read["lcp"][1] == pytest.approx(value["lcp"] / 1000)
    assert not visit.said
    door(*by_the_script(context), "a page view with its web vitals", engine, service)


def test_an_interaction_is_what_all_its_handlers_took_until_the_paint(
    context: BrowserContext, site: Site, script: str, engine: Engine
) -> None:
    service = a_service()
    busy = "const end = performance.now() + 150; while (performance.now() < end);"
    site.page(script, f'<button id="buy" onmousedown="{busy}">Buy</button>', data_service=service)  # after pointerdown
    visit = Visit(context.new_page())
    visit.page.goto(f"{site.origin}/orders/17")
    visit.press()
    visit.leave()

    found = {one["browser.web_vital.name"]: one for one in arrived(engine, service, "browser.web_vital", 3)}

    parts = [
        float(found["inp"][f"browser.web_vital.attribution.{part}"])
        for part in ("input_delay", "processing_duration", "presentation_delay")
    ]
    assert parts[1] >= 149
    assert sum(parts) == pytest.approx(float(found["inp"]["browser.web_vital.value"]), abs=12)  # a step and roundings
    assert found["inp"]["browser.web_vital.attribution.interaction_target"] == "button#buy"


def test_a_vital_that_grew_is_reported_again_and_judged_once(
    context: BrowserContext, site: Site, script: str, engine: Engine, settings: Settings
) -> None:
    service = a_service()
    site.page(script, data_service=service)
    visit = Visit(context.new_page())
    visit.page.goto(f"{site.origin}/orders/17")
    visit.press()
    visit.page.evaluate(HIDE, "hidden")
    arrived(engine, service, "browser.web_vital", 3)
    visit.page.evaluate(HIDE, "visible")
    visit.page.evaluate("buy.onclick = () => { const end = performance.now() + 400; while (performance.now() < end); }")
    visit.press()
    visit.page.evaluate(HIDE, "hidden")

    def inps() -> list[dict[str, Any]]:
        return [one for one in events(engine, service) if one.get("browser.web_vital.name") == "inp"]

    wait_until(lambda: len(inps()) == 2, "the second report")
    first, second = inps()
    assert first["browser.web_vital.id"] == second["browser.web_vital.id"]
    assert float(second["browser.web_vital.value"]) >= 400 > float(first["browser.web_vital.value"])
    count, seconds, _ = judged(engine, service, settings)["inp"]
    assert (count, seconds) == (1, pytest.approx(float(second["browser.web_vital.value"]) / 1000))


def test_an_uncaught_error_arrives_once_without_what_names_somebody(
    context: BrowserContext, site: Site, script: str, engine: Engine
) -> None:
    service = a_service()
    thrown = (
        "throw new TypeError('no price for joe@shop.example, card 4111111111111111, see https://a.example/x?token=t')"
    )
    body = f"<script>function total() {{ {thrown} }}</script><button onclick='total()'>Buy</button>"
    site.page(script, body, data_service=service, data_version="7")
    visit = Visit(context.new_page())
    visit.page.goto(f"{site.origin}/orders/17?secret=1")
    for _ in range(3):
        visit.page.click("button")
        visit.page.wait_for_timeout(350)  # slower than in rage
    visit.page.evaluate("setTimeout(() => { throw 'a text' })")
    visit.leave()

    error, text = sorted(arrived(engine, service, "exception", 2), key=lambda one: one["exception.type"])

    assert error["exception.type"] == "TypeError"
    assert error["exception.message"] == "no price for {mail}, card {number}, see https://a.example/x"
    assert re.search(r"at total \(http://127\.0\.0\.1:\d+/orders/\{id\}:\d+:\d+\)", error["exception.stacktrace"])
    assert not re.search("joe|4111|token|secret", json.dumps(events(engine, service), default=str))
    assert (error[""]["SeverityNumber"], error[""]["Version"]) == (17, "7")
    assert (text["exception.type"], text["exception.message"]) == ("string", "Uncaught a text")


def test_an_unhandled_rejection_arrives_and_pages_with_many_errors_send_a_few(
    context: BrowserContext, site: Site, script: str, engine: Engine, door: Said
) -> None:
    service = a_service()
    site.page(script, data_service=service)
    page = Visit(context.new_page()).page
    page.goto(f"{site.origin}/orders/17")
    page.evaluate("void Promise.reject(new RangeError('too many'))")
    page.evaluate(
        "for (let n = 0; n < 200; n++) void Promise.reject(new Error('of many ' + 'abcdefgh'[n % 8] + n % 90))"
    )
    page.evaluate(PAINTED)
    page.goto("about:blank")

    found = arrived(engine, service, "exception", 20)

    assert ("RangeError", "too many") in {(one["exception.type"], one["exception.message"]) for one in found}
    wait_until(lambda: len(events(engine, service, "browser.web_vital")) >= 3, "vitals beside them")
    assert len(events(engine, service, "exception")) == 20
    door(*by_the_script(context), "errors that nobody handles", engine, service)


def test_three_clicks_at_once_are_a_rage_click_but_not_on_a_number(
    context: BrowserContext, site: Site, script: str, engine: Engine, door: Said
) -> None:
    service = a_service()
    site.page(script, "<button id='dead-5512'>Pay</button><input type=number><i>1</i>", data_service=service)
    page = Visit(context.new_page()).page
    page.goto(f"{site.origin}/orders/17")
    for target in ("input", "button"):
        page.click(target, click_count=3, delay=10)
    page.evaluate("document.querySelector('i').click()")
    page.goto("about:blank")

    (found,) = arrived(engine, service, "onejob.rage_click")

    assert (found["onejob.target"], found["url.template"]) == ("button#dead-*", "/orders/{id}")
    wait_until(
        lambda: names(engine, service) == {"onejob.rage_click", "browser.navigation", "browser.web_vital"}, "all of it"
    )
    door(*by_the_script(context), "clicks in rage", engine, service)


def test_routes_of_a_single_page_app_are_navigations_and_queries_are_not(
    context: BrowserContext, site: Site, script: str, engine: Engine, door: Said
) -> None:
    service = a_service()
    site.page(script, data_service=service)
    page = Visit(context.new_page()).page
    page.goto(f"{site.origin}/orders/17")
    page.evaluate("history.pushState({}, '', '/carts/0a1b2c?coupon=x')")
    page.evaluate("history.replaceState({}, '', '/carts/0a1b2c?coupon=y#z')")
    page.evaluate("history.replaceState({}, '', '/thanks')")
    page.evaluate("new Promise(done => { addEventListener('popstate', () => setTimeout(done)); history.back() })")
    page.goto("about:blank")

    found = arrived(engine, service, "browser.navigation", 4)

    prefix = "browser.navigation."
    assert sorted((one["url.template"], one[prefix + "type"], one[prefix + "same_document"]) for one in found) == [
        ("/carts/{id}", "push", "true"),
        ("/orders/{id}", "navigate", "false"),
        ("/orders/{id}", "traverse", "true"),
        ("/thanks", "replace", "true"),
    ]
    wait_until(lambda: len(events(engine, service, "browser.web_vital")) >= 3, "vitals")
    assert {one["url.template"] for one in events(engine, service, "browser.web_vital")} == {"/orders/{id}"}
    wait_until(lambda: names(engine, service) == {"browser.navigation", "browser.web_vital"}, "all of it")
    door(*by_the_script(context), "routes of a single-page app", engine, service)


@pytest.mark.parametrize("objection", OBJECTIONS)
def test_who_objects_is_left_alone_whatever_the_page_says(
    context: BrowserContext, site: Site, script: str, objection: str
) -> None:
    site.page(script, data_service=a_service())
    context.add_init_script(OBJECTIONS[objection])
    visit = Visit(context.new_page())
    visit.page.goto(f"{site.origin}/orders/17")
    visit.page.evaluate("onejob.consent()")
    visit.page.evaluate("fetch('/api')")
    assert visit.page.evaluate("sessionStorage.length") == 0
    visit.hide(is_sent=False)
    visit.leave()
    assert visit.sent == []
    assert "traceparent" not in site.asked["/api"][0]


def test_nothing_is_kept_or_sent_before_consent_nor_after_it_is_withdrawn(
    context: BrowserContext, site: Site, script: str, engine: Engine
) -> None:
    service = a_service()
    site.page(script, data_service=service, data_consent="required")
    visit = Visit(context.new_page())
    visit.page.goto(f"{site.origin}/orders/17")
    visit.page.evaluate("fetch('/before')")
    visit.hide(is_sent=False)
    visit.page.evaluate(HIDE, "visible")
    assert (visit.page.evaluate("sessionStorage.length"), visit.sent) == (0, [])

    visit.page.evaluate("onejob.consent(); onejob.consent()")
    visit.page.evaluate("fetch('/during')")
    arrived(engine, service, "browser.navigation")
    arrived(engine, service, "browser.web_vital")  # what was painted before counts from now on

    visit.page.evaluate("onejob.consent(false)")
    visit.page.evaluate("fetch('/after')")
    visit.page.evaluate("void Promise.reject(new Error('x'))")
    visit.hide(is_sent=False)
    assert visit.page.evaluate("sessionStorage.length") == 0
    carried = {path: "traceparent" in site.asked[path][0] for path in ("/before", "/during", "/after")}
    assert carried == {"/before": False, "/during": True, "/after": False}


@pytest.mark.parametrize(
    ("sample", "session", "is_sent"),
    [("0", "", False), ("1", "", True), ("0.5", "7f", True), ("0.5", "80", False), ("half", "", False)],
)
def test_sessions_are_sampled_whole(
    context: BrowserContext, site: Site, script: str, sample: str, session: str, *, is_sent: bool
) -> None:
    site.page(script, data_service=a_service(), data_sample=sample)
    if session:
        context.add_init_script(f"sessionStorage['onejob.session'] = '{session:0<32}'")
    visit = Visit(context.new_page())
    for path in ("/orders/17", "/orders/17?again"):
        visit.page.goto(site.origin + path)
        visit.hide(is_sent=is_sent)
    assert bool(visit.sent) is is_sent


def test_requests_to_the_own_and_to_listed_origins_carry_a_trace_context(
    context: BrowserContext, site: Site, script: str
) -> None:
    with Site().serving() as listed, Site().serving() as other:
        site.page(script, data_service=a_service(), data_trace=f"{listed.origin}, https://c.example")
        page = Visit(context.new_page()).page
        page.goto(f"{site.origin}/orders/17")
        page.evaluate(
            """async ([listed, other]) => {
                const xhr = (url, ...header) => new Promise(done => {
                    const one = new XMLHttpRequest();
                    one.open('GET', url);
                    if (header.length) one.setRequestHeader(...header);
                    one.onloadend = done;
                    one.send();
                });
                await fetch('/relative');
                await fetch(new URL('/url', location));
                await fetch(new Request('/request', {headers: {'x-own': '1'}}));
                await fetch('/own', {headers: {traceparent: 'mine'}});
                await xhr('/xhr');
                await xhr('/xhr-own', 'Traceparent', 'mine');
                await fetch(listed + '/api');
                await fetch(other + '/api');
                await xhr(other + '/xhr');
            }""",
            [listed.origin, other.origin],
        )
    contexts = [site.asked[path][0].get("traceparent", "") for path in ("/relative", "/url", "/request", "/xhr")]
    contexts.append(listed.asked["/api"][0].get("traceparent", ""))
    assert all(map(TRACEPARENT.fullmatch, contexts))
    assert len(set(contexts)) == 5
    assert site.asked["/request"][0]["x-own"] == "1"
    assert [site.asked[path][0]["traceparent"] for path in ("/own", "/xhr-own")] == ["mine", "mine"]
    assert not any("traceparent" in other.asked[path][0] for path in ("/api", "/xhr"))


@pytest.mark.parametrize("missing", ["no = 0", "delete Request.prototype.keepalive"])
def test_what_happened_just_before_the_page_was_left_arrives(
    context: BrowserContext, site: Site, script: str, engine: Engine, missing: str
) -> None:
    service = a_service()
    site.page(script, "<script>onload = () => { throw new Error('late') }</script>", data_service=service)
    context.add_init_script(missing)
    page = Visit(context.new_page()).page
    page.goto(f"{site.origin}/orders/17", wait_until="load")
    page.goto("about:blank")
    assert arrived(engine, service, "exception")[0]["exception.message"] == "late"


def test_a_strict_policy_that_allows_onejob_and_a_hash_are_enough(
    context: BrowserContext, site: Site, script: str, engine: Engine
) -> None:
    service, origin = a_service(), script.removesuffix("/rum.js")
    site.headers["content-security-policy"] = f"default-src 'none'; script-src {origin}; connect-src {origin}"
    found = re.search("sha384-[A-Za-z0-9+/=]{64}", PAGE.read_text())
    assert found, "docs/browser.md names no hash"
    site.page(
        f"{script}?v={onejob.__version__}", "<h1>Hello</h1>",
        data_service=service, data_token="onejob_ingest_a", integrity=found[0], crossorigin="anonymous",
    )  # fmt: skip
    visit = Visit(context.new_page())
    visit.page.goto(f"{site.origin}/orders/17")
    visit.hide(is_sent=True)
    visit.leave()
    arrived(engine, service, "browser.navigation")
    assert [one for one in visit.said if "favicon" not in one] == []
    assert set(visit.sent) == {f"{origin}/v1/logs?token=onejob_ingest_a"}


def test_pages_of_a_named_site_may_send_and_those_of_others_may_not(
    context: BrowserContext, engine: Engine, tmp_path: Path
) -> None:
    with Site("shop.test").serving() as named, Site("other.test").serving() as other:
        intake = Intake(some_settings(tmp_path, browser_origins=(named.origin,)), engine)
        intake.start()
        try:
            services = {site.origin: a_service() for site in (other, named)}
            for site in (other, named):
                site.page(f"http://127.0.0.1:{intake.http_port}/rum.js", data_service=services[site.origin])
                page = Visit(context.new_page()).page
                page.goto(f"{site.origin}/orders/17")
                page.evaluate(HIDE, "hidden")
            arrived(engine, services[named.origin], "browser.navigation")
            assert events(engine, services[other.origin]) == []
        finally:
            intake.stop()


BREAKING: dict[str, str] = {
    "no storage": "Object.defineProperty(window, 'sessionStorage', {get() { throw new Error('denied') }})",
    "no observers": "delete window.PerformanceObserver",
    "a fetch that throws": "window.fetch = () => { throw new Error('blocked') }",
    "no random numbers": "Object.defineProperty(window, 'crypto', {value: undefined})",
}


@pytest.mark.parametrize("broken", BREAKING)
def test_nothing_is_ever_thrown_into_the_page(context: BrowserContext, site: Site, script: str, broken: str) -> None:
    service = a_service()
    site.page(script, data_service=service)
    context.add_init_script(BREAKING[broken])
    visit = Visit(context.new_page())
    visit.page.goto(f"{site.origin}/orders/17")
    visit.page.click("#buy")
    visit.page.evaluate("history.pushState({}, '', '/next')")
    visit.page.evaluate(HIDE, "hidden")
    visit.leave()
    assert visit.said == []


def test_the_script_is_smaller_than_ten_kilobytes_as_it_travels() -> None:
    script = SCRIPT.read_bytes()
    assert len(gzip.compress(script)) < 10_000
    assert len(script) < 15_000
    assert script.startswith(f"/*! onejob {onejob.__version__} and web-vitals ".encode())
    assert b"Apache License" in (SCRIPT.parent / "web-vitals-LICENSE.txt").read_bytes()


def test_the_script_is_what_its_sources_build() -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm is missing: apt-get install npm")
    command = [sys.executable, "scripts/rum.py", "--check"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
