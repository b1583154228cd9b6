"""Ending sessions out of the list in *Account*, for who proves again who they are."""

from onejob.access.secrets import hash_of
from onejob.model.access import Proof, Role
from onejob.state.database import Database

from .site import PASSWORD, Browser, Program, Site, token_in
from .test_second_factor import enrol, halfway, say

END = "/account/sessions/end"


def of(browser: Browser) -> str:
    """How the list calls this browser's session."""
    return hash_of(browser.cookie())


def test_who_says_the_password_again_ends_one_session_and_no_other(any_site: Site) -> None:
    here, lost, there = (any_site.browser("ada") for _ in range(3))
    assert f'value="{of(lost)}"' in here.get("/account").text
    refused = here.post(END, session=of(lost), password="not mine at all")
    assert (refused.status_code, "The password you have now is another one." in refused.text) == (400, True)
    assert lost.is_in()
    assert here.post(END, session=of(lost), password=PASSWORD).headers["location"] == "/account"
    assert [browser.is_in() for browser in (here, lost, there)] == [True, False, True]
    assert of(lost) not in here.get("/account").text
    said = [(entry.actor, entry.detail) for entry in any_site.log() if entry.action == "session.end"]
    which = ("ada", "the one from 10.0.0.9, since 2026-03-01T12:00:00Z")
    assert said == [which, ("ada", "refused: The password you have now is another one."), which]


def test_who_ends_the_session_they_are_in_is_out(site: Site) -> None:
    here, there = site.browser("ada"), site.browser("ada")
    left = here.post(END, session=of(here), password=PASSWORD)
    assert (left.headers["location"], left.headers["clear-site-data"]) == ("/login", '"cache", "storage"')
    assert not here.is_in()
    assert there.is_in()


def test_nobody_ends_the_session_of_somebody_else(site: Site) -> None:
    site.add_user("bo", Role.VIEWER)
    ada, bo = site.browser("ada"), site.browser("bo")
    answer = ada.post(END, session=of(bo), password=PASSWORD)
    assert (answer.status_code, "none of yours" in answer.text) == (400, True)
    assert ada.post(END, password=PASSWORD).status_code == 400
    assert bo.is_in()


def test_guesses_at_the_password_are_limited_here_too(site: Site) -> None:
    here, there = site.browser("ada"), site.browser("ada")
    for _ in range(10):
        assert here.post(END, session=of(there), password="some other words here").status_code == 400
    assert "Too many tries" in here.post(END, session=of(there), password=PASSWORD).text
    assert there.is_in()


def test_it_takes_a_code_as_well_where_there_is_a_second_factor(site: Site) -> None:
    here = site.browser("ada")
    app, _ = enrol(here)
    there = halfway(site)
    assert say(there, app.code()).status_code == 303
    site.later(seconds=60)
    for path in (END, "/account/logout"):
        for code in ("", "000000"):
            assert here.post(path, session=of(there), password=PASSWORD, code=code).status_code == 400
    assert there.is_in()
    assert here.post(END, session=of(there), password=PASSWORD, code=app.code()).status_code == 303
    assert not there.is_in()
    assert here.is_in()


def test_who_has_no_password_has_to_come_from_the_provider_anew(sqlite_database: Database) -> None:
    site = Site(sqlite_database)
    accounts = site.services.access.accounts
    user, _ = accounts.add("bo", Role.VIEWER)

    def arrive() -> Browser:
        browser = site.browser()
        cookie = accounts.begin(user, "10.0.0.9", proof=Proof.PROVIDER).cookie
        browser.cookies.set("onejob_session", cookie, domain="onejob.example", path="/")
        return browser

    here, there = arrive(), arrive()
    site.later(minutes=11)
    assert 'href="/login/provider?back=/account"' in here.get("/account").text
    for path in (END, "/account/logout"):
        refused = here.post(path, session=of(there), password="")
        assert (refused.status_code, "Log in with your provider again" in refused.text) == (400, True)
    assert there.is_in()
    again = arrive()
    assert again.post(END, session=of(there)).status_code == 303
    assert [browser.is_in() for browser in (again, here, there)] == [True, True, False]
    assert again.post("/account/logout").headers["location"] == "/login"
    assert not here.is_in()


def test_a_token_of_its_owner_ends_none_of_their_sessions(site: Site) -> None:
    here = site.browser("ada")
    program = Program(site, token_in(here.make_token(role="admin").text))
    for path in (END, "/account/logout"):
        form = {"session": of(here), "password": PASSWORD}
        assert program.ask("POST", site.base + path, data=form).status_code == 400
    assert here.is_in()
