"""The pages about errors: listed, filtered, opened, resolved; and what is new on a deployment's page."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from onejob.known.catalogue import Detail
from onejob.model.known_error import ErrorCount, ErrorKind, SeenIn, StatusChange
from onejob.web.charts import columns

from .builders import NOW, START, ErrorLists, Lists, a_detail, a_known_error, some_history
from .test_pages import NASTY

Site = Callable[[Lists], str]
HTML = {"accept": "text/html"}
ERROR = "/errors/err_0123456789abcdef0123"


def data(*details: Detail) -> Lists:
    lists = Lists(some_history())
    lists.known = ErrorLists(*details)
    return lists


def a_message() -> Detail:
    """An old warning that came back."""
    error = a_known_error(
        id="err_1", kind=ErrorKind.LOG_TEMPLATE, title="payment <*> declined", message="", severity=13,
        first_seen_at=START - timedelta(days=9), first_version="1.41.3", sample="payment 17 declined",
        resolved_at=START, resolved_by="mo", resolved_in="1.42.0", regressed_at=NOW, regressed_in="1.42.0",
    )  # fmt: skip
    return a_detail(error=error)


def test_errors_are_listed_with_what_there_is_to_do_about_them(site: Site) -> None:
    html = httpx.get(site(data(a_detail(), a_message())) + "/errors").text
    assert "<h1>1 new error or warning in the last day; 1 came back after being resolved.</h1>" in html
    assert f'<a class="row" href="{ERROR}">KeyError in price (checkout/pricing.py)</a>' in html
    assert "payment &lt;*&gt; declined" in html
    assert '<span class="env">warning</span>' in html
    assert "<td>came back</td>" in html
    assert "1.41.3 to 1.42.0" in html
    assert "1,234" in html
    assert re.search(r'href="/errors" aria-current="page">Errors', html)


def test_the_list_is_filtered_by_its_address_and_says_what_it_did_not_understand(site: Site) -> None:
    base = site(data(a_detail(), a_message()))
    html = httpx.get(f"{base}/errors?status=new&status=new&kind=nonsense&level=all&new_in=1.42.0").text
    assert "kind “nonsense” is not known; use one of error, log_template." in html
    assert "Only what 1.42.0 showed before any other version." in html
    assert "payment" not in html
    assert "/api/v1/errors?new_in=1.42.0&amp;status=new&amp;least_severity=0" in html
    assert 'href="/errors.csv?new_in=1.42.0&amp;status=new&amp;level=all"' in html
    assert "No error fits these filters." in httpx.get(f"{base}/errors?text=zzz").text
    assert "No error or warning is known yet." in httpx.get(site(Lists()) + "/errors").text


def test_what_the_engine_does_not_count_is_not_counted(site: Site) -> None:
    lists = data(a_detail(counts=None))
    lists.known.counts = None
    base = site(lists)
    assert '<td class="n">–</td>' in httpx.get(f"{base}/errors").text
    html = httpx.get(base + ERROR).text
    assert "not counted now, as the engine does not answer" in html
    assert "<rect" not in html


def test_one_is_told_with_its_stack_its_versions_and_a_chart_with_a_table_behind_it(site: Site) -> None:
    html = httpx.get(site(data(a_detail())) + ERROR).text
    assert "<h1>KeyError in price (checkout/pricing.py)</h1>" in html
    assert "49 times in the last 7 days" in html
    assert "Traceback (most recent call last)" in html
    assert "4bf92f3577b34da6a3ce929d0e0e4736" in html
    assert html.count('class="latest"') == 1
    assert html.count('class="before"') == 2
    assert "resolved in 1.41.3" in html
    assert html.count("<button>It is gone") == 2
    assert "Open again" not in html


def test_what_was_resolved_says_by_whom_and_can_be_opened_again(site: Site) -> None:
    gone = replace(a_known_error(), resolved_at=START, resolved_by="mo", resolved_in=None)
    html = httpx.get(site(data(a_detail(error=gone))) + ERROR).text
    assert "resolved 13 min ago by mo in the version after that moment" in html
    assert "<button>Open again</button>" in html
    came_back = httpx.get(site(data(a_message())) + "/errors/err_1").text
    assert "seen again just now in 1.42.0, after mo resolved it in 1.42.0" in came_back


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("resolve", ("resolve", "err_0123456789abcdef0123", "web page", "")),
        ("resolve?in_next_version=true", ("resolve", "err_0123456789abcdef0123", "web page", "next")),
        ("reopen", ("reopen", "err_0123456789abcdef0123", "web page")),
    ],
)
def test_buttons_do_what_they_say_and_lead_back(site: Site, path: str, said: tuple[str, ...]) -> None:
    lists = data(a_detail())
    base = site(lists)
    answer = httpx.post(f"{base}{ERROR}/{path}", headers={"origin": base})
    assert (answer.status_code, answer.headers["location"]) == (303, ERROR)
    assert lists.known.said == [said]


def test_what_nobody_knows_is_not_found(site: Site) -> None:
    base = site(data())
    for answer in (
        httpx.get(base + ERROR, headers=HTML),
        httpx.post(f"{base}{ERROR}/resolve", headers={"origin": base}),
        httpx.post(f"{base}{ERROR}/reopen", headers={"origin": base}),
    ):
        assert answer.status_code == 404
        assert "There is no such error" in answer.text


def test_a_deployment_links_what_its_version_showed_first(site: Site) -> None:
    several = [a_detail(error=a_known_error(id=f"err_{n}")) for n in range(7)]
    base = site(data(*several, a_message()))
    html = httpx.get(f"{base}/deployments/dep_checkout1420").text
    section = html.partition('<section id="new"')[2].partition("</section>")[0]
    assert section.count("<tr data-row>") == 5
    assert '<a href="/errors?service=checkout&amp;environment=production&amp;new_in=1.42.0">all 7</a>' in section
    assert "payment" not in section
    assert '<section id="new"' not in httpx.get(site(Lists(some_history())) + "/deployments/dep_checkout1420").text


@pytest.mark.parametrize("path", ["/errors", "/errors/err_n", "/deployments/dep_checkout1420"])
def test_what_strangers_wrote_is_never_markup(site: Site, path: str) -> None:
    names = dict.fromkeys(("title", "message", "last_version", "sample", "trace_id", "span_id"), NASTY)
    error = a_known_error(id="err_n", **names, resolved_at=START, resolved_by=NASTY, resolved_in=NASTY)
    seen = [SeenIn(version=NASTY, first_seen_at=START, last_seen_at=NOW)]
    said = [StatusChange(at=START, what=NASTY, actor=NASTY, version=NASTY)]
    html = httpx.get(site(data(a_detail(error=error, seen_in=seen, history=said))) + path).text
    assert "<script>alert" not in html
    assert "<img" not in html
    assert "\x00" not in html
    assert "\u202e" not in html
    assert "&lt;script&gt;" in html


@pytest.mark.parametrize("path", ["/errors", ERROR])
def test_pages_are_small_and_hold_nothing_that_runs(site: Site, path: str) -> None:
    long = "x" * 500
    details = [a_detail(error=a_known_error(title=long, id=f"err_{n}")) for n in range(60)]
    counts = [ErrorCount(version=str(n % 9), bin_start=int(START.timestamp()) - n * 7200, count=n) for n in range(300)]
    base = site(data(a_detail(counts=counts), *details))
    html = httpx.get(base + path).text
    assert len(html.encode()) < 60_000
    assert not re.search(r"<script(?![^>]+src=\"/static/)|<style|\sstyle=|\son\w+=", html)


def test_the_list_as_csv_has_no_formulas(site: Site) -> None:
    lists = data(a_detail(error=a_known_error(title="=1+1")))
    text = httpx.get(site(lists) + "/errors.csv").text
    head, row = text.splitlines()
    assert head.startswith("id,service,environment,kind,status")
    assert "'=1+1" in row
    assert row.endswith(",1234")


def test_columns_stay_on_the_paper_and_add_up() -> None:
    step = 3600
    at = int(START.timestamp()) // step * step
    counts = [ErrorCount(version=version, bin_start=at, count=10) for version in ("1", "2")]
    chart = columns.draw(counts, START - timedelta(hours=5), START + timedelta(hours=1), step, "2")
    assert chart is not None
    before, latest = chart.columns
    assert (before.look, latest.look) == ("before", "latest")
    assert latest.y + latest.height == pytest.approx(before.y)
    assert latest.height == pytest.approx(before.height)
    assert 44 <= latest.x <= latest.x + latest.width <= 591
    assert columns.draw((), START, NOW, step, "2") is None
