"""What the API is sent and answers about users, projects, tokens and the audit log."""

from typing import Annotated, Any

from pydantic import BaseModel, Field, StrictBool, StrictInt, StrictStr

from onejob.model.access import Role, TokenKind
from onejob.model.project import LIMITS, PROJECT_NAME
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
    project: StrictStr | None = Field(
        None, max_length=32, description="The project that it opens, of which you are; this one unless said."
    )


_Days = Annotated[StrictInt | None, Field(ge=1, le=3650)]


class LimitsBody(Body):
    """What is a project's own; null is what the server's setting of the same name says."""

    traces_retention_days: _Days = Field(None, description="How long spans are kept.")
    rollup_retention_days: _Days = Field(None, description="How long the counts that verdicts are made of are kept.")
    logs_retention_days: _Days = Field(None, description="How long log records are kept.")
    metrics_retention_days: _Days = Field(None, description="How long data points of metrics are kept.")
    customer_retention_days: _Days = Field(None, description="How long counts per customer, and complaints, are kept.")
    spool_max_bytes: Annotated[StrictInt | None, Field(gt=0, le=2**60)] = Field(
        None, description="Size of what waits to be stored at which its telemetry is told to come again later."
    )

    def said(self) -> dict[str, Any]:
        """Those that were sent."""
        return {name: getattr(self, name) for name in LIMITS if name in self.model_fields_set}


class ProjectBody(LimitsBody):
    """A new project."""

    name: StrictStr = Field(
        pattern=f"^{PROJECT_NAME.pattern}$", description="Its address is `/p/NAME`.", examples=["shop"]
    )


class MemberBody(Body):
    """What somebody may do in a project."""

    role: Role = Field(description="viewer, developer, operator or admin, who is one of this project only.")


class ProjectDocument(BaseModel):
    """A project; `trouble` is why it does not run at this server, or is not gone yet."""

    name: str
    created_at: str
    removed_at: str | None
    running: bool
    trouble: str
    limits: dict[str, int | None]
    members: dict[str, Role]


class ProjectsDocument(BaseModel):
    """All but `default`."""

    items: list[ProjectDocument]


class UserDocument(BaseModel):
    """A user."""

    name: str
    role: Role
    has_password: bool
    has_second_factor: bool
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
    project: str
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
