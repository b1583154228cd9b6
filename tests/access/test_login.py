"""Passwords, sessions and their cookies, as a browser meets them."""

import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from onejob.access.errors import TooManyTriesError
from onejob.access.limits import Tries
from onejob.model.access import Role
from onejob.state.database import Database
from onejob.state.tries import TryCounts

from .site import PASSWORD, Browser, Site

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
WRONG = "Name or password is wrong."


def test_a_right_password_leads_to_where_one_wanted_to_go(any_site: Site) -> None:
    browser = any_site.browser()
    asked = browser.get("/deployments?service=checkout")
    assert (asked.status_code, asked.headers["location"]) == (303, "/login?back=%2Fdeployments%3Fservice%3Dcheckout")
    form = browser.get(asked.headers["location"])
    assert 'value="/deployments?service=checkout"' in form.text
    answer = browser.log_in("Ada ", back="/deployments?service=checkout")
    assert (answer.status_code, answer.headers["location"]) == (303, "/deployments?service=checkout")
    page = browser.get("/deployments?service=checkout")
    assert page.status_code == 200
    assert ">ada</a>" in page.text
    assert ("ada", "login", "ada") in any_site.acts()


@pytest.mark.parametrize("back", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_a_login_leads_to_no_other_site(site: Site, back: str) -> None:
    assert site.browser().log_in("ada", back=back).headers["location"] == "/"


def test_an_unknown_name_and_a_wrong_password_are_answered_alike(site: Site) -> None:
    answers = [site.browser().log_in(name, "some other words here") for name in ("ada", "nobody")]
    assert [answer.status_code for answer in answers] == [401, 401]
    assert answers[0].text == answers[1].text
    assert WRONG in answers[0].text
    assert "set-cookie" not in answers[0].headers


def test_an_unknown_name_takes_as_much_work_as_a_wrong_password(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted, not timed: one password hash of the same cost either way."""
    from onejob.access import passwords

    verified = []
    real = passwords._HASHER
    costs = lambda kept: kept.split("$")[1:4]  # noqa: E731

    class Counting:
        def verify(self, kept: str, password: str) -> bool:
            verified.append(costs(kept))
            return real.verify(kept, password)

    monkeypatch.setattr(passwords, "_HASHER", Counting())
    for name in ("ada", "nobody"):
        site.browser().log_in(name, "some other words here")
    assert len(verified) == 2
    assert verified[0] == verified[1]


def test_what_is_typed_as_a_name_is_kept_only_if_it_is_one(site: Site) -> None:
    site.browser().log_in("my secret password", "x")
    site.browser().log_in("ada", "x")
    refused = [(entry.actor, entry.detail) for entry in site.log()]
    assert refused == [("unknown", f"refused: {WRONG}"), ("ada", f"refused: {WRONG}")]
    assert "my secret password" not in repr(site.log())


def test_the_cookie_is_for_this_server_only_and_for_no_script(site: Site, sqlite_database: Database) -> None:
    plain = site.browser().log_in("ada").headers["set-cookie"]
    assert plain.startswith("onejob_session=")
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(plain.split("; "))
    assert "Secure" not in plain
    assert "Domain" not in plain
    secure = Site(sqlite_database, "https://onejob.example").browser().log_in("ada")
    assert secure.headers["set-cookie"].startswith("__Host-onejob_session=")
    assert "Secure" in secure.headers["set-cookie"].split("; ")
    assert secure.headers["strict-transport-security"] == "max-age=31536000"
    behind = Site(sqlite_database, public_url="https://onejob.example").browser().log_in("ada")
    assert "Secure" in behind.headers["set-cookie"].split("; ")


def test_pages_of_somebody_who_is_logged_in_stay_in_no_cache(site: Site) -> None:
    browser = site.browser("ada")
    for path in ("/", "/account", "/audit", "/backtest"):
        assert browser.get(path).headers["cache-control"] == "no-store"


def test_pages_about_access_have_no_inline_scripts_or_styles(site: Site) -> None:
    browser = site.browser()
    pages = [browser.get("/login").text, browser.get("/welcome").text]
    browser.log_in("ada")
    pages += [browser.make_token().text, browser.get("/audit").text]
    for html in pages:
        assert not re.search(r"<script(?![^>]+src=\"/static/)", html)
        assert not re.search(r"<style|\sstyle=|\son\w+=", html)


def test_a_session_that_is_not_used_ends(any_site: Site) -> None:
    browser = any_site.browser("ada")
    any_site.later(hours=11)
    assert browser.is_in()
    any_site.later(hours=11)
    assert browser.is_in(), "it was used in between"
    any_site.later(hours=12)
    assert not browser.is_in()


def test_a_session_ends_however_much_it_is_used(any_site: Site) -> None:
    browser = any_site.browser("ada")
    for _ in range(15):
        any_site.later(hours=11)
        assert browser.is_in()
    any_site.later(hours=4)
    assert not browser.is_in()


def test_a_login_begins_a_new_session_and_ends_the_one_before(site: Site) -> None:
    browser = site.browser("ada")
    before = browser.cookie()
    browser.log_in("ada")
    assert browser.cookie() != before
    browser.cookies.set("onejob_session", before, domain="onejob.example", path="/")
    thief = site.browser()
    thief.cookies.set("onejob_session", before)
    assert not thief.is_in()


def test_a_cookie_that_somebody_else_made_up_is_not_taken_over(site: Site) -> None:
    browser = site.browser()
    browser.cookies.set("onejob_session", "made-up", domain="onejob.example")
    browser.log_in("ada")
    assert "made-up" not in browser.cookies.values()
    thief = site.browser()
    thief.cookies.set("onejob_session", "made-up")
    assert not thief.is_in()


def test_a_logout_ends_this_session_and_no_other(site: Site) -> None:
    here, there = site.browser("ada"), site.browser("ada")
    cookie = here.cookie()
    left = here.post("/logout")
    assert left.headers["location"] == "/login"
    assert left.headers["clear-site-data"] == '"cache", "storage"'
    here.cookies.set("onejob_session", cookie)
    assert not here.is_in(), "the cookie that was kept opens nothing"
    assert there.is_in()


def test_a_logout_everywhere_ends_all(any_site: Site) -> None:
    here, there = any_site.browser("ada"), any_site.browser("ada")
    assert here.post("/account/logout", password="not mine at all").status_code == 400
    assert here.is_in()
    left = here.post("/account/logout", password=PASSWORD)
    assert (left.headers["location"], left.headers["clear-site-data"]) == ("/login", '"cache", "storage"')
    assert not here.is_in()
    assert not there.is_in()
    assert ("ada", "logout.everywhere", "ada") in any_site.acts()


def test_another_password_ends_all_other_sessions(any_site: Site) -> None:
    here, there = any_site.browser("ada"), any_site.browser("ada")
    new = {"password": "quite different words", "again": "quite different words"}
    assert here.post("/account/password", old="not mine at all", **new).status_code == 400
    assert here.post("/account/password", old=PASSWORD, **new).status_code == 303
    assert here.is_in()
    assert not there.is_in()
    assert any_site.browser().log_in("ada").status_code == 401
    assert any_site.browser().log_in("ada", "quite different words").status_code == 303


def test_many_wrong_passwords_are_answered_with_when_to_come_back(site: Site) -> None:
    browser = site.browser()
    statuses = [browser.log_in("ada", "some other words here").status_code for _ in range(11)]
    assert statuses == [401] * 10 + [429]
    answer = browser.log_in("ada")
    assert answer.status_code == 429, "also with the right one: else trying would go on"
    assert 0 < int(answer.headers["retry-after"]) <= 900


def test_tries_are_counted_by_name_and_address_and_forgotten_after_a_while(state_database: Database) -> None:
    now = [NOON]
    tries = Tries(TryCounts(state_database), lambda: now[0])
    for number in range(50):
        tries.take(f"user{number}", "10.0.0.1")
    with pytest.raises(TooManyTriesError):
        tries.take("another", "10.0.0.1")
    tries.take("another", "10.0.0.2")
    for number in range(99):
        tries.take("another", f"10.1.0.{number}")
    with pytest.raises(TooManyTriesError):
        tries.take("another", "10.2.0.1")
    now[0] += timedelta(seconds=901)
    tries.take("another", "10.2.0.1")
    with state_database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM tries").scalar_one() == 3, "the others are forgotten"


def test_servers_that_share_a_database_count_tries_together(state_database: Database) -> None:
    one, other = (Tries(TryCounts(state_database), lambda: NOON) for _ in range(2))
    refused = []

    def attempt(number: int) -> None:
        try:
            (one, other)[number % 2].take("ada", "10.0.0.1")
        except TooManyTriesError as error:
            refused.append(error.is_first)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(attempt, range(24)))
    assert sorted(refused) == [False] * 13 + [True]


def test_of_a_name_that_was_tried_hardly_anything_is_kept(site: Site, sqlite_database: Database) -> None:
    site.browser().log_in("my secret password", "x")
    with sqlite_database.read() as connection:
        keys = connection.exec_driver_sql("SELECT key FROM tries ORDER BY key").scalars().all()
    digits = hashlib.sha256(b"my secret password").hexdigest()[:6]
    assert {f"password {digits} 10.0.0.9", f"password {digits} "} < set(keys)
    assert len(keys) == 3


def test_one_network_of_ipv6_counts_as_one_address(sqlite_database: Database) -> None:
    tries = Tries(TryCounts(sqlite_database), lambda: NOON)
    for number in range(10):
        tries.take("ada", f"2001:db8::{number:x}")
    with pytest.raises(TooManyTriesError):
        tries.take("ada", "2001:db8::ffff")
    tries.take("ada", "2001:db8:1::1")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site", "origin": "http://onejob.example:8320"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "none"},
    ],
)
def test_what_is_not_shown_to_come_from_a_page_of_ours_changes_nothing(site: Site, headers: dict[str, str]) -> None:
    browser = site.browser("ada")
    mine = browser.headers
    browser.headers = {"accept": "text/html"} | headers
    form = {"name": "ada", "password": PASSWORD}
    for path in ("/account/logout", "/logout", "/theme", "/api/v1/tokens", "/login"):
        assert browser.ask("POST", path, data=form).status_code == 403, path
    browser.headers = mine
    assert browser.is_in()


def test_a_page_of_ours_is_believed(site: Site) -> None:
    browser = site.browser("ada")
    browser.headers = {"accept": "text/html", "sec-fetch-site": "same-origin"}
    assert browser.post("/account/logout", password=PASSWORD).status_code == 303


def test_a_link_opens_once_and_is_never_in_an_address(any_site: Site) -> None:
    user = any_site.services.access.accounts
    _, code = user.add("bo", Role.VIEWER)
    browser = any_site.browser()
    refused = browser.post("/welcome", code=code, password="short", again="short")
    assert (refused.status_code, f'value="{code}"' in refused.text) == (400, True)  # to be tried again
    assert browser.post("/welcome", code=code, password=PASSWORD, again="another one here").status_code == 400
    answer = browser.post("/welcome", code=f" {code} ", password=PASSWORD, again=PASSWORD)
    assert answer.status_code == 303
    assert browser.is_in()
    again = any_site.browser().post(
        "/welcome", code=code, password="other words in a row", again="other words in a row"
    )
    assert again.status_code == 400
    assert any_site.browser().log_in("bo").status_code == 303
    assert code not in repr(any_site.log())


def test_a_link_ends_after_a_day_or_when_there_is_a_newer_one(any_site: Site) -> None:
    accounts = any_site.services.access.accounts
    user, first = accounts.add("bo", Role.VIEWER)
    second = accounts.link(user)
    any_site.later(hours=23)
    assert any_site.browser().post("/welcome", code=first, password=PASSWORD, again=PASSWORD).status_code == 400
    any_site.later(hours=2)
    assert any_site.browser().post("/welcome", code=second, password=PASSWORD, again=PASSWORD).status_code == 400


@pytest.mark.parametrize(
    "password", ["", "12345678901", "aaaaaaaaaaaaaaaa", "passwordpassword", "123456789012", "ada-ada-ada1", "x" * 129]
)
def test_a_password_that_is_guessed_first_is_not_taken(site: Site, password: str) -> None:
    _, code = site.services.access.accounts.add("ada-ada", Role.VIEWER)
    answer = site.browser().post("/welcome", code=code, password=password, again=password)
    assert answer.status_code == 400
    assert "The password" in answer.text


def test_neither_passwords_nor_cookies_nor_links_are_in_the_database(site: Site, sqlite_database: Database) -> None:
    browser = site.browser("ada")
    user, code = site.services.access.accounts.add("bo", Role.VIEWER)
    with sqlite_database.read() as connection:
        rows = [
            repr(connection.exec_driver_sql(f"SELECT * FROM {table}").all())  # noqa: S608
            for table in ("users", "sessions", "links", "audit")
        ]
    kept = " ".join(rows)
    assert user.name in kept
    assert "$argon2id$" in kept
    assert not any(secret in kept for secret in (PASSWORD, browser.cookie(), code))


def test_who_may_not_log_in_any_more_is_out_at_once(any_site: Site) -> None:
    any_site.add_user("bo", Role.VIEWER)
    bo: Browser = any_site.browser("bo")
    admin = any_site.program(Role.ADMIN)
    assert admin.ask("PATCH", "/api/v1/users/bo", json={"disabled": True}).status_code == 200
    assert not bo.is_in()
    assert any_site.browser().log_in("bo").status_code == 401
    assert admin.ask("PATCH", "/api/v1/users/bo", json={"disabled": False}).status_code == 200
    assert any_site.browser().log_in("bo").status_code == 303


@pytest.mark.parametrize("change", [{"role": "viewer"}, {"disabled": True}])
def test_the_last_admin_stays_one(any_site: Site, change: dict[str, object]) -> None:
    admin = any_site.program(Role.ADMIN)
    refused = admin.ask("PATCH", "/api/v1/users/ada", json=change)
    assert refused.status_code == 409
    assert "last admin" in refused.json()["detail"]
    any_site.add_user("bo")
    assert admin.ask("PATCH", "/api/v1/users/ada", json=change).status_code == 200
