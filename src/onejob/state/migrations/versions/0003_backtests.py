"""Reports on the past."""

import sqlalchemy as sa
from alembic import op

from onejob.state.tables import Moment

revision = "0003_backtests"
down_revision = "0002_waiting_returns"


def upgrade() -> None:
    op.create_table(
        "backtests",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("made_at", Moment(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backtests")),
    )
