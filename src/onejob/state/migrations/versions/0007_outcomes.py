"""KPIs and tolerances that were named on the page."""

import sqlalchemy as sa
from alembic import op

from onejob.state.tables import Moment

revision = "0007_outcomes"
down_revision = "0006_access"


def upgrade() -> None:
    """Add their tables."""
    for table in ("kpis", "tolerances"):
        op.create_table(
            table,
            sa.Column("id", sa.Text(), nullable=False),
            sa.Column("document", sa.LargeBinary(), nullable=False),
            sa.Column("changed_at", Moment(), nullable=False),
            sa.Column("changed_by", sa.Text(), nullable=False),
            sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        )
