"""Everything about access, put together for a running server."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from onejob.access import passwords
from onejob.access.accounts import Accounts
from onejob.access.ingest_gate import IngestGate
from onejob.access.limits import OF_PROVIDER, Tries
from onejob.access.token_book import TokenBook
from onejob.config import Settings
from onejob.model.access import LOCAL, Principal
from onejob.state.database import Database
from onejob.state.sessions import Sessions
from onejob.state.tokens import Tokens
from onejob.state.users import Users

if TYPE_CHECKING:
    from onejob.access.provider import Provider


class Access:
    """`is_required`: whether somebody who says nothing is nobody, or the local user."""

    def __init__(self, settings: Settings, database: Database, clock: Callable[[], datetime]) -> None:
        users = Users(database)
        sessions = Sessions(database, timedelta(hours=settings.session_idle_hours))
        tokens = Tokens(database)
        self.is_required = settings.requires_login
        self.is_off = settings.login == "off"
        self.public_url = settings.public_url
        self.accounts = Accounts(users, sessions, timedelta(hours=settings.session_max_hours), clock)
        self.book = TokenBook(tokens, clock)
        self.ingest = IngestGate(tokens, clock)
        self.provider_tries = Tries(most=OF_PROVIDER)
        self.provider = _provider(settings, users, sessions, clock) if settings.oidc_issuer else None
        if self.is_required:
            passwords.prepare()

    def who(self, cookie: str | None, bearer: str | None, *, is_use: bool = True) -> Principal | None:
        """Whom a request comes from. A token that is none is nobody, whatever else comes with it.

        What is no use of a session, such as a page that waits for news, does not keep it from ending.
        """
        if bearer is not None:
            return self.book.principal(bearer)
        if not self.is_required:
            return LOCAL
        return self.accounts.principal(cookie, is_use=is_use) if cookie else None


def _provider(settings: Settings, users: Users, sessions: Sessions, clock: Callable[[], datetime]) -> "Provider":
    from onejob.access.provider import Provider  # noqa: PLC0415 - slow to load, and few need it

    return Provider(settings, users, sessions, clock)
