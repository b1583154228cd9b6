"""Versions that came back and wait to be told from rollbacks, so that a restart does not forget them."""

import sqlalchemy as sa
from alembic import op

revision = "0002_waiting_returns"
down_revision = "0001"


def upgrade() -> None:
    """Add their table."""
    op.create_table(
        "waiting_returns",
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("service", "environment", "version", name=op.f("pk_waiting_returns")),
    )
