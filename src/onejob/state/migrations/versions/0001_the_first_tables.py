"""The first tables."""

import sqlalchemy as sa
from alembic import op

from onejob.state.tables import Moment

revision = "0001"
down_revision = None


def upgrade() -> None:
    _deployments()
    _versions()
    _evidence()
    _router_counts()
    _verdicts()
    _verdict_changes()
    _explanations()
    _rollouts()
    _leases()


def _deployments() -> None:
    op.create_table(
        "deployments",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("previous_version", sa.Text(), nullable=True),
        sa.Column("strategy", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("started_at", Moment(), nullable=False),
        sa.Column("finished_at", Moment(), nullable=True),
        sa.Column("first_seen_at", Moment(), nullable=True),
        sa.Column("traffic_share", sa.Float(), nullable=True),
        sa.Column("commit", sa.Text(), nullable=True),
        sa.Column("repository", sa.Text(), nullable=True),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("rollback_of", sa.Text(), nullable=True),
        sa.Column("notes", sa.Text(), server_default="[]", nullable=False),
        sa.Column("judging_closed_at", Moment(), nullable=True),
        sa.Column("verdict_state", sa.Text(), server_default="undecided", nullable=False),
        sa.Column("rollout_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deployments")),
    )
    _indexes_of_deployments()


def _indexes_of_deployments() -> None:
    op.create_index("ix_deployments_actor", "deployments", ["actor", "started_at", "id"], unique=False)
    op.create_index(
        "ix_deployments_being_judged",
        "deployments",
        ["started_at", "id"],
        unique=False,
        sqlite_where=sa.text("judging_closed_at IS NULL"),
        postgresql_where=sa.text("judging_closed_at IS NULL"),
    )
    op.create_index("ix_deployments_environment", "deployments", ["environment", "started_at", "id"], unique=False)
    op.create_index("ix_deployments_service", "deployments", ["service", "started_at", "id"], unique=False)
    op.create_index("ix_deployments_started", "deployments", ["started_at", "id"], unique=False)
    op.create_index("ix_deployments_verdict", "deployments", ["verdict_state", "started_at", "id"], unique=False)
    op.create_index(
        "ix_deployments_version", "deployments", ["service", "environment", "version", "started_at"], unique=False
    )
    op.create_index(
        "uq_deployments_in_progress",
        "deployments",
        ["service", "environment", "version"],
        unique=True,
        sqlite_where=sa.text("status = 'in_progress'"),
        postgresql_where=sa.text("status = 'in_progress'"),
    )


def _versions() -> None:
    op.create_table(
        "versions",
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("builds", sa.Text(), server_default="[]", nullable=False),
        sa.Column("first_seen_at", Moment(), nullable=False),
        sa.Column("last_seen_at", Moment(), nullable=False),
        sa.Column("rate_per_s", sa.Float(), server_default="0", nullable=False),
        sa.PrimaryKeyConstraint("service", "environment", "version", name=op.f("pk_versions")),
    )


def _evidence() -> None:
    op.create_table(
        "evidence",
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("judged_at", Moment(), nullable=False),
        sa.Column("bins_from", sa.BigInteger(), nullable=False),
        sa.Column("bins_to", sa.BigInteger(), nullable=False),
        sa.Column("bin_width_s", sa.Integer(), nullable=False),
        sa.Column("finished", sa.Boolean(), nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name=op.f("fk_evidence_deployment_id")),
        sa.PrimaryKeyConstraint("deployment_id", "seq", name=op.f("pk_evidence")),
    )


def _router_counts() -> None:
    op.create_table(
        "router_counts",
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("sampled_at", Moment(), nullable=False),
        sa.Column("arm", sa.Text(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("errors_5xx", sa.BigInteger(), nullable=False),
        sa.Column("resets", sa.BigInteger(), nullable=False),
        sa.Column("timeouts", sa.BigInteger(), nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("batch_seq", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name=op.f("fk_router_counts_deployment_id")),
        sa.PrimaryKeyConstraint("deployment_id", "sampled_at", "arm", name=op.f("pk_router_counts")),
    )


def _verdicts() -> None:
    op.create_table(
        "verdicts",
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("judged_at", Moment(), nullable=False),
        sa.Column("summary", sa.LargeBinary(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name=op.f("fk_verdicts_deployment_id")),
        sa.PrimaryKeyConstraint("deployment_id", name=op.f("pk_verdicts")),
    )


def _verdict_changes() -> None:
    op.create_table(
        "verdict_changes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("judged_at", Moment(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name=op.f("fk_verdict_changes_deployment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verdict_changes")),
    )
    op.create_index("ix_verdict_changes_deployment", "verdict_changes", ["deployment_id", "id"], unique=False)


def _explanations() -> None:
    op.create_table(
        "explanations",
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("made_at", Moment(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name=op.f("fk_explanations_deployment_id")),
        sa.PrimaryKeyConstraint("deployment_id", name=op.f("pk_explanations")),
    )


def _rollouts() -> None:
    op.create_table(
        "rollouts",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("transitions", sa.Integer(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["deployment_id"], ["deployments.id"], name=op.f("fk_rollouts_deployment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rollouts")),
    )
    op.create_index("ix_rollouts_deployment", "rollouts", ["deployment_id", "id"], unique=False)
    op.create_index("ix_rollouts_state", "rollouts", ["state"], unique=False)


def _leases() -> None:
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
