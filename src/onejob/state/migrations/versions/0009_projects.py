"""Projects, who belongs to them, and which of them a token opens."""

import sqlalchemy as sa
from alembic import op

from onejob.state.tables import Moment

revision = "0009_projects"
down_revision = "0008_complaints"


def upgrade() -> None:
    """Add their tables; tokens that there are open what there was."""
    op.create_table(
        "projects",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("traces_retention_days", sa.Integer()),
        sa.Column("rollup_retention_days", sa.Integer()),
        sa.Column("logs_retention_days", sa.Integer()),
        sa.Column("metrics_retention_days", sa.Integer()),
        sa.Column("customer_retention_days", sa.Integer()),
        sa.Column("spool_max_bytes", sa.BigInteger()),
        sa.Column("removed_at", Moment()),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_projects")),
    )
    op.create_table(
        "memberships",
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("project", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_memberships_user_id")),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name=op.f("fk_memberships_project")),
        sa.PrimaryKeyConstraint("user_id", "project", name=op.f("pk_memberships")),
    )
    op.create_index("ix_memberships_project", "memberships", ["project"])
    op.add_column("tokens", sa.Column("project", sa.Text(), nullable=False, server_default="default"))
    op.create_index("ix_tokens_project", "tokens", ["project"])
