"""The tables, for SQLite and PostgreSQL alike.

Documents (verdicts, explanations) are compressed JSON beside the few columns that lists filter and sort by. Those of
users, projects, tokens and the audit log are in `access_tables`, those of what a login takes beyond a password in
`login_tables`.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    text,
)

from onejob.state.access_tables import (
    audit,
    links,
    memberships,
    projects,
    provider_logins,
    removed_projects,
    sessions,
    tokens,
    users,
)
from onejob.state.login_tables import recovery_codes, second_factors, tries, waiting_logins
from onejob.state.moments import Moment, metadata

__all__ = [
    "Moment",
    "audit",
    "links",
    "memberships",
    "metadata",
    "projects",
    "provider_logins",
    "recovery_codes",
    "removed_projects",
    "second_factors",
    "sessions",
    "tokens",
    "tries",
    "users",
    "waiting_logins",
]


def _deployment_id(**options: Any) -> Column[str]:
    return Column("deployment_id", Text, ForeignKey("deployments.id"), nullable=False, **options)


# `verdict_state` and `rollout_id` repeat what other tables know, written in the same transaction, so that a list of
# 100,000 deployments is filtered and joined by index alone.
deployments = Table(
    "deployments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("service", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("previous_version", Text),
    Column("strategy", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("finished_at", Moment),
    Column("first_seen_at", Moment),
    Column("traffic_share", Float),
    Column("commit", Text),
    Column("repository", Text),
    Column("actor", Text),
    Column("url", Text),
    Column("rollback_of", Text),
    Column("notes", Text, nullable=False, server_default="[]"),
    Column("judging_closed_at", Moment),
    Column("verdict_state", Text, nullable=False, server_default="undecided"),
    Column("rollout_id", Text),
)
_IN_PROGRESS = text("status = 'in_progress'")
_BEING_JUDGED = text("judging_closed_at IS NULL")
Index("ix_deployments_started", deployments.c.started_at, deployments.c.id)
Index("ix_deployments_service", deployments.c.service, deployments.c.started_at, deployments.c.id)
Index("ix_deployments_environment", deployments.c.environment, deployments.c.started_at, deployments.c.id)
Index("ix_deployments_verdict", deployments.c.verdict_state, deployments.c.started_at, deployments.c.id)
Index("ix_deployments_actor", deployments.c.actor, deployments.c.started_at, deployments.c.id)
Index(
    "ix_deployments_version",
    deployments.c.service,
    deployments.c.environment,
    deployments.c.version,
    deployments.c.started_at,
)
Index(
    "ix_deployments_being_judged",
    deployments.c.started_at,
    deployments.c.id,  # in the order `open()` asks for: else SQLite scans all of another index that has it
    sqlite_where=_BEING_JUDGED,
    postgresql_where=_BEING_JUDGED,
)
# Two reports of one start that arrive at the same moment must not make two deployments.
Index(
    "uq_deployments_in_progress",
    deployments.c.service,
    deployments.c.environment,
    deployments.c.version,
    unique=True,
    sqlite_where=_IN_PROGRESS,
    postgresql_where=_IN_PROGRESS,
)

versions = Table(
    "versions",
    metadata,
    Column("service", Text, primary_key=True),
    Column("environment", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("builds", Text, nullable=False, server_default="[]"),
    Column("first_seen_at", Moment, nullable=False),
    Column("last_seen_at", Moment, nullable=False),
    Column("rate_per_s", Float, nullable=False, server_default="0"),
)

evidence = Table(
    "evidence",
    metadata,
    _deployment_id(primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("judged_at", Moment, nullable=False),
    Column("bins_from", BigInteger, nullable=False),
    Column("bins_to", BigInteger, nullable=False),
    Column("bin_width_s", Integer, nullable=False),
    Column("finished", Boolean, nullable=False),
    Column("counts", LargeBinary, nullable=False),
)

router_counts = Table(
    "router_counts",
    metadata,
    _deployment_id(primary_key=True),
    Column("sampled_at", Moment, primary_key=True),
    Column("arm", Text, primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("errors_5xx", BigInteger, nullable=False),
    Column("resets", BigInteger, nullable=False),
    Column("timeouts", BigInteger, nullable=False),
    Column("share", Float, nullable=False),
    Column("batch_seq", Integer),
)

verdicts = Table(
    "verdicts",
    metadata,
    _deployment_id(primary_key=True),
    Column("state", Text, nullable=False),
    Column("judged_at", Moment, nullable=False),
    Column("summary", LargeBinary, nullable=False),
    Column("document", LargeBinary, nullable=False),
)

verdict_changes = Table(
    "verdict_changes",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    _deployment_id(),
    Column("judged_at", Moment, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("sentence", Text, nullable=False),
)
Index("ix_verdict_changes_deployment", verdict_changes.c.deployment_id, verdict_changes.c.id)

explanations = Table(
    "explanations",
    metadata,
    _deployment_id(primary_key=True),
    Column("made_at", Moment, nullable=False),
    Column("document", LargeBinary, nullable=False),
)

rollouts = Table(
    "rollouts",
    metadata,
    Column("id", Text, primary_key=True),
    _deployment_id(),
    Column("state", Text, nullable=False),
    Column("transitions", Integer, nullable=False),
    Column("document", LargeBinary, nullable=False),
)
Index("ix_rollouts_deployment", rollouts.c.deployment_id, rollouts.c.id)
Index("ix_rollouts_state", rollouts.c.state)

calibrations = Table(
    "calibrations",
    metadata,
    Column("service", Text, primary_key=True),
    Column("environment", Text, primary_key=True),
    Column("measured_at", Moment, nullable=False),
    Column("document", LargeBinary, nullable=False),
)

backtests = Table(
    "backtests",
    metadata,
    Column("id", Text, primary_key=True),
    Column("made_at", Moment, nullable=False),
    Column("document", LargeBinary, nullable=False),
)

leases = Table(
    "leases",
    metadata,
    Column("name", Text, primary_key=True),
    Column("holder", Text, nullable=False),
    Column("expires_at", Moment, nullable=False),
)

waiting_returns = Table(
    "waiting_returns",
    metadata,
    Column("service", Text, primary_key=True),
    Column("environment", Text, primary_key=True),
    Column("version", Text, primary_key=True),
    Column("document", LargeBinary, nullable=False),
)

# `resolved_at` and `regressed_at` say which status it has; see KnownError.
known_errors = Table(
    "known_errors",
    metadata,
    Column("id", Text, primary_key=True),
    Column("service", Text, nullable=False),
    Column("environment", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("first_seen_at", Moment, nullable=False),
    Column("last_seen_at", Moment, nullable=False),
    Column("first_version", Text, nullable=False),
    Column("last_version", Text, nullable=False),
    Column("sample", Text, nullable=False),
    Column("trace_id", Text, nullable=False),
    Column("span_id", Text, nullable=False),
    Column("resolved_at", Moment),
    Column("resolved_by", Text),
    Column("resolved_in", Text),
    Column("regressed_at", Moment),
    Column("regressed_in", Text),
)
Index("ix_known_errors_last_seen", known_errors.c.last_seen_at, known_errors.c.id)
Index("ix_known_errors_first_seen", known_errors.c.first_seen_at, known_errors.c.id)
Index(
    "ix_known_errors_place",
    known_errors.c.service,
    known_errors.c.environment,
    known_errors.c.last_seen_at,
    known_errors.c.id,
)


def _error_id(**options: Any) -> Column[str]:
    return Column("error_id", Text, ForeignKey("known_errors.id"), nullable=False, **options)


known_error_versions = Table(
    "known_error_versions",
    metadata,
    _error_id(primary_key=True),
    Column("version", Text, primary_key=True),
    Column("first_seen_at", Moment, nullable=False),
    Column("last_seen_at", Moment, nullable=False),
)

known_error_changes = Table(
    "known_error_changes",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    _error_id(),
    Column("at", Moment, nullable=False),
    Column("what", Text, nullable=False),
    Column("actor", Text),
    Column("version", Text),
)
Index("ix_known_error_changes_error", known_error_changes.c.error_id, known_error_changes.c.id)

log_templates = Table(
    "log_templates",
    metadata,
    Column("service", Text, primary_key=True),
    Column("environment", Text, primary_key=True),
    Column("document", LargeBinary, nullable=False),
)

# How far something has read telemetry: whoever moves it on says from where, so that of two that read, one does.
reading_positions = Table(
    "reading_positions",
    metadata,
    Column("name", Text, primary_key=True),
    Column("read_until", Moment, nullable=False),
)


def _told(name: str) -> Table:
    """What people said that a judge is told; the id of a KPI is its name."""
    return Table(
        name,
        metadata,
        Column("id", Text, primary_key=True),
        Column("document", LargeBinary, nullable=False),
        Column("changed_at", Moment, nullable=False),
        Column("changed_by", Text, nullable=False),
    )


kpis = _told("kpis")
tolerances = _told("tolerances")

# One that was withdrawn keeps its place, without what it said: what is told late of the ticket must not bring it back.
complaints = Table(
    "complaints",
    metadata,
    Column("id", Text, primary_key=True),
    Column("source", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("customer", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("summary", Text, nullable=False),
    Column("url", Text),
    Column("service", Text),
    Column("is_closed", Boolean, nullable=False),
    Column("told_at", Moment, nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("withdrawn_at", Moment),
)
Index("ix_complaints_at", complaints.c.at, complaints.c.id)
Index("ix_complaints_customer", complaints.c.customer, complaints.c.at, complaints.c.id)
Index("ix_complaints_received", complaints.c.received_at)

complaint_deployments = Table(
    "complaint_deployments",
    metadata,
    Column("complaint_id", Text, ForeignKey("complaints.id"), primary_key=True),
    _deployment_id(primary_key=True),
    Column("place", Integer, nullable=False),
)
Index("ix_complaint_deployments_deployment", complaint_deployments.c.deployment_id)
