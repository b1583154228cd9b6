"""What the API is sent and answers about users, tokens and the audit log."""

from pydantic import BaseModel, Field, StrictBool, StrictInt, StrictStr

from onejob.model.access import Role, TokenKind
from onejob.web.api.requests import Body


class UserBody(Body):
    """A new user."""

    name: StrictStr = Field(max_length=100, examples=["ada"])
    role: Role = Field(
        Role.VIEWER, description="viewer, developer, operator or admin: each may do what those before may."
    )


class ChangeUserBody(Body):
    """What becomes different. What is left out stays."""

    role: Role | None = None
    disabled: StrictBool | None = None


class TokenBody(Body):
    """A new token."""

    name: StrictStr = Field(max_length=100, description="Where it is used.", examples=["CI of checkout"])
    kind: TokenKind = Field(TokenKind.API, description="`ingest` can send telemetry, and nothing else.")
    role: Role | None = Field(None, description="What an API token may do; yours at most.")
    service: StrictStr | None = Field(None, max_length=200, description="The only service an API token is for.")
    origins: list[StrictStr] = Field([], max_length=100, description="Sites whose pages may use an ingest token.")
    days: StrictInt = Field(90, ge=1, le=366, description="How long it lasts.")


class UserDocument(BaseModel):
    """A user."""

    name: str
    role: Role
    has_password: bool
    has_provider: bool
    created_at: str
    disabled_at: str | None
    last_login_at: str | None


class UsersDocument(BaseModel):
    """All users."""

    items: list[UserDocument]


class LinkDocument(BaseModel):
    """A one-time code, and where it is used."""

    user: UserDocument
    code: str
    path: str
    expires_at: str


class TokenDocument(BaseModel):
    """A token, without its text."""

    id: str
    name: str
    kind: TokenKind
    role: Role | None
    service: str | None
    origins: list[str]
    made_by: str
    created_at: str
    expires_at: str
    last_used_at: str | None
    revoked_at: str | None


class MadeTokenDocument(TokenDocument):
    """... and this once with it."""

    token: str


class TokensDocument(BaseModel):
    """Several."""

    items: list[TokenDocument]


class AuditEntryDocument(BaseModel):
    """An entry, and the hash of the one before it."""

    seq: int
    at: str
    actor: str
    action: str
    object: str
    source: str
    detail: str
    previous: str
    hash: str


class AuditDocument(BaseModel):
    """Some entries."""

    items: list[AuditEntryDocument]
