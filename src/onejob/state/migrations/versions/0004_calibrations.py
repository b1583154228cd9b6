"""What the past of each service says of its noise."""

import sqlalchemy as sa
from alembic import op

from onejob.state.tables import Moment

revision = "0004_calibrations"
down_revision = "0003_backtests"


def upgrade() -> None:
    """Add their table."""
    op.create_table(
        "calibrations",
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("measured_at", Moment(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("service", "environment", name=op.f("pk_calibrations")),
    )
