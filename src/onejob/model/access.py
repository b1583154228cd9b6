"""Who uses onejob: users, their sessions, the tokens of programs, and what each may do."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from onejob.model.project import DEFAULT_PROJECT


class Role(StrEnum):
    """Each may do what those before it may, and more."""

    VIEWER = "viewer"
    DEVELOPER = "developer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def covers(self, other: "Role") -> bool:
        """Whether this role may do whatever `other` may."""
        order = list(Role)
        return order.index(self) >= order.index(other)


class TokenKind(StrEnum):
    """`api` asks and changes as a user does; `ingest` can send telemetry, and nothing else."""

    API = "api"
    INGEST = "ingest"


class Via(StrEnum):
    """How somebody proved who they are: not at all, from loopback; by a session's cookie; by a token."""

    LOOPBACK = "loopback"
    SESSION = "session"
    TOKEN = "token"  # noqa: S105 - a word


class Proof(StrEnum):
    """What a session began with: a password alone, a password and a code, or a provider's word."""

    PASSWORD = "password"  # noqa: S105 - a word
    CODE = "code"
    PROVIDER = "provider"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A person. Without a `password_hash` they cannot log in by password; `subject` is who they are at the provider."""

    id: str
    name: str
    role: Role
    created_at: datetime
    password_hash: str | None = None
    subject: str | None = None
    disabled_at: datetime | None = None
    last_login_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A browser that is logged in. `hash` is of the cookie; nobody but the browser has the cookie itself."""

    hash: str
    user_id: str
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    source: str
    proof: Proof = Proof.PASSWORD


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """What a program proves itself with. `hash` is of the token; nobody but its holder has the token itself.

    It opens one project, and nothing elsewhere. A token with an owner may never do more there than its owner. `service`
    narrows an API token to one service; `origins` are the sites whose pages may use an ingest token.
    """

    id: str
    hash: str
    name: str
    kind: TokenKind
    made_by: str
    created_at: datetime
    expires_at: datetime
    role: Role | None = None
    service: str | None = None
    origins: tuple[str, ...] = ()
    owner_id: str | None = None
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None
    project: str = DEFAULT_PROJECT


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who a request comes from. `service`, if there is one, is all it may see and touch. `until`: a token's end.

    Who `must_enrol` has to set up a second factor before anything else.
    """

    name: str
    role: Role
    via: Via
    user_id: str | None = None
    session_hash: str | None = None
    token_id: str | None = None
    service: str | None = None
    until: datetime | None = None
    must_enrol: bool = False


LOCAL = Principal(name="local user", role=Role.ADMIN, via=Via.LOOPBACK)
