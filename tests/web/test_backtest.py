"""The page about the past: what would have been said, started from a form, and as a file."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import httpx
import pytest

from onejob.history.jobs import Job
from onejob.model.verdict import State

from .builders import NOW, Lists, a_backtest, a_backtested, a_deployment, a_verdict
from .test_pages import HTML, NASTY

Site = Callable[[Lists], str]


def test_the_worst_come_first_with_what_hearing_it_would_have_saved(site: Site) -> None:
    data = Lists()
    fine = a_backtested(
        deployment=a_deployment(id="dep_fine", service="prices"),
        verdict=a_verdict(state=State.NO_WORSE),
        saved=None,
        decided_after_s=None,
        said_then=None,
    )
    data.report = a_backtest(deployments=(fine, a_backtested()))
    page = httpx.get(f"{site(data)}/backtest", headers=HTML).text
    assert "onejob would have called 1 of 2 deployments worse" in page
    table = page[page.index("<tbody>") :]
    assert table.index("checkout") < table.index("prices")
    assert "1,200 requests to it, 31 failures, 8 min of waiting" in table
    assert "1 min 35 s" in table
    assert 'href="/deployments/dep_fine"' not in page


def test_without_a_report_the_page_says_what_one_is_and_starts_it(site: Site) -> None:
    data = Lists()
    url = site(data)
    page = httpx.get(f"{url}/backtest", headers=HTML)
    assert page.status_code == 200
    assert "judged again" in page.text
    started = httpx.post(f"{url}/backtest", data={"days": "7"})
    assert (started.status_code, started.headers["location"]) == (303, "/backtest")
    assert data.backtests == [timedelta(days=7)]


def test_what_cannot_be_started_says_why(site: Site) -> None:
    data = Lists()
    data.refusal = "Another replay is at work."
    url = site(data)
    refused = httpx.post(f"{url}/backtest", data={"days": "30"}, headers=HTML)
    assert refused.status_code == 409
    assert "Another replay is at work." in refused.text
    assert httpx.post(f"{url}/backtest", data={"days": "31"}, headers=HTML).status_code == 422


@pytest.mark.parametrize(
    ("state", "said"), [("running", "2 of 5 services, 7 deployments judged"), ("failed", "ended early: no disk")]
)
def test_the_page_tells_how_far_it_is_and_what_went_wrong(state: str, said: str, site: Site) -> None:
    data = Lists()
    data.job = Job(id="bkt_2", kind="backtest", started_at=NOW, state=state, done=2, of=5, judged=7, error="no disk")
    assert said in httpx.get(f"{site(data)}/backtest", headers=HTML).text


def test_the_file_needs_no_server_and_strangers_text_stays_text(site: Site) -> None:
    data = Lists()
    one = a_backtested()
    nasty = replace(one, deployment=replace(one.deployment, service=NASTY, version=NASTY, environment=NASTY))
    data.report = a_backtest(deployments=(nasty,), services=(NASTY,), source=NASTY, notes=(NASTY,))
    url = site(data)
    file = httpx.get(f"{url}/backtest/bkt_1.html")
    assert file.status_code == 200
    assert "<script" not in file.text
    assert "<img" not in file.text
    assert 'href="/' not in file.text
    assert "<img" not in httpx.get(f"{url}/backtest", headers=HTML).text
    assert httpx.get(f"{url}/backtest/bkt_9.html", headers=HTML).status_code == 404
