"""Everything about access, put together for a running server."""

import copy
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from onejob.access import passwords
from onejob.access.accounts import Accounts
from onejob.access.breached import BreachedPasswords
from onejob.access.errors import NotHereError
from onejob.access.ingest_gate import IngestGate
from onejob.access.limits import OF_PROVIDER, Tries
from onejob.access.rates import Rates
from onejob.access.second_factor import SecondFactorBook
from onejob.access.token_book import TokenBook
from onejob.config import Settings
from onejob.model.access import LOCAL, Principal, Role, Via
from onejob.model.project import DEFAULT_PROJECT
from onejob.state.database import Database
from onejob.state.errors import NotFoundError
from onejob.state.projects import Memberships, Projects
from onejob.state.second_factors import SecondFactors
from onejob.state.sessions import Sessions
from onejob.state.tokens import Tokens
from onejob.state.tries import TryCounts
from onejob.state.users import Users

if TYPE_CHECKING:
    from onejob.access.provider import Provider


class Access:
    """`is_required`: whether somebody who says nothing is nobody, or the local user.

    Users, sessions and tokens are the server's; `project` is the one whose roles are asked for.
    """

    def __init__(self, settings: Settings, database: Database, clock: Callable[[], datetime]) -> None:
        users = Users(database)
        sessions = Sessions(database, timedelta(hours=settings.session_idle_hours))
        tokens = Tokens(database)
        self.is_required = settings.requires_login
        self.is_off = settings.login == "off"
        self.public_url = settings.public_url
        self.project = DEFAULT_PROJECT
        self.projects = Projects(database)
        self.members = Memberships(database)
        counts = TryCounts(database)
        second_factors = SecondFactorBook(SecondFactors(database), counts, settings, clock)
        breached = BreachedPasswords(settings.breached_passwords) if settings.breached_passwords else None
        lasts = timedelta(hours=settings.session_max_hours)
        self.accounts = Accounts(users, sessions, second_factors, Tries(counts, clock), lasts, clock, breached)
        self.book = TokenBook(tokens, clock)
        self.ingest = IngestGate(tokens, clock)
        self.rates = Rates(settings.requests_per_minute, settings.requests_burst, clock)
        self.provider_tries = Tries(counts, clock, "provider", OF_PROVIDER)
        self.provider = _provider(settings, users, sessions, clock) if settings.oidc_issuer else None
        if self.is_required:
            passwords.prepare()

    def of_project(self, name: str) -> "Access":
        """The same people and tokens, with what they may do there. Whether there is such a project does not matter."""
        there = copy.copy(self)
        there.project = name
        there.book = self.book.of_project(name)
        return there

    def who(self, cookie: str | None, bearer: str | None, *, is_use: bool = True) -> Principal | None:
        """Whom a request comes from. A token that is none is nobody, whatever else comes with it. NotHereError for
        those who have nothing to do with this project.

        What is no use of a session, such as a page that waits for news, does not keep it from ending.
        """
        if bearer is not None:
            return self.book.principal(bearer)
        if not self.is_required:
            return LOCAL
        found = self.accounts.principal(cookie, is_use=is_use) if cookie else None
        return found and self._as_here(found)

    def elsewhere(self, principal: Principal, project: str) -> Principal:
        """Who they are in another project, for what one does at the server's own addresses. NotFoundError."""
        if project == self.project:
            return principal
        unknown = NotFoundError(f"There is no project {project[:40]!r} that you belong to: check its name.")
        if self.project != DEFAULT_PROJECT:
            raise unknown
        try:
            self.projects.get(project)
            # A token says nothing of its owner elsewhere, unless it is one of an admin of the server.
            if principal.via is Via.TOKEN and (principal.role is not Role.ADMIN or principal.service is not None):
                raise unknown
            return self.of_project(project)._as_here(principal)
        except (NotFoundError, NotHereError):
            raise unknown from None

    def _as_here(self, principal: Principal) -> Principal:
        """Somebody whose role is the server's, with the role they have here."""
        if self.project == DEFAULT_PROJECT or principal.role is Role.ADMIN:
            return principal
        role = self.members.role(principal.user_id, self.project) if principal.user_id else None
        if role is None:
            raise NotHereError
        return replace(principal, role=role)


def _provider(settings: Settings, users: Users, sessions: Sessions, clock: Callable[[], datetime]) -> "Provider":
    from onejob.access.provider import Provider  # noqa: PLC0415 - slow to load, and few need it

    return Provider(settings, users, sessions, clock)
