"""Which projects there were, for servers that did not run when they were removed."""

import sqlalchemy as sa
from alembic import op

from onejob.state.tables import Moment

revision = "0011_removed_projects"
down_revision = "0010_second_factors"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "removed_projects",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("name", "created_at", name=op.f("pk_removed_projects")),
    )
