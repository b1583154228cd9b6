"""The tables of users, their sessions and links, projects, tokens, and the audit log.

Of cookies, links and tokens only hashes are kept: who reads the database can use none of them.
"""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text

from onejob.state.moments import Moment, metadata

users = Table(
    "users",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("password_hash", Text),
    Column("subject", Text),
    Column("disabled_at", Moment),
    Column("last_login_at", Moment),
)
Index("uq_users_name", users.c.name, unique=True)
Index("uq_users_subject", users.c.subject, unique=True)

sessions = Table(
    "sessions",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("source", Text, nullable=False),
    Column("proof", Text, nullable=False, server_default="password"),
)
Index("ix_sessions_user", sessions.c.user_id)

links = Table(
    "links",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("user_id", Text, ForeignKey("users.id"), nullable=False),
    Column("expires_at", Moment, nullable=False),
)
Index("ix_links_user", links.c.user_id)

provider_logins = Table(
    "provider_logins",
    metadata,
    Column("hash", Text, primary_key=True),
    Column("nonce", Text, nullable=False),
    Column("verifier", Text, nullable=False),
    Column("back", Text, nullable=False),
    Column("expires_at", Moment, nullable=False),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", Text, primary_key=True),
    Column("hash", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("role", Text),
    Column("service", Text),
    Column("origins", Text, nullable=False, server_default="[]"),
    Column("owner_id", Text, ForeignKey("users.id")),
    Column("last_used_at", Moment),
    Column("revoked_at", Moment),
    Column("project", Text, nullable=False, server_default="default"),
)
Index("uq_tokens_hash", tokens.c.hash, unique=True)
Index("ix_tokens_project", tokens.c.project)

projects = Table(
    "projects",
    metadata,
    Column("name", Text, primary_key=True),
    Column("created_at", Moment, nullable=False),
    Column("traces_retention_days", Integer),
    Column("rollup_retention_days", Integer),
    Column("logs_retention_days", Integer),
    Column("metrics_retention_days", Integer),
    Column("customer_retention_days", Integer),
    Column("spool_max_bytes", BigInteger),
    Column("removed_at", Moment),
)

removed_projects = Table(
    "removed_projects",
    metadata,
    Column("name", Text, primary_key=True),
    Column("created_at", Moment, primary_key=True),
)

memberships = Table(
    "memberships",
    metadata,
    Column("user_id", Text, ForeignKey("users.id"), primary_key=True),
    Column("project", Text, ForeignKey("projects.name"), primary_key=True),
    Column("role", Text, nullable=False),
)
Index("ix_memberships_project", memberships.c.project)

audit = Table(
    "audit",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("previous", Text, nullable=False),
    Column("hash", Text, nullable=False),
)
