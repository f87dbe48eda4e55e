"""Runs of the reconciliation, how far they have read, and what they found. A case may be about a booking that is not in our books."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0010"
down_revision = "0009"

_SETTLED = "state IN ('FAILED', 'CANCELLED', 'CONFIRMED', 'PARTIALLY_CONFIRMED')"


def upgrade() -> None:
    op.drop_constraint("fk_review_cases_booking_id", "review_cases", type_="foreignkey")
    op.create_index("ix_bookings_settled", "bookings", ["updated_at", "id"], postgresql_where=sa.text(_SETTLED))
    op.create_table(
        "reconciliation_runs",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("started_by", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("streams", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliation_runs")),
    )
    op.create_index("ix_reconciliation_runs_started_at", "reconciliation_runs", ["started_at"])
    op.create_table(
        "reconciliation_watermarks",
        sa.Column("stream", sa.Text(), nullable=False),
        sa.Column("read_until", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("stream", name=op.f("pk_reconciliation_watermarks")),
    )
    op.create_table(
        "reconciliation_findings",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("vendor", sa.Text(), nullable=False),
        sa.Column("object_id", sa.Text(), nullable=False),
        sa.Column("booking_id", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("outcome", sa.Text(), nullable=True),
        sa.Column("found_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["reconciliation_runs.id"], name=op.f("fk_reconciliation_findings_run_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_reconciliation_findings")),
    )
    op.create_index("ix_reconciliation_findings_run_id", "reconciliation_findings", ["run_id"])
    op.create_index("ix_reconciliation_findings_booking_id", "reconciliation_findings", ["booking_id"])
    op.create_index(
        "ix_reconciliation_findings_once",
        "reconciliation_findings",
        ["booking_id", "kind", "vendor", "object_id"],
        unique=True,
        postgresql_where=sa.text("outcome IS NULL OR outcome NOT IN ('repaired', 'unfounded')"),
    )
    op.create_index(
        "ix_reconciliation_findings_open",
        "reconciliation_findings",
        ["booking_id"],
        postgresql_where=sa.text("outcome IS NULL OR outcome IN ('waiting', 'case')"),
    )


def downgrade() -> None:
    for table in ("reconciliation_findings", "reconciliation_watermarks", "reconciliation_runs"):
        op.drop_table(table)
    op.drop_index("ix_bookings_settled", table_name="bookings")
    # NOT VALID: cases of bookings that are not in our books stay.
    op.execute(
        "ALTER TABLE review_cases ADD CONSTRAINT fk_review_cases_booking_id"
        " FOREIGN KEY (booking_id) REFERENCES bookings (id) NOT VALID"
    )
