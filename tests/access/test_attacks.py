"""What somebody tries who has read the code: each was tried by hand first, and those that worked were mended."""

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.routing import Match

from onejob.access import passwords
from onejob.access.errors import TooManyTriesError
from onejob.access.limits import Tries
from onejob.access.token_book import Wanted
from onejob.config import Settings
from onejob.model.access import LOCAL, Role, TokenKind
from onejob.state.database import Database
from onejob.state.tries import TryCounts
from onejob.web.rules import RULES, rule_for

from .serving import served
from .site import PASSWORD, Asks, Program, Site

LOOPBACK = {"base": "http://127.0.0.1:8320", "login": "auto", "allowed_hosts": ()}
PUBLIC = "https://onejob.example"


def _routes(routes: Any) -> Iterator[Any]:
    for route in routes:
        if hasattr(route, "original_router"):
            yield from _routes(route.original_router.routes)
        elif getattr(route, "methods", None):
            yield route


@st.composite
def addresses(draw: st.DrawFn) -> tuple[str, str]:
    """Those of routes, with anything where a name goes, and bent here and there."""
    method, path = draw(st.sampled_from(sorted(RULES)))
    anything = st.text(st.sampled_from("ab._-/\\?#%;:\n\r\t é{}*") | st.characters(), min_size=1, max_size=6)
    filled = "".join(draw(anything) if part.startswith("{") else part for part in _parts(path))
    bend = draw(st.sampled_from(["", "/", "//", "%2f", "\n", "/.", "/..", ".csv", ".html", "?", "/abort"]))
    return method, draw(st.sampled_from(["", "", "", "/", "/static/..", "/."])) + filled + bend


def _parts(path: str) -> list[str]:
    return path.replace("{", "\0{").replace("}", "}\0").split("\0")


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('state')}/state.db")
    database.migrate()
    return list(_routes(Site(database).app.routes))


@settings(max_examples=300, deadline=None)
@given(addresses())
def test_no_address_gets_the_rule_of_another_route_than_the_one_that_answers_it(
    routes: list[Any], address: tuple[str, str]
) -> None:
    method, path = address
    scope = {"type": "http", "method": method, "path": path, "root_path": "", "headers": []}
    answering = next((route for route in routes if route.matches(scope)[0] is Match.FULL), None)
    if answering is not None and not path.startswith("/static/"):
        assert rule_for(method, path) is RULES[method, answering.path]


@pytest.mark.parametrize(
    "path",
    ["//audit", "/audit/", "/%61udit", "/audit%2f", "/./audit", "/static/../audit", "/static/..%2faudit", "/audit%00"],
)
def test_an_address_that_is_bent_opens_nothing(site: Site, path: str) -> None:
    site.services.record(actor="secret-actor", action="x", object="y", source="z")
    for asker in (Asks(site), site.program(Role.VIEWER)):
        for method in ("GET", "HEAD", "OPTIONS", "POST", "TRACE", "PROPFIND"):
            answer = asker.ask(method, f"{site.base}{path}")
            assert answer.status_code in (401, 403, 404, 405), (method, answer.status_code)
            assert "secret-actor" not in answer.text


def test_a_websocket_is_refused_as_no_rule_is_for_them(site: Site) -> None:
    told: list[Any] = []

    async def connect() -> None:
        async def receive() -> Any:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            told.append(message)

        await site.app({"type": "websocket", "path": "/events", "headers": [], "query_string": b""}, receive, send)

    asyncio.run(connect())
    assert told == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize("header", ["x-forwarded-for", "forwarded", "x-real-ip", "via", "x-forwarded-proto"])
def test_a_proxy_in_front_of_a_server_without_a_login_does_not_open_it(sqlite_database: Database, header: str) -> None:
    site = Site(sqlite_database, **LOOPBACK)
    assert Asks(site).ask("GET", "/api/v1/deployments").status_code == 200
    answer = Asks(site).ask("GET", "/api/v1/deployments", headers={header: "203.0.113.7"})
    assert answer.status_code == 403
    assert "ONEJOB_PUBLIC_URL" in answer.json()["detail"]
    told = Site(sqlite_database, **(LOOPBACK | {"login": "off"}))
    assert Asks(told).ask("GET", "/api/v1/deployments", headers={header: "203.0.113.7"}).status_code == 200


def test_a_proxy_that_says_another_host_breaks_no_form(sqlite_database: Database) -> None:
    site = Site(sqlite_database, "http://127.0.0.1:8320", public_url=PUBLIC)
    site.add_user()
    browser = site.browser()
    browser.headers["origin"] = PUBLIC
    assert browser.log_in("ada").status_code == 303
    browser.headers["origin"] = "https://evil.example"
    assert browser.log_in("ada").status_code == 403
    assert browser.post("/logout").status_code == 403


@pytest.mark.parametrize(
    "url",
    [
        "ftp://onejob.example",
        "https://",
        "see https://x.example",
        "https://onejob.example/a/../b",
        "https://onejob.example/%2e%2e",
        "https://onejob.example//other.example",
        "https://onejob.example/deployments",
        "https://onejob.example/p/shop",
        "https://onejob.example/openapi.json",
    ],
)
def test_an_address_of_the_server_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="public_url"):
        Settings(public_url=url)


def test_a_form_that_no_page_sends_is_refused(site: Site) -> None:
    many = {f"field{number}": "x" for number in range(60)}
    assert site.browser().post("/login", **many).status_code == 400
    assert site.browser().post("/login", name="x" * 20_000).status_code == 413
    assert site.browser().log_in("ada", back="/" + "x" * 3000).headers["location"] == "/"


def test_many_refusals_fill_no_audit_log(site: Site) -> None:
    for _ in range(30):
        site.browser().log_in("ada", "some other words here")
    refused = [entry.detail for entry in site.log()]
    assert refused[:10] == ["refused: Name or password is wrong."] * 10
    assert len(refused) == 11
    assert "Too many tries" in refused[10]


def test_nobody_is_locked_out_by_tries_from_many_addresses_where_they_were_before(sqlite_database: Database) -> None:
    tries = Tries(TryCounts(sqlite_database), lambda: datetime(2026, 3, 1, tzinfo=UTC))
    tries.take("ada", "10.0.0.1")
    tries.forget("ada", "10.0.0.1")
    for number in range(99):
        tries.take("ada", f"203.0.113.{number}")
    with pytest.raises(TooManyTriesError):
        tries.take("ada", "198.51.100.1")
    for _ in range(10):
        tries.take("ada", "10.0.0.1")
    with pytest.raises(TooManyTriesError):
        tries.take("ada", "10.0.0.1")


def test_passwords_that_are_sent_all_at_once_do_not_hold_up_everybody_else(site: Site) -> None:
    taken = [passwords._WAITING.acquire(blocking=False) for _ in range(10)]
    try:
        answer = site.browser().log_in("ada")
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
        assert site.log() == []
    finally:
        for _ in taken:
            passwords._WAITING.release()
    assert site.browser().log_in("ada").status_code == 303


def test_logins_at_the_provider_are_not_begun_or_refused_without_end(sqlite_database: Database) -> None:
    site = Site(sqlite_database, oidc_issuer="http://127.0.0.1:9")
    counts = TryCounts(sqlite_database)
    site.services.access.provider_tries = Tries(counts, lambda: site.now, "provider", (3, 100, 100))
    browser = site.browser()
    assert [browser.get("/login/provider").status_code for _ in range(5)] == [502] * 3 + [429] * 2
    answers = [browser.get("/login/provider/back?code=x&state=y").status_code for _ in range(6)]
    assert answers == [403] * 3 + [429] * 3
    assert len(site.log()) == 4, "three refusals, and that there were too many"


def test_a_token_that_leaked_cannot_make_itself_last(site: Site) -> None:
    program = site.program(Role.OPERATOR, lasts=timedelta(days=2))
    made = program.post("/tokens", {"name": "again", "role": "viewer", "days": 366}).json()
    assert made["expires_at"] == "2026-03-03T12:00:00Z"
    child = Program(site, made["token"])
    site.later(days=2)
    assert child.get("/deployments").status_code == 401
    ingest = Wanted(name="shop", kind=TokenKind.INGEST, lasts=timedelta(days=90))
    assert site.services.access.book.make(ingest, LOCAL)[0].expires_at == site.now + timedelta(days=90)


@pytest.mark.parametrize("name", ["onejob", "Unknown "])
def test_nobody_is_called_what_the_audit_log_calls_somebody_else(site: Site, name: str) -> None:
    answer = site.program(Role.ADMIN).post("/users", {"name": name, "role": "viewer"})
    assert answer.status_code == 422
    assert "take another name" in answer.json()["detail"]


def test_an_address_that_somebody_made_up_is_not_believed(site: Site) -> None:
    """A proxy on this machine adds whom it heard; what stands before that, or comes from elsewhere, is made up."""
    form = {"name": "ada", "password": "some other words here"}
    with served(site.app) as url:
        headers = {"host": "onejob.example", "origin": "http://onejob.example"}
        httpx.post(f"{url}/login", data=form, headers=headers | {"x-forwarded-for": "6.6.6.6, 203.0.113.7"})
        with httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.2")) as elsewhere:
            elsewhere.post(f"{url}/login", data=form, headers=headers | {"x-forwarded-for": "6.6.6.6"})
    assert [entry.source for entry in site.log()] == ["203.0.113.7", "127.0.0.2"]


def test_an_ingest_token_opens_no_page_and_no_api(site: Site) -> None:
    made = Wanted(name="shop", kind=TokenKind.INGEST, lasts=timedelta(days=1))
    program = Program(site, site.services.access.book.make(made, LOCAL)[1])
    for (method, path), rule in RULES.items():
        if rule.role is not None:
            assert program.ask(method, path.replace("{", "").replace("}", "")).status_code == 401, path
    assert PASSWORD not in repr(site.log())


def test_who_tries_what_they_may_not_is_in_the_log_once_in_a_while(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    viewer = site.program(Role.VIEWER)
    for path in ("/api/v1/users", "/api/v1/audit", "/audit%0A"):
        assert viewer.ask("GET", f"{site.base}{path}").status_code == 403
    (told,) = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert told == "refused GET '/api/v1/users': This takes the role admin, and token CI is viewer."


def test_who_is_not_known_is_in_the_log_once_in_a_while(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(3):
        assert Asks(site).ask("GET", "/api/v1/users").status_code == 401
        assert Program(site, "onejob_api_nothing").get("/users").status_code == 401
    told = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert told == [
        "refused GET '/api/v1/users' from 10.0.0.9: no login",
        "refused GET '/api/v1/users' from 10.0.0.9: an unknown token",
    ]


def test_each_test_that_the_list_of_requirements_names_is_there() -> None:
    tests = Path(__file__).parents[1]
    named = re.findall(r"`([\w/]+\.py)?(?:::(test_\w+))?`", (tests.parent / "docs" / "security.md").read_text())
    file = ""
    for told, name in named:
        file = told or file
        if not file.startswith("src/") and name:
            path = tests.parent / file if file.startswith("tests/") else tests / "access" / file
            assert f"def {name}(" in path.read_text(), (file, name)
    assert sum(bool(name) for _, name in named) > 60


def test_each_requirement_that_is_met_names_its_test_or_says_why_there_can_be_none() -> None:
    text = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
    rows = re.findall(r"^\| [\d., to]+ \| (?:met|in part) \| .*$", text, re.MULTILINE)
    assert [row for row in rows if not re.search(r"::test_\w+`|by design: ", row)] == []
    assert len(rows) > 100


def test_the_list_of_requirements_has_each_of_levels_1_and_2_once() -> None:
    """Their numbers are in a row within each section, so that the last of each section says which there are."""
    text = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
    listed: list[str] = []
    for items in re.findall(r"^\| ([\d., to]+) \|", text, re.MULTILINE):
        for item in items.split(", "):
            first, _, last = item.partition(" to ")
            listed += _between(first, last) if last else [first]
    assert len(listed) == len(set(listed)), [one for one in listed if listed.count(one) > 1]
    assert len(listed) == 253


def _between(first: str, last: str) -> list[str]:
    """`7.2.1` to `7.2.4`; across sections, those that levels 1 and 2 have."""
    if first.rpartition(".")[0] != last.rpartition(".")[0]:
        return _SEVERAL[first, last]
    section, _, start = first.rpartition(".")
    return [f"{section}.{number}" for number in range(int(start), int(last.rpartition(".")[2]) + 1)]


_SEVERAL = {("17.1.1", "17.3.2"): ["17.1.1", *(f"17.2.{number}" for number in range(1, 5)), "17.3.1", "17.3.2"]}
