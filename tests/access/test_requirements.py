"""What ASVS wants (docs/security.md) and no test of a part shows: of the whole application, asked from outside."""

import ast
import re
import socket
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

import onejob
from onejob.access.provider import Provider
from onejob.act.drivers.envoy_admin import EnvoyAdmin
from onejob.act.errors import DriverMisconfiguredError
from onejob.config import Settings
from onejob.ingest.errors import BadRequest
from onejob.ingest.scrape.fetch import fetch
from onejob.model.access import Role
from onejob.model.scrape import ScrapeTarget
from onejob.state.audit import Audit
from onejob.state.database import Database
from onejob.web.rules import RULES
from state_sqlite import Template

from .serving import served
from .site import BASE, PASSWORD, Asks, Program, Site

SOURCE = Path(onejob.__file__).parent
JSON = {"content-type": "application/json"}
STRANGE = ["{{7*7}}", "{0.__class__}", "%s%n", "${7*7}", "../../etc/passwd", "a\\..\\b", "C:secret.txt", "a;b|c`d`"]


@pytest.fixture(scope="module")
def site(template: Template, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One for all of these; it keeps its files in a folder of its own."""
    folder = tmp_path_factory.mktemp("data")
    database = Database(template.copy(folder / "state.db"))
    site = Site(database, data_dir=folder)
    site.add_user()
    site.add_user("bo", Role.VIEWER)
    yield site
    database.close()


@pytest.fixture(scope="module")
def admin(site: Site) -> Program:
    return site.program(Role.ADMIN)


@contextmanager
def _redirecting() -> Iterator[tuple[str, list[str]]]:
    """The address of a server that sends everybody on, and what was asked of where it sends them."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if "/inside" in self.path:
                asked.append(self.path)
            self.send_response(302)
            self.send_header("location", f"http://127.0.0.1:{self.server.server_port}/inside")  # type: ignore[attr-defined]
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


def test_whoever_sends_onejob_on_to_another_address_is_not_followed(site: Site) -> None:
    with _redirecting() as (url, asked):
        access = site.services.access
        settings = Settings(oidc_issuer=url, oidc_roles={"a": "admin"})
        provider = Provider(settings, access.accounts.users, access.accounts.sessions, lambda: site.now)
        with pytest.raises(Exception, match="does not answer"):
            provider.leave(f"{BASE}/login/provider/back", "/")
        router = EnvoyAdmin(url)
        with pytest.raises(DriverMisconfiguredError, match="status 302"):
            router.config()
        router.close()
        with pytest.raises(BadRequest, match="HTTP status 302"):
            _fetch(ScrapeTarget(url=f"{url}/metrics", job="shop"))
    assert asked == []


def _fetch(target: ScrapeTarget) -> None:
    import asyncio

    async def once() -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            await fetch(client, target, 2**20)

    asyncio.run(once())


def test_without_a_login_nothing_answers_but_what_says_that_it_is_there(site: Site) -> None:
    stranger = Asks(site)
    # Documentation, monitoring and debugging pages, as frameworks have them, and ours.
    guarded = ["/openapi.json", "/metrics", "/api/v1/doctor", "/api/v1/status", "/api/v1/nothing"]
    missing = ["/docs", "/redoc", "/debug", "/__debug__/", "/console", "/.git/config", "/actuator/env"]
    assert {stranger.ask("GET", path).status_code for path in guarded + missing} == {401}
    for path in missing:
        assert site.program(Role.ADMIN, name="root").ask("GET", path).status_code == 404, path
    public = sorted(path for (method, path), rule in RULES.items() if method == "GET" and rule.role is None)
    assert public == [
        "/healthz",
        "/login",
        "/login/code",
        "/login/provider",
        "/login/provider/back",
        "/readyz",
        "/welcome",
    ]
    for path in public:
        answer = stranger.ask("GET", path)
        assert not re.search(r"Traceback|site-packages|sqlite|\.py\b", answer.text), path
    assert site.app.debug is False


def test_what_nobody_expected_tells_nothing_of_the_inside(site: Site, admin: Program) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("s3cret of /var/lib/onejob/state.db")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Audit, "after", broken)
        patch.setattr(Audit, "before", broken)
        with served(site.app) as url:
            asked = {"host": "onejob.example:8320", "authorization": f"Bearer {admin.token}"}
            told = httpx.get(f"{url}/api/v1/audit", headers=asked)
            page = httpx.get(f"{url}/audit", headers=asked | {"accept": "text/html"})
    assert (told.status_code, told.headers["content-type"]) == (500, "application/problem+json")
    assert (page.status_code, page.headers["content-type"]) == (500, "text/html; charset=utf-8")
    for answer in (told, page):
        assert "its log says what" in answer.text
        assert not re.search(r"s3cret|Traceback|RuntimeError|\.py\b", answer.text)
        assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_what_is_sent_twice_is_refused_and_in_a_form_the_first_counts(site: Site, admin: Program) -> None:
    for query in ("service=a&service=b", "service=a&service=a"):
        answer = admin.get(f"/deployments?{query}")
        assert (answer.status_code, answer.json()["detail"]) == (422, "'service' is sent twice: send it once.")
    for body in ('{"name": "di", "role": "viewer", "role": "admin"}', '{"name": "di", "name": "di"}'):
        answer = admin.ask("POST", "/api/v1/users", content=body, headers=admin.headers | JSON)
        assert answer.status_code == 422, answer.text
        assert "is sent twice: send it once." in answer.json()["detail"]
    assert site.services.access.accounts.users.named("di") is None
    browser = site.browser("bo")
    form = "name=mine&role=viewer&role=admin&days=7&days=365&service="
    headers = browser.headers | {"content-type": "application/x-www-form-urlencoded"}
    assert browser.ask("POST", "/account/tokens", content=form, headers=headers).status_code == 200
    (made,) = [one for one in site.services.access.book.tokens.all() if one.name == "mine"]
    assert (made.role, (made.expires_at - made.created_at).days) == (Role.VIEWER, 7)


def test_a_body_has_the_fields_that_are_described_and_no_others(admin: Program) -> None:
    description = admin.ask("GET", "/openapi.json").json()
    schemas = description["components"]["schemas"]
    bodies = [
        (method, path, operation["requestBody"]["content"]["application/json"]["schema"])
        for path, of_path in description["paths"].items()
        for method, operation in of_path.items()
        if "application/json" in operation.get("requestBody", {}).get("content", {}) and "/hooks/" not in path
    ]
    assert len(bodies) > 10
    taken: set[str] = set()
    for method, path, schema in bodies:
        taken |= _named_in(schema, schemas)
        answer = admin.ask(method.upper(), re.sub(r"\{\w+\}", "none", path), json={"is_admin": True})
        assert answer.status_code in (404, 422), (path, answer.text)
        if answer.status_code == 422:
            assert "is_admin" in answer.text, path
    loose = {name for name in taken if "properties" in schemas[name]} - {
        name for name in taken if schemas[name].get("additionalProperties") is False
    }
    assert loose == set()


def _named_in(schema: Any, schemas: dict[str, Any]) -> set[str]:
    """Every schema that this one is made of."""
    found: set[str] = set()
    waiting = [schema]
    while waiting:
        new = set(re.findall(r"#/components/schemas/(\w+)", repr(waiting.pop()))) - found
        found |= new
        waiting += [schemas[name] for name in new]
    return found


def test_nobody_gives_themselves_what_only_others_may_give(site: Site, admin: Program) -> None:
    users = site.services.access.accounts.users
    before = users.named("bo")
    for field, value in {
        "id": "usr_1",
        "password_hash": "x",
        "subject": "x",
        "name": "ada",
        "created_at": "2020",
    }.items():
        answer = admin.ask("PATCH", "/api/v1/users/bo", json={field: value})
        assert (answer.status_code, f"{field}: is no field" in answer.json()["detail"]) == (422, True)
    for field in ("owner_id", "made_by", "hash", "id", "created_at"):
        assert admin.post("/tokens", {"name": "x", "role": "viewer", field: "ada"}).status_code == 422
    for field in ("id", "verdict", "status", "finished_at"):
        assert admin.post("/deployments", {"service": "a", "version": "1", field: "x"}).status_code == 422
    bo = site.browser("bo")
    more = {"role": "admin", "is_admin": "1", "owner_id": "x", "kind": "ingest", "made_by": "ada"}
    bo.post("/account/password", old="wrong words in here", password=PASSWORD, again=PASSWORD, **more)
    assert bo.make_token("viewer", **{k: v for k, v in more.items() if k != "role"}, name="plain").status_code == 200
    (made,) = [one for one in site.services.access.book.tokens.all() if one.name == "plain"]
    assert (made.role, made.made_by, made.owner_id) == (Role.VIEWER, "bo", before.id if before else "")
    after = users.named("bo")
    assert before
    assert after
    assert (after.role, after.password_hash) == (before.role, before.password_hash)


def test_nothing_that_is_sent_becomes_a_path_a_file_or_its_name(site: Site, admin: Program) -> None:
    folder = site.services.settings.data_dir
    files = lambda: {path for path in folder.rglob("*") if not path.name.startswith("state.db")}  # noqa: E731
    before = files()
    for name in STRANGE:
        said = {"service": name, "version": name, "environment": name, "commit": name}
        assert admin.post("/deployments", said).status_code == 201
        assert admin.post("/projects", {"name": name}).status_code == 422
    for path in ("/static/..%2frules.py", "/static/%2e%2e/rules.py", "/backtest/..%2f..%2fstate.db%00.html"):
        assert admin.ask("GET", path).status_code == 404
    for path in ("/deployments.csv", "/errors.csv"):
        answer = admin.ask("GET", path, params={"service": '../x"\r\nx-y: z'})
        assert answer.headers["content-disposition"] == f'attachment; filename="{path[1:]}"'
        assert "x-y" not in answer.headers
    assert files() == before


def test_what_looks_like_a_program_a_template_or_a_format_stays_text(site: Site, admin: Program) -> None:
    for name in STRANGE:
        deployment = admin.start(service=f"strange {name}", version=name)
        assert admin.get(f"/deployments/{deployment}").json()["version"] == name
    page = site.browser("ada").get("/deployments", params={"text": "strange"}).text
    assert ("{{7*7}}" in page, "{0.__class__}" in page, "${7*7}" in page) == (True, True, True)
    assert ("49" in re.sub(r"<[^>]*>", "", page), "<class" in page) == (False, False)


def test_no_source_runs_or_unpickles_what_comes_from_outside() -> None:
    forbidden = {"eval", "exec", "pickle", "marshal", "shelve", "from_string", "os.system", "shell=True"}
    found: set[tuple[str, str]] = set()
    for path, text in ((path, path.read_text()) for path in SOURCE.rglob("*.py")):
        if not any(name.removesuffix("=True") in text for name in forbidden):
            continue  # parsing all of them takes seconds
        for node in ast.walk(ast.parse(text)):
            names = {alias.name for alias in node.names} if isinstance(node, ast.Import) else set()
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                names = {called} if called.startswith("os.") else {called.rpartition(".")[2]}
                names |= {"shell=True"} if any(one.arg == "shell" for one in node.keywords) else set()
            found |= {(path.name, name) for name in names & forbidden}
    assert found == set()


def test_the_wheel_has_no_tests_and_no_tools_for_them() -> None:
    project = tomllib.loads((SOURCE.parents[1] / "pyproject.toml").read_text())
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"] == {"packages": ["src/onejob"]}
    python = {path: path.read_text() for path in SOURCE.rglob("*.py")}
    assert [path for path in python if re.match(r"(test|conftest|fuzz|bench)", path.name)] == []
    assert [path for path, text in python.items() if re.search(r"^(import|from) (pytest|hypothesis)", text, re.M)] == []


def test_the_cookies_are_these_and_nothing_else_is_kept_in_a_browser(site: Site) -> None:
    browser = site.browser("ada")
    browser.post("/theme")
    assert sorted(browser.cookies) == ["onejob_session", "theme"]
    browser.post("/logout")
    assert sorted(browser.cookies) == ["theme"]
    scripts = {path.name: path.read_text() for path in (SOURCE / "web" / "static").glob("*.js")}
    assert len(scripts) > 3
    keeping = re.compile(r"localStorage|sessionStorage|indexedDB|caches\.|cookie = `(?!theme=)|cookieStore")
    assert [name for name, text in scripts.items() if keeping.search(text)] == []
    # Keyed by others' words, an object could be made to change all objects: `__proto__`.
    assert [
        name for name, text in scripts.items() if re.search(r"__proto__|Object\.assign|\[\w+\.name\] =", text)
    ] == []


def test_answers_say_what_they_are_and_that_https_stays(site: Site, admin: Program, sqlite_database: Database) -> None:
    kinds = {
        "/": "text/html; charset=utf-8",
        "/deployments.csv": "text/csv; charset=utf-8",
        "/metrics": "text/plain; version=1.0.0; charset=utf-8",
        "/api/v1/deployments": "application/json",
        "/api/v1/nothing": "application/problem+json",
        "/static/onejob.css": "text/css; charset=utf-8",
    }
    told = {path: admin.ask("GET", path) for path in kinds}
    assert {path: answer.headers["content-type"] for path, answer in told.items()} == kinds
    assert not any("strict-transport-security" in answer.headers for answer in told.values())
    behind = Site(sqlite_database, "http://onejob.example", public_url="https://onejob.example")
    for path in ("/", "/login", "/api/v1/deployments", "/healthz"):
        answer = Asks(behind).ask("GET", path)
        assert not answer.is_redirect, "what was sent in clear must not look as if it had been right"
    assert Asks(behind).ask("GET", "/login").headers["strict-transport-security"] == "max-age=31536000"


def test_one_request_is_never_read_as_two(site: Site) -> None:
    start = "POST /theme HTTP/1.1\r\nhost: onejob.example:8320\r\n"
    second = "GET /healthz HTTP/1.1\r\nhost: onejob.example:8320\r\n\r\n"
    # Two lengths, by which a proxy and a server would not find the same end.
    unclear = [
        f"{start}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{second}",
        f"{start}content-length: 0\r\ncontent-length: {len(second)}\r\n\r\n{second}",
        f"{start}transfer-encoding: xchunked\r\ncontent-length: 0\r\n\r\n{second}",
        f"{start}transfer-encoding : chunked\r\n\r\n0\r\n\r\n{second}",
        f"{start}content-length: +0\r\n\r\n{second}",
    ]
    with served(site.app) as url:
        port = int(url.rpartition(":")[2])
        answers = [_sent(port, text) for text in unclear]
    assert [(text.count("HTTP/1.1 "), text[:12]) for text in answers] == [(1, "HTTP/1.1 400")] * len(unclear)


def _sent(port: int, text: str) -> str:
    """All that is answered until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(text.encode())
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b"")).decode()


def test_nobody_is_logged_in_without_having_asked_for_it(sqlite_database: Database) -> None:
    site = Site(sqlite_database, oidc_issuer="http://127.0.0.1:9", oidc_roles={"a": "admin"})
    browser = site.browser()
    away = browser.get("/deployments")
    assert (away.status_code, away.headers["location"]) == (303, "/login?back=%2Fdeployments")
    assert browser.get(away.headers["location"]).status_code == 200
    assert list(browser.cookies) == []


def test_no_line_of_the_servers_log_can_be_made_up_by_what_is_sent() -> None:
    made_up = "checkout\nERROR onejob\r\x1b[2J\u2028\x85"
    program = "import logging, sys; from onejob.logs import *; log_to_stderr(); logging.warning(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", program, f"not judged: {made_up}"], capture_output=True, check=True)
    assert done.stderr.decode() == "WARNING not judged: checkout ERROR onejob  [2J  \n"


def test_no_line_of_a_traceback_in_the_servers_log_looks_like_one_of_the_log() -> None:
    program = """
import logging
from onejob.logs import log_to_stderr
log_to_stderr()
try:
    raise ValueError("service checkout\\nWARNING audit: \\x1b[2J made up")
except ValueError:
    logging.exception("not judged")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    first, *others = done.stderr.splitlines()
    assert first == "ERROR not judged"
    assert all(line.startswith("  ") and line.isprintable() for line in others), others
    assert any("made up" in line for line in others)


def test_no_line_of_the_audit_log_can_be_made_up_by_what_is_sent(site: Site, admin: Program) -> None:
    site.browser().log_in("ada\r\n2026-03-01 login mallory", "x" * 12)
    admin.start(service="checkout", version="2", actor="mo\u202e")
    for entry in site.log():
        assert all(text.isprintable() for text in (entry.actor, entry.action, entry.object, entry.source, entry.detail))
