"""How often one who is let in may ask, as programs and people meet it; time is the test's."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from onejob.access.errors import TooManyRequestsError
from onejob.access.rates import Rates
from onejob.config import Settings
from onejob.model.access import Role
from onejob.state.database import Database
from state_sqlite import Template

from .site import PASSWORD, Asks, Program, Site
from .town import a_town

FEW = {"requests_per_minute": 60, "requests_burst": 3}
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def slow(sqlite_database: Database) -> Site:
    """Takes three requests at once, and one a second; with one user: ada, an admin."""
    site = Site(sqlite_database, **FEW)
    site.add_user()
    return site


def statuses(program: Program, requests: int) -> list[int]:
    return [program.get("/deployments").status_code for _ in range(requests)]


class Clock:
    """Of a server; set by the test."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


def is_taken(rates: Rates, who: str = "ada") -> bool:
    try:
        rates.take(who)
    except TooManyRequestsError:
        return False
    return True


def test_who_asks_too_often_is_told_when_to_come_back(slow: Site, caplog: pytest.LogCaptureFixture) -> None:
    program = slow.program(Role.VIEWER)
    assert statuses(program, 5) == [200, 200, 200, 429, 429]
    refused = program.get("/deployments")
    assert (refused.headers["retry-after"], refused.headers["content-type"]) == ("1", "application/problem+json")
    problem = refused.json()
    assert (problem["title"], problem["status"]) == ("Too many requests", 429)
    assert "60 requests a minute" in problem["detail"]
    assert "Wait 1 s" in problem["detail"]
    slow.later(seconds=1)
    assert statuses(program, 2) == [200, 429], "what was refused did not count"
    slow.later(hours=1)
    assert statuses(program, 4) == [200, 200, 200, 429]
    told = [record.getMessage() for record in caplog.records if "too often" in record.getMessage()]
    assert told == ["token CI asks too often: refused GET '/api/v1/deployments'"], "once a minute"


def test_each_user_and_each_token_is_counted_apart(slow: Site) -> None:
    slow.add_user("bo", Role.VIEWER)
    one, other = slow.program(Role.VIEWER), slow.program(Role.VIEWER)
    here, there, bo = slow.browser("ada"), slow.browser("ada"), slow.browser("bo")
    assert statuses(one, 4)[-1] == 429
    assert statuses(other, 3) == [200, 200, 200]
    asked = [browser.get("/account").status_code for browser in (here, there, here, there, bo)]
    assert asked == [200, 200, 200, 429, 200], "a user is one, whatever browsers they have"


def test_a_page_says_it_to_people_who_can_still_log_out(slow: Site) -> None:
    browser = slow.browser("ada")
    for _ in range(3):
        browser.get("/account")
    page = browser.get("/account")
    assert (page.status_code, page.headers["retry-after"]) == (429, "1")
    assert "You ask too often" in page.text
    assert browser.get("/static/onejob.css").status_code == 200
    assert browser.post("/logout").status_code == 303


def test_what_is_refused_for_another_reason_counts_too(slow: Site) -> None:
    program = slow.program(Role.VIEWER)
    assert [program.get("/users").status_code for _ in range(4)] == [403, 403, 403, 429]


def test_projects_count_together(template: Template, tmp_path: Path) -> None:
    town = a_town(template, tmp_path, **FEW)
    browser = town.browser("ada")
    paths = ("/deployments", "/p/shop/deployments", "/p/bank/deployments", "/p/shop/deployments")
    assert [browser.get(path).status_code for path in paths] == [200, 200, 200, 429]


def test_an_import_has_back_pressure_of_its_own(slow: Site) -> None:
    program = slow.program(Role.OPERATOR)
    lines = {"content-type": "application/x-ndjson"}
    send = lambda: program.ask("POST", f"{slow.base}/api/v1/import", content=b"", headers=lines)  # noqa: E731
    assert {send().status_code for _ in range(5)} == {503}, "there is no intake here"
    assert statuses(program, 1) == [200]


def test_strangers_use_up_nobodys_share(slow: Site) -> None:
    for _ in range(5):
        assert Asks(slow).ask("GET", "/api/v1/deployments").status_code == 401
        assert Asks(slow).ask("GET", "/healthz").status_code == 200
        assert slow.browser().log_in("ada", "some other words here").status_code == 401
    assert slow.browser().log_in("ada", PASSWORD).status_code == 303, "tries at passwords are counted by themselves"


def test_nobody_is_limited_where_no_login_is_wanted(sqlite_database: Database) -> None:
    site = Site(sqlite_database, "http://127.0.0.1:8320", login="auto", allowed_hosts=(), **FEW)
    assert {Asks(site).ask("GET", "/api/v1/deployments").status_code for _ in range(8)} == {200}


def test_twenty_gates_that_ask_each_second_never_meet_it() -> None:
    told, clock = Settings(), Clock()
    rates = Rates(told.requests_per_minute, told.requests_burst, clock)
    for _ in range(900):
        assert all(is_taken(rates) for _ in range(20))
        clock.now += timedelta(seconds=1)


@settings(max_examples=100)
@given(
    per_minute=st.integers(1, 100_000),
    burst=st.integers(1, 20),
    pauses=st.lists(st.integers(0, 120_000_000), min_size=2, max_size=80),
)
def test_no_window_has_more_than_its_share(per_minute: int, burst: int, pauses: list[int]) -> None:
    clock = Clock()
    rates = Rates(per_minute, burst, clock)
    each = timedelta(minutes=1) / per_minute
    taken = []
    for pause in pauses:
        clock.now += timedelta(microseconds=pause)
        if is_taken(rates):
            taken.append(clock.now)
    for first, begin in enumerate(taken):
        for number, end in enumerate(taken[first:], 1):
            assert (number - burst) * each <= end - begin


@settings(max_examples=50)
@given(per_minute=st.integers(1, 1000), burst=st.integers(1, 20))
def test_who_waits_as_long_as_they_were_told_is_let_in(per_minute: int, burst: int) -> None:
    clock = Clock()
    rates = Rates(per_minute, burst, clock)
    assert [is_taken(rates) for _ in range(burst + 1)] == [True] * burst + [False]
    with pytest.raises(TooManyRequestsError) as refused:
        rates.take("ada")
    clock.now += timedelta(seconds=refused.value.retry_after_s)
    assert is_taken(rates)


def test_a_clock_that_is_set_back_locks_nobody_out() -> None:
    clock = Clock()
    rates = Rates(60, 3, clock)
    assert is_taken(rates)
    clock.now -= timedelta(days=1)
    assert not is_taken(rates)
    clock.now += timedelta(seconds=1)
    assert is_taken(rates)


def test_who_asked_long_ago_is_kept_nowhere() -> None:
    clock = Clock()
    rates = Rates(60, 3, clock)
    for number in range(10_000):
        rates.take(f"token {number}")
    clock.now += timedelta(seconds=6)
    rates.take("ada")
    assert len(rates._full_at) == 1
