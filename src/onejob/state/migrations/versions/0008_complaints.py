"""Complaints of customers, and the deployments that they follow."""

import sqlalchemy as sa
from alembic import op

from onejob.state.tables import Moment

revision = "0008_complaints"
down_revision = "0007_outcomes"


def upgrade() -> None:
    """Add their tables."""
    op.create_table(
        "complaints",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("customer", sa.Text(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("url", sa.Text()),
        sa.Column("service", sa.Text()),
        sa.Column("is_closed", sa.Boolean(), nullable=False),
        sa.Column("told_at", Moment(), nullable=False),
        sa.Column("received_at", Moment(), nullable=False),
        sa.Column("withdrawn_at", Moment()),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_complaints")),
    )
    op.create_index("ix_complaints_at", "complaints", ["at", "id"])
    op.create_index("ix_complaints_customer", "complaints", ["customer", "at", "id"])
    op.create_index("ix_complaints_received", "complaints", ["received_at"])
    op.create_table(
        "complaint_deployments",
        sa.Column("complaint_id", sa.Text(), nullable=False),
        sa.Column("deployment_id", sa.Text(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["complaint_id"], ["complaints.id"], name=op.f("fk_complaint_deployments_complaint_id")
        ),
        sa.ForeignKeyConstraint(
            ["deployment_id"], ["deployments.id"], name=op.f("fk_complaint_deployments_deployment_id")
        ),
        sa.PrimaryKeyConstraint("complaint_id", "deployment_id", name=op.f("pk_complaint_deployments")),
    )
    op.create_index("ix_complaint_deployments_deployment", "complaint_deployments", ["deployment_id"])
