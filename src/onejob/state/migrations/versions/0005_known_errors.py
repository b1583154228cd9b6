"""The errors and log messages that telemetry has shown, and how far it was read for them."""

import sqlalchemy as sa
from alembic import op

from onejob.state.tables import Moment

revision = "0005_known_errors"
down_revision = "0004_calibrations"


def upgrade() -> None:
    """Add their tables."""
    _errors()
    _versions()
    _changes()
    _readings()


def _errors() -> None:
    op.create_table(
        "known_errors",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("first_seen_at", Moment(), nullable=False),
        sa.Column("last_seen_at", Moment(), nullable=False),
        sa.Column("first_version", sa.Text(), nullable=False),
        sa.Column("last_version", sa.Text(), nullable=False),
        sa.Column("sample", sa.Text(), nullable=False),
        sa.Column("trace_id", sa.Text(), nullable=False),
        sa.Column("span_id", sa.Text(), nullable=False),
        sa.Column("resolved_at", Moment(), nullable=True),
        sa.Column("resolved_by", sa.Text(), nullable=True),
        sa.Column("resolved_in", sa.Text(), nullable=True),
        sa.Column("regressed_at", Moment(), nullable=True),
        sa.Column("regressed_in", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_known_errors")),
    )
    op.create_index("ix_known_errors_last_seen", "known_errors", ["last_seen_at", "id"], unique=False)
    op.create_index("ix_known_errors_first_seen", "known_errors", ["first_seen_at", "id"], unique=False)
    op.create_index(
        "ix_known_errors_place", "known_errors", ["service", "environment", "last_seen_at", "id"], unique=False
    )


def _versions() -> None:
    op.create_table(
        "known_error_versions",
        sa.Column("error_id", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("first_seen_at", Moment(), nullable=False),
        sa.Column("last_seen_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(["error_id"], ["known_errors.id"], name=op.f("fk_known_error_versions_error_id")),
        sa.PrimaryKeyConstraint("error_id", "version", name=op.f("pk_known_error_versions")),
    )


def _changes() -> None:
    op.create_table(
        "known_error_changes",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("error_id", sa.Text(), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=True),
        sa.Column("version", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["error_id"], ["known_errors.id"], name=op.f("fk_known_error_changes_error_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_known_error_changes")),
    )
    op.create_index("ix_known_error_changes_error", "known_error_changes", ["error_id", "id"], unique=False)


def _readings() -> None:
    op.create_table(
        "log_templates",
        sa.Column("service", sa.Text(), nullable=False),
        sa.Column("environment", sa.Text(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("service", "environment", name=op.f("pk_log_templates")),
    )
    op.create_table(
        "reading_positions",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("read_until", Moment(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_reading_positions")),
    )
