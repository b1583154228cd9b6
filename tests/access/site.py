"""The application with a login, browsers that keep cookies, and programs that have tokens; time is the test's."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from act.builders import FakeRouter
from onejob.access.token_book import Wanted
from onejob.act.audited import AuditedTransitions
from onejob.act.controller import RolloutController
from onejob.config import Settings
from onejob.model.access import LOCAL, Role, TokenKind
from onejob.model.audit import AuditEntry
from onejob.state.audit import Audit
from onejob.state.database import Database
from onejob.state.deployments import Deployments
from onejob.state.evidence import Evidences
from onejob.state.rollouts import Rollouts
from onejob.state.verdicts import Verdicts
from onejob.web.app import create_app
from onejob.web.services import assemble

PASSWORD = "several words in a row"
BASE = "http://onejob.example:8320"


class Site:
    """A server that wants a login, asked in memory."""

    def __init__(self, database: Database, base: str = BASE, **settings: Any) -> None:
        self.now = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
        self.base = base
        clock = lambda: self.now  # noqa: E731
        controller = RolloutController(
            rollouts=Rollouts(database),
            deployments=Deployments(database),
            verdicts=Verdicts(database),
            evidences=Evidences(database),
            drivers={"fake": FakeRouter()},
            clock=clock,
            on_transition=AuditedTransitions(Audit(database)),
        )
        # Time stands still here, so that all of a test is asked at once.
        told = {"login": "always", "allowed_hosts": ("onejob.example",), "requests_burst": 10_000} | settings
        self.services = assemble(Settings(**told), database, controller=controller, clock=clock)
        self.app = create_app(self.services)

    def later(self, **passed: float) -> None:
        """Time passes."""
        self.now += timedelta(**passed)

    def add_user(self, name: str = "ada", role: Role = Role.ADMIN) -> None:
        """A user with the password PASSWORD, who is not logged in."""
        accounts = self.services.access.accounts
        _, code = accounts.add(name, role)
        accounts.sessions.end_all(accounts.use_link(code, PASSWORD, "10.0.0.1").user.id)

    def browser(self, name: str | None = None) -> "Browser":
        """One that is logged in, if a name is said."""
        browser = Browser(self)
        if name is not None:
            assert browser.log_in(name).status_code == 303
        return browser

    def program(self, role: Role, **wanted: Any) -> "Program":
        """One with a token that nobody owns."""
        made = {"name": "CI", "kind": TokenKind.API, "lasts": timedelta(days=90), "role": role} | wanted
        return Program(self, self.services.access.book.make(Wanted(**made), LOCAL)[1])

    def log(self) -> list[AuditEntry]:
        """Everything in the audit log."""
        return self.services.audit.after(0, 10_000)

    def acts(self) -> list[tuple[str, str, str]]:
        """Who did what to what."""
        return [(entry.actor, entry.action, entry.object) for entry in self.log()]


class Asks:
    """Whoever sends requests."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.cookies = httpx.Cookies()
        self.headers: dict[str, str] = {}

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """One request."""

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.site.app, client=("10.0.0.9", 4711))
            async with httpx.AsyncClient(
                transport=transport, base_url=self.site.base, cookies=self.cookies, headers=self.headers
            ) as client:
                answer = await client.request(method, path, **options)
                self.cookies = client.cookies
                return answer

        return asyncio.run(send())


class Browser(Asks):
    """Sends what browsers send: its cookies, and whose page asked."""

    def __init__(self, site: Site) -> None:
        super().__init__(site)
        self.headers = {"accept": "text/html", "origin": site.base}

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.ask("GET", path, **options)

    def post(self, path: str, **form: str) -> httpx.Response:
        return self.ask("POST", path, data=form)

    def log_in(self, name: str, password: str = PASSWORD, **more: str) -> httpx.Response:
        return self.post("/login", name=name, password=password, **more)

    def cookie(self) -> str:
        """Of its session."""
        return next(value for name, value in self.cookies.items() if name.endswith("onejob_session"))

    def is_in(self) -> bool:
        return self.get("/account").status_code == 200

    def make_token(self, role: str = "developer", **form: str) -> httpx.Response:
        return self.post("/account/tokens", **({"name": "CI", "role": role, "days": "30", "service": ""} | form))


class Program(Asks):
    """Sends a token."""

    def __init__(self, site: Site, token: str) -> None:
        super().__init__(site)
        self.token = token
        self.headers = {"authorization": f"Bearer {token}"}

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.ask("GET", f"/api/v1{path}", **options)

    def post(self, path: str, json: Any = None) -> httpx.Response:
        return self.ask("POST", f"/api/v1{path}", json=json)

    def start(self, service: str = "checkout", **said: Any) -> str:
        """The id of a deployment that was reported."""
        answer = self.post("/deployments", {"service": service, "version": "2"} | said)
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])


def token_in(page: str) -> str:
    """The one token that is shown."""
    (found,) = set(re.findall(r"onejob_api_\w+", page))
    return str(found)
