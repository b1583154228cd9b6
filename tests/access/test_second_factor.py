"""A second factor, as its user, an admin, and somebody with a stolen password meet it."""

import re
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

import pyotp
import pytest

from onejob.access.errors import BadRequestError, SealError, WrongCodeError
from onejob.access.sealed import Seal
from onejob.access.second_factor import matching_step
from onejob.config import Settings
from onejob.model.access import Role
from onejob.model.audit import follow
from onejob.state.database import Database

from .site import PASSWORD, Browser, Site

KEY, NEWER = (b64encode(bytes([number]) * 32).decode() for number in (1, 2))
PAGE = "/account/second-factor"


class App:
    """On somebody's telephone."""

    def __init__(self, site: Site, secret: str) -> None:
        self.site = site
        self.totp = pyotp.TOTP(secret)

    def code(self, steps: int = 0) -> str:
        """Of now, or of so many steps of 30 seconds later."""
        return self.totp.at(self.site.now, counter_offset=steps)


def secret_in(page: str) -> str:
    (found,) = re.findall(r'aria-label="The secret"><code>([A-Z2-7 ]+)<', page)
    return str(found).replace(" ", "")


def recovery_codes_in(page: str) -> list[str]:
    return re.findall(r"\b(?:[a-z2-7]{6}-){3}[a-z2-7]{6}\b", page)


def enrol(browser: Browser) -> tuple[App, list[str]]:
    """Its code of this half minute is used up."""
    begun = browser.post(PAGE, password=PASSWORD)
    assert begun.status_code == 200, begun.text
    app = App(browser.site, secret_in(begun.text))
    done = browser.post(f"{PAGE}/confirm", code=app.code())
    assert done.status_code == 200, done.text
    codes = recovery_codes_in(done.text)
    assert len(set(codes)) == 10
    browser.site.later(seconds=60)
    return app, codes


def halfway(site: Site, name: str = "ada", password: str = PASSWORD) -> Browser:
    """A browser that said the right password, and has no session."""
    browser = site.browser()
    answer = browser.log_in(name, password, back="/errors")
    assert answer.headers["location"] == "/login/code?back=%2Ferrors"
    return browser


def say(browser: Browser, code: str) -> Any:
    return browser.post("/login/code", code=code, back="/errors")


def test_codes_are_those_of_rfc_6238() -> None:
    """Appendix B, SHA-1, the last six of its eight digits."""
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    for moment, code in ((59, "287082"), (1111111109, "081804"), (2000000000, "279037"), (20000000000, "353130")):
        now = datetime.fromtimestamp(moment, UTC)
        assert matching_step(secret, code, now) == moment // 30
        assert matching_step(secret, f" {code[:3]} {code[3:]}", now) == moment // 30


def test_a_login_takes_a_code_after_the_password(any_site: Site) -> None:
    app, _ = enrol(any_site.browser("ada"))
    browser = halfway(any_site)
    assert not browser.is_in(), "the password alone opens nothing"
    assert "onejob_session" not in browser.cookies
    form = browser.get("/login/code?back=/errors")
    assert (form.status_code, form.headers["cache-control"]) == (200, "no-store")
    answer = say(browser, app.code())
    assert (answer.status_code, answer.headers["location"]) == (303, "/errors")
    assert browser.is_in()
    logins = [entry.detail for entry in any_site.log() if entry.action == "login"][-2:]
    assert logins == ["the password was right, a code is wanted", "with a code"]


def test_a_code_is_good_once_and_none_before_it_afterwards(any_site: Site) -> None:
    app, _ = enrol(any_site.browser("ada"))
    used = app.code(1)  # of a telephone that is fast
    assert say(halfway(any_site), used).status_code == 303
    for code in (used, app.code(), app.code(-1)):
        assert say(halfway(any_site), code).status_code == 401
    any_site.later(seconds=60)
    assert say(halfway(any_site), app.code()).status_code == 303


def test_of_two_who_say_a_code_at_once_one_is_let_in(any_site: Site) -> None:
    app, _ = enrol(any_site.browser("ada"))
    user, book = any_site.services.access.accounts.users.named("ada"), any_site.services.access.accounts.second_factors
    assert user
    code = app.code()

    def prove(number: int) -> bool:
        try:
            return bool(book.prove(user, code, f"10.0.0.{number}"))
        except WrongCodeError:
            return False

    with ThreadPoolExecutor(4) as threads:
        assert sorted(threads.map(prove, range(4))) == [False, False, False, True]


def test_a_clock_may_be_half_a_minute_off_and_no_more(site: Site) -> None:
    app, _ = enrol(site.browser("ada"))
    assert say(halfway(site), app.code(2)).status_code == 401
    assert say(halfway(site), app.code(-2)).status_code == 401
    assert say(halfway(site), app.code(-1)).status_code == 303
    assert say(halfway(site), app.code(1)).status_code == 303


def test_a_recovery_code_opens_one_login(any_site: Site) -> None:
    _, codes = enrol(any_site.browser("ada"))
    browser = halfway(any_site)
    assert say(browser, codes[0].upper().replace("-", " ")).status_code == 303
    assert "9 recovery codes are left" in browser.get(PAGE).text
    assert any_site.log()[-1].detail == "with a recovery code"
    assert say(halfway(any_site), codes[0]).status_code == 401
    assert say(halfway(any_site), codes[1]).status_code == 303


def test_who_has_the_password_can_guess_few_codes(site: Site) -> None:
    app, codes = enrol(site.browser("ada"))
    browser = halfway(site)
    assert [say(browser, "000000").status_code for _ in range(6)] == [401] * 5 + [429]
    again = halfway(site)  # the right password once more changes nothing
    for right in (app.code(), codes[0]):
        answer = say(again, right)
        assert answer.status_code == 429
        assert 0 < int(answer.headers["retry-after"]) <= 900
    refused = [entry.detail for entry in site.log() if entry.detail.startswith("refused")]
    assert len(refused) == 6, "five, and once that there were too many"
    site.later(minutes=15)
    assert say(halfway(site), app.code()).status_code == 303


def test_the_step_between_is_short_and_for_one_login(any_site: Site) -> None:
    app, _ = enrol(any_site.browser("ada"))
    browser = halfway(any_site)
    cookie = browser.cookies["onejob_code"]
    any_site.later(minutes=5)
    late = say(browser, app.code())
    assert late.status_code == 401
    assert "log in again" in late.text
    assert browser.get("/login/code").headers["location"] == "/login"
    browser = halfway(any_site)
    cookie = browser.cookies["onejob_code"]
    assert say(browser, app.code()).status_code == 303
    thief = any_site.browser()
    thief.cookies.set("onejob_code", cookie)
    assert thief.get("/login/code").headers["location"] == "/login"
    any_site.later(seconds=60)
    assert say(thief, app.code()).status_code == 401
    nobody = any_site.browser()
    assert say(nobody, app.code()).status_code == 401


@pytest.mark.parametrize("change", [{"disabled": True}, {"role": "viewer"}])
def test_a_login_that_waits_for_its_code_ends_with_all_others(any_site: Site, change: dict[str, Any]) -> None:
    any_site.add_user("bo")
    app, _ = enrol(any_site.browser("bo"))
    browser = halfway(any_site, "bo")
    any_site.program(Role.ADMIN).ask("PATCH", "/api/v1/users/bo", json=change)
    assert say(browser, app.code()).status_code == 401


def test_a_link_for_a_new_password_is_no_way_around_the_code(any_site: Site) -> None:
    any_site.add_user("bo")
    app, _ = enrol(any_site.browser("bo"))
    code = any_site.program(Role.ADMIN).post("/users/bo/link").json()["code"]
    browser = any_site.browser()
    new = {"password": "quite different words", "again": "quite different words"}
    answer = browser.post("/welcome", code=code, **new)
    assert answer.headers["location"] == "/login/code?back=%2F"
    assert not browser.is_in()
    assert say(browser, app.code()).status_code == 303
    assert browser.is_in()


def test_setting_it_up_takes_the_password_and_a_code_and_ends_other_sessions(any_site: Site) -> None:
    here, there = any_site.browser("ada"), any_site.browser("ada")
    refused = here.post(PAGE, password="not mine at all")
    assert (refused.status_code, "<svg" in refused.text.partition("<main")[2]) == (400, False)
    begun = here.post(PAGE, password=PASSWORD)
    assert begun.headers["cache-control"] == "no-store"
    assert "<svg" in begun.text.partition("<main")[2]
    assert not any_site.services.access.accounts.second_factors.users(), "nothing is asked for before the first code"
    app = App(any_site, secret_in(begun.text))
    again = here.post(f"{PAGE}/confirm", code="000000")
    assert (again.status_code, secret_in(again.text)) == (400, app.totp.secret), "one can try again"
    assert here.post(f"{PAGE}/confirm", code=app.code()).status_code == 200
    assert here.is_in()
    assert not there.is_in()
    assert say(halfway(any_site), app.code()).status_code == 401, "that code was used to set it up"


def test_an_enrolment_that_nobody_finished_ends(site: Site) -> None:
    browser = site.browser("ada")
    app = App(site, secret_in(browser.post(PAGE, password=PASSWORD).text))
    site.later(minutes=15)
    late = browser.post(f"{PAGE}/confirm", code=app.code())
    assert (late.status_code, "begin again" in late.text) == (400, True)
    assert browser.post("/login", name="ada", password=PASSWORD).headers["location"] == "/"


def test_switching_it_off_takes_the_password_and_a_code(any_site: Site) -> None:
    browser = any_site.browser("ada")
    app, codes = enrol(browser)
    assert browser.post(PAGE, password=PASSWORD).status_code == 400, "it is on, and stays as it is"
    for password, code in (("not mine at all", app.code()), (PASSWORD, "000000")):
        assert browser.post(f"{PAGE}/off", password=password, code=code).status_code == 400
    halfway(any_site)
    assert browser.post(f"{PAGE}/off", password=PASSWORD, code=app.code()).status_code == 303
    assert any_site.browser().log_in("ada").headers["location"] == "/"
    assert browser.is_in()
    new, _ = enrol(browser)
    assert say(halfway(any_site), codes[0]).status_code == 401, "recovery codes went with the old one"
    assert say(halfway(any_site), app.code()).status_code == 401
    assert say(halfway(any_site), new.code()).status_code == 303


def test_new_recovery_codes_make_the_old_ones_useless(any_site: Site) -> None:
    browser = any_site.browser("ada")
    app, old = enrol(browser)
    answer = browser.post(f"{PAGE}/recovery-codes", password=PASSWORD, code=app.code())
    new = recovery_codes_in(answer.text)
    assert len(set(new) - set(old)) == 10
    assert say(halfway(any_site), old[0]).status_code == 401
    assert say(halfway(any_site), new[0]).status_code == 303


def test_an_admin_resets_it_for_somebody_who_lost_it(any_site: Site) -> None:
    any_site.add_user("bo", Role.VIEWER)
    bo = any_site.browser("bo")
    enrol(bo)
    admin = any_site.program(Role.ADMIN)
    listed = {user["name"]: user["has_second_factor"] for user in admin.get("/users").json()["items"]}
    assert listed == {"ada": False, "bo": True}
    answer = admin.ask("DELETE", "/api/v1/users/bo/second-factor")
    assert (answer.status_code, answer.json()["has_second_factor"]) == (200, False)
    assert not bo.is_in()
    assert any_site.browser().log_in("bo").headers["location"] == "/"
    assert ("token CI", "second-factor.reset", "bo") in any_site.acts()
    assert admin.ask("DELETE", "/api/v1/users/nobody/second-factor").status_code == 404


def test_the_last_admin_who_lost_it_comes_in_by_a_link_of_the_machine(any_site: Site) -> None:
    any_site.add_user("admin")
    enrol(any_site.browser("admin"))
    code = any_site.services.access.accounts.first_admin_link(again=True)
    assert code
    browser = any_site.browser()
    new = {"password": "quite different words", "again": "quite different words"}
    assert browser.post("/welcome", code=code, **new).headers["location"] == "/"
    assert browser.is_in()


@pytest.mark.parametrize(("wanted", "of_admins", "of_others"), [("admins", True, False), ("all", True, True)])
def test_who_has_to_have_one_sets_it_up_before_anything_else(
    sqlite_database: Database, wanted: str, of_admins: bool, of_others: bool
) -> None:
    site = Site(sqlite_database, require_second_factor=wanted)
    site.add_user()
    site.add_user("bo", Role.OPERATOR)
    for name, must in (("ada", of_admins), ("bo", of_others)):
        browser = site.browser(name)
        assert (browser.get("/").status_code == 303) == must
        if not must:
            continue
        for path in ("/", "/account", "/audit", "/deployments.csv", "/api/v1/deployments"):
            assert browser.get(path).headers["location"] == PAGE, path
        refused = browser.get("/api/v1/deployments", headers={"accept": "application/json"})
        assert (refused.status_code, PAGE in refused.json()["detail"]) == (403, True)
        assert browser.make_token().status_code == 403
        assert browser.post(f"{PAGE}/off", password=PASSWORD, code="000000").status_code == 403
        assert "This server wants a second factor" in browser.get(PAGE).text
        app, _ = enrol(browser)
        assert browser.get("/").status_code == 200
        later = halfway(site, name)
        assert say(later, app.code()).status_code == 303
        assert later.get("/").status_code == 200
        assert later.post("/logout").status_code == 303


def test_who_comes_from_the_provider_is_not_asked_for_one(sqlite_database: Database) -> None:
    from onejob.model.access import Proof

    site = Site(sqlite_database, require_second_factor="all")
    accounts = site.services.access.accounts
    user, _ = accounts.add("bo", Role.VIEWER)
    browser = site.browser()
    browser.cookies.set("onejob_session", accounts.begin(user, "10.0.0.9", proof=Proof.PROVIDER).cookie)
    assert browser.get("/").status_code == 200
    assert "your provider" in browser.get(PAGE).text
    with pytest.raises(BadRequestError):
        accounts.second_factors.confirm(user, "000000", "10.0.0.9")


def test_neither_secrets_nor_recovery_codes_are_in_the_database_or_the_log(sqlite_database: Database) -> None:
    """With a key; without one the secret is."""
    for key, is_readable in ((KEY, False), (None, True)):
        site = Site(sqlite_database, secret_key=key)
        name = f"user{is_readable}"
        site.add_user(name)
        app, codes = enrol(site.browser(name))
        browser = halfway(site, name)
        waiting = browser.cookies["onejob_code"]
        with sqlite_database.read() as connection:
            kept = " ".join(
                repr(connection.exec_driver_sql(f"SELECT * FROM {table}").all())  # noqa: S608
                for table in ("second_factors", "recovery_codes", "waiting_logins", "audit", "tries")
            )
        assert (app.totp.secret in kept) == is_readable
        assert not any(secret in kept for secret in (waiting, *codes, codes[0].replace("-", "")))
        assert say(browser, app.code()).status_code == 303
        assert follow(site.log())


def test_a_key_can_be_changed_and_one_that_is_lost_is_told(sqlite_database: Database) -> None:
    site = Site(sqlite_database)
    site.add_user()
    app, codes = enrol(site.browser("ada"))

    def restarted(hours: int, keys: str) -> Site:
        app.site = Site(sqlite_database, secret_key=keys)
        app.site.later(hours=hours)
        return app.site

    for hours, keys in enumerate((KEY, f"{NEWER},{KEY}", NEWER), 1):  # kept without one before
        assert say(halfway(restarted(hours, keys)), app.code()).status_code == 303, keys
    lost = restarted(4, KEY)
    refused = say(halfway(lost), app.code())
    assert (refused.status_code, "ONEJOB_SECRET_KEY" in refused.text) == (401, True)
    assert say(halfway(lost), codes[0]).status_code == 303


def test_a_sealed_secret_is_its_users_alone() -> None:
    seal = Seal((b"k" * 32,))
    kept = seal.sealed("secret", "usr_1")
    assert seal.opened(kept, "usr_1") == "secret"
    assert kept != seal.sealed("secret", "usr_1"), "the nonce is another each time"
    for opener, owner in ((seal, "usr_2"), (Seal((b"x" * 32,)), "usr_1"), (Seal(), "usr_1")):
        with pytest.raises(SealError):
            opener.opened(kept, owner)


@pytest.mark.parametrize("key", ["short", b64encode(b"x" * 31).decode(), f"{KEY},", "a" * 44 + "é"])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(ValueError, match="openssl rand -base64 32"):
        Settings(secret_key=key)
