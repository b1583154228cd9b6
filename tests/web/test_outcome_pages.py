"""The pages on which KPIs and tolerances are named: over HTTP, and in a real browser."""

from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from access.serving import served
from access.site import PASSWORD, Site
from onejob.model.access import Role
from onejob.state.database import Database

LIST = "/settings/kpis"
FORM = {
    "name": "revenue",
    "source": "span_attribute",
    "named": "order.total",
    "kind": "mean",
    "direction": "higher_is_better",
    "tolerance": "2,5",
    "unit": "EUR",
    "service": "checkout",
    "guardrail": "yes",
}
CONFIGURED = {"name": "orders", "kind": "throughput", "direction": "higher_is_better", "attribute": "order.total"}
NASTY = "<img src=x onerror=alert(1)>"


@pytest.fixture
def access(sqlite_database: Database) -> Site:
    """A server with one KPI and one tolerance in its configuration, and an operator, bo."""
    tolerances = [{"signal": "cls_p75", "tolerance": 0.05}]
    site = Site(sqlite_database, kpis=[CONFIGURED], tolerances=tolerances)
    site.now = site.now.now(site.now.tzinfo)  # browsers keep cookies by the real clock
    site.add_user("bo", Role.OPERATOR)
    return site


def stored(site: Site) -> list[Any]:
    return [one.kpi for one in site.services.outcomes.kpis() if one.origin == "page"]


def test_a_form_names_changes_and_deletes_a_kpi(access: Site) -> None:
    bo = access.browser("bo")
    made = bo.post(LIST, **FORM)
    assert (made.status_code, made.headers["location"]) == (303, f"{LIST}/revenue")
    (kpi,) = stored(access)
    assert (kpi.attribute, kpi.tolerance, kpi.guardrail, kpi.per_instance) == ("order.total", 0.025, True, False)

    page = bo.get(f"{LIST}/revenue").text
    assert 'value="2.5"' in page
    assert "Named by bo" in page
    changed = bo.post(f"{LIST}/revenue", **{key: value for key, value in FORM.items() if key != "guardrail"})
    assert changed.status_code == 303
    assert not stored(access)[0].guardrail, "a box that is not ticked is not sent"
    assert bo.post(f"{LIST}/revenue/delete").headers["location"] == LIST
    assert stored(access) == []
    assert [action for _, action, _ in access.acts() if action.startswith("kpi")] == [
        "kpi.create",
        "kpi.change",
        "kpi.delete",
    ]


def test_a_metric_and_an_event_are_named_by_the_same_form(access: Site) -> None:
    bo = access.browser("bo")
    metric = {"source": "metric", "named": "queue.depth", "attribute": "queue", "equals": "a", "every_s": "10"}
    assert bo.post(LIST, **FORM | metric | {"per_instance": "yes"}).status_code == 303
    event = {"name": "signups", "source": "event", "named": "user.signed_up", "kind": "throughput", "tolerance": "10"}
    assert bo.post(LIST, **FORM | event).status_code == 303
    queue, signups = stored(access)
    assert (queue.metric, queue.attribute, queue.equals, queue.every_s) == ("queue.depth", "queue", "a", 10)
    assert (signups.event, signups.attribute) == ("user.signed_up", "")
    assert "metric queue.depth where queue = a" in bo.get(LIST).text


def test_a_form_names_changes_and_deletes_a_tolerance_as_people_write_it(access: Site) -> None:
    bo = access.browser("bo")
    assert bo.post("/settings/tolerances", signal="latency_p95", tolerance="50", service="report-*").status_code == 303
    access.later(seconds=1)
    assert bo.post("/settings/tolerances", signal="errors", tolerance="0.5").status_code == 303
    errors, latency, configured = access.services.outcomes.tolerances()
    assert (errors.tolerance.tolerance, latency.tolerance.tolerance) == (0.005, 1.5)
    assert (latency.tolerance.service, configured.id) == ("report-*", None)
    page = bo.get(LIST).text
    for shown in ("+0.5 points", "+50 %", "+0.05"):
        assert shown in page
    path = f"/settings/tolerances/{errors.id}"
    assert 'value="0.5"' in bo.get(path).text
    assert bo.post(path, signal="errors", tolerance="1").status_code == 303
    assert access.services.outcomes.tolerances()[0].tolerance.tolerance == 0.01
    assert bo.post(f"{path}/delete").status_code == 303
    assert bo.get(path).status_code == 404


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"tolerance": "much"}, "The tolerance is no number"),
        ({"kind": "slope"}, "set per_instance to true"),
        ({"kind": "median"}, "none of the choices"),
        ({"named": ""}, "must name what holds the value"),
        ({"name": "Revenue"}, "lower case letters"),
        ({"source": "metric", "kind": "yes_no"}, "no yes and no"),
        ({"kind": "throughput"}, "The least tolerance that makes sense is 0.07 (7 %)"),
    ],
)
def test_what_cannot_be_is_said_above_the_form_as_it_was_filled_in(
    access: Site, form: dict[str, str], said: str
) -> None:
    page = access.browser("bo").post(LIST, **FORM | {"unit": "doubloons"} | form)
    assert page.status_code == 422
    assert said in page.text
    assert "doubloons" in page.text
    assert stored(access) == []


def test_what_the_configuration_says_is_shown_with_its_origin_and_not_changed(access: Site) -> None:
    bo = access.browser("bo")
    page = bo.get(f"{LIST}/orders").text
    assert "ONEJOB_KPIS" in page
    assert "Change it" not in page
    assert bo.post(LIST, **FORM | {"name": "orders"}).status_code == 409
    refused = bo.post(f"{LIST}/orders/delete")
    assert (refused.status_code, "change it there" in refused.text) == (422, True)
    assert "configuration" in bo.get(LIST).text


def test_those_who_may_only_look_are_shown_no_form(access: Site) -> None:
    access.add_user("mo", Role.VIEWER)
    mo = access.browser("mo")
    page = mo.get(LIST).text
    assert "orders" in page
    assert "<details" not in page
    assert mo.post(LIST, **FORM).status_code == 403


def test_texts_of_others_stay_texts(access: Site) -> None:
    bo = access.browser("bo")
    bo.post(LIST, **FORM | {"named": NASTY, "unit": NASTY[:20], "service": NASTY, "operation": NASTY})
    for path in (LIST, f"{LIST}/revenue"):
        page = bo.get(path).text
        assert NASTY not in page
        assert "&lt;img src=x" in page
    assert bo.get(f"{LIST}/{NASTY}").status_code == 404


@pytest.fixture
def url(access: Site) -> Iterator[str]:
    with served(access.app) as url:
        yield url


def log_in(page: Page, url: str) -> None:
    page.goto(f"{url}{LIST}")
    page.get_by_label("Name").fill("bo")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("heading", name="KPIs and tolerances")).to_be_visible()


def check_with_axe(page: Page) -> None:
    result = Axe().run(page, options={"resultTypes": ["violations"]})
    assert result.violations_count == 0, result.generate_report()


def test_a_kpi_is_named_by_keyboard_and_axe_finds_nothing_on_its_pages(page: Page, url: str) -> None:
    log_in(page, url)
    page.get_by_text("Name a KPI").focus()
    page.keyboard.press("Enter")
    page.get_by_text("Name a tolerance").click()
    check_with_axe(page)
    page.set_viewport_size({"width": 390, "height": 900})
    check_with_axe(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_label("Name", exact=True).focus()
    page.keyboard.type("revenue")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.type("order.total")
    page.get_by_label("Guardrail").focus()
    page.keyboard.press("Space")
    page.get_by_role("button", name="Look at it first").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("No telemetry store is open")
    expect(page.get_by_label("Called")).to_have_value("order.total")
    page.get_by_label("Called").press("Enter")
    expect(page.get_by_role("heading", name="revenue")).to_be_visible()
    expect(page.get_by_label("Guardrail")).to_be_checked()
    check_with_axe(page)


def test_the_pages_fit_a_telephone_and_work_without_script(browser: Browser, url: str) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 900})
    try:
        page = context.new_page()
        log_in(page, url)
        page.get_by_text("Name a tolerance").click()
        page.get_by_label("Tolerated rise").fill("30")
        page.get_by_role("button", name="Tolerate it").click()
        page.get_by_role("link", name="latency p95").click()
        expect(page.get_by_role("heading", name="Tolerance of latency p95")).to_be_visible()
        page.get_by_text("Delete it", exact=True).click()
        page.get_by_role("button", name="Delete it now").click()
        expect(page.get_by_role("link", name="latency p95")).to_have_count(0)
    finally:
        context.close()
