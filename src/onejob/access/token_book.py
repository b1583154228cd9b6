"""API and ingest tokens: made, shown once, recognised, revoked."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from onejob.access.errors import BadRequestError, ForbiddenError, NotHereError
from onejob.access.secrets import hash_of, new_token, token_kind
from onejob.model.access import Principal, Role, Token, TokenKind, Via
from onejob.model.project import DEFAULT_PROJECT
from onejob.state.ids import new_id
from onejob.state.tokens import OwnedToken, Tokens

LONGEST = timedelta(days=366)
_USED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The token that somebody asks for."""

    name: str
    kind: TokenKind
    lasts: timedelta
    role: Role | None = None
    service: str | None = None
    origins: tuple[str, ...] = ()
    project: str = DEFAULT_PROJECT


class TokenBook:
    """Thread-safe. Of one project's tokens."""

    def __init__(self, tokens: Tokens, clock: Callable[[], datetime], project: str = DEFAULT_PROJECT) -> None:
        self.tokens = tokens
        self.project = project
        self._clock = clock
        self._lock = threading.Lock()
        self._used_at: dict[str, datetime] = {}

    def of_project(self, name: str) -> "TokenBook":
        """Of another project's."""
        return TokenBook(self.tokens, self._clock, name)

    def make(self, wanted: Wanted, by: Principal) -> tuple[Token, str]:
        """The token as it is kept, and its text, which nobody can tell again. `by` has the role that they have in the
        token's project. BadRequestError, ForbiddenError.
        """
        _check(wanted, by)
        text, now = new_token(wanted.kind), self._clock()
        token = Token(
            id=new_id("tok", now),
            hash=hash_of(text),
            name=wanted.name,
            kind=wanted.kind,
            made_by=by.name,
            created_at=now,
            expires_at=_end(wanted, by, now),
            role=wanted.role,
            service=wanted.service,
            origins=wanted.origins,
            project=wanted.project,
            # Ingest tokens are a team's: telemetry must not stop when somebody leaves it.
            owner_id=by.user_id if wanted.kind is TokenKind.API else None,
        )
        self.tokens.add(token)
        return token, text

    def revoke(self, token_id: str, by: Principal) -> Token:
        """One's own, or as an admin anybody's. NotFoundError, ForbiddenError."""
        token = self.tokens.get(token_id)
        is_own = by.user_id is not None and token.owner_id == by.user_id
        is_shared = token.kind is TokenKind.INGEST and token.project == self.project and by.role.covers(Role.OPERATOR)
        if not (is_own or is_shared or by.role is Role.ADMIN):
            raise ForbiddenError("This token is somebody else's: an admin can revoke it.")
        self.tokens.revoke(token_id, self._clock())
        return token

    def principal(self, text: str) -> Principal | None:
        """Who presents this token, while it is one. NotHereError for one of another project."""
        if token_kind(text) is not TokenKind.API:
            return None
        now = self._clock()
        found = self.tokens.find(hash_of(text), TokenKind.API, now)
        if found is None or found.token.role is None:
            return None
        if found.token.project != self.project:
            raise NotHereError(_elsewhere(found.token.project))
        if found.owner is not None and found.owner_role is None:
            raise NotHereError  # the owner was a member once
        self._note_use(found.token, now)
        return _principal(found, found.token.role)

    def _note_use(self, token: Token, now: datetime) -> None:
        with self._lock:
            is_known = now - self._used_at.get(token.id, token.created_at - _USED_EVERY) < _USED_EVERY
            if not is_known:
                self._used_at[token.id] = now
        if not is_known:
            self.tokens.used([token.id], now)


def _principal(found: OwnedToken, role: Role) -> Principal:
    token, owner_role = found.token, found.owner_role
    allowed = role if owner_role is None or owner_role.covers(role) else owner_role
    name = f"token {token.name} of {found.owner}" if found.owner else f"token {token.name}"
    return Principal(
        name=name,
        role=allowed,
        via=Via.TOKEN,
        user_id=token.owner_id,
        token_id=token.id,
        service=token.service,
        until=token.expires_at,
    )


def _elsewhere(project: str) -> str:
    where = "which has no /p/NAME in its address" if project == DEFAULT_PROJECT else f"whose address is /p/{project}"
    return f"There is nothing here for this token: it is one of the project {project}, {where}."


def _end(wanted: Wanted, by: Principal, now: datetime) -> datetime:
    """A token that an API token makes ends with it: or one that leaked could make itself last."""
    end = now + wanted.lasts
    return end if by.until is None or wanted.kind is TokenKind.INGEST else min(end, by.until)


def _check(wanted: Wanted, by: Principal) -> None:
    if not wanted.name or len(wanted.name) > 100 or not wanted.name.isprintable():
        raise BadRequestError("Give the token a name of up to 100 characters, that says where it is used.")
    if not timedelta(0) < wanted.lasts <= LONGEST:
        raise BadRequestError(f"A token lasts {LONGEST.days} days at most, and more than none.")
    if wanted.kind is TokenKind.INGEST:
        if wanted.role or wanted.service:
            raise BadRequestError("An ingest token can send telemetry and nothing else: it has no role and no service.")
        for origin in wanted.origins:
            _check_origin(origin)
        return
    if wanted.origins:
        raise BadRequestError("Only ingest tokens have origins: no page should hold an API token.")
    if wanted.role is None:
        raise BadRequestError(f"Say what the token may do: {', '.join(Role)}.")
    if not by.role.covers(wanted.role):
        raise ForbiddenError(f"You are {by.role}: a token of yours cannot be {wanted.role}.")
    if by.service is not None and wanted.service != by.service:
        raise ForbiddenError(f"This token is for {by.service} only, and so are tokens made with it.")


def _check_origin(origin: str) -> None:
    try:
        parts = urlsplit(origin)
        is_one = parts.scheme in ("http", "https") and origin == f"{parts.scheme}://{parts.netloc}" and parts.hostname
    except ValueError:
        is_one = None
    if not is_one or origin != origin.lower():
        raise BadRequestError(f"{origin!r} is no origin: it looks like https://shop.example, without a path.")
