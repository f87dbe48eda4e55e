"""Some items of a booking can be cancelled, and only one accepted quote is carried out for each version of a booking."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("cancellation_quotes", sa.Column("item_nos", postgresql.ARRAY(sa.Integer()), nullable=True))
    op.create_table(
        "cancellation_claims",
        sa.Column("booking_id", sa.Text(), nullable=False),
        sa.Column("booking_version", sa.Integer(), nullable=False),
        sa.Column("workflow_id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.ForeignKeyConstraint(["booking_id"], ["bookings.id"], name=op.f("fk_cancellation_claims_booking_id")),
        sa.PrimaryKeyConstraint("booking_id", "booking_version", name=op.f("pk_cancellation_claims")),
    )


def downgrade() -> None:
    op.drop_table("cancellation_claims")
    op.drop_column("cancellation_quotes", "item_nos")
