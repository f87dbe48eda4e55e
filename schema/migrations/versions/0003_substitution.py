"""An equal offer of another supplier may take the place of one that was refused."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("bookings", sa.Column("substitution", sa.Text(), server_default="never", nullable=False))
    op.add_column("booking_items", sa.Column("generation", sa.Integer(), server_default="0", nullable=False))
    op.add_column("booking_items", sa.Column("item_key", sa.Text(), nullable=True))
    op.add_column("booking_items", sa.Column("offer_version", postgresql.JSONB(), nullable=True))
    op.add_column("booking_items", sa.Column("search_request", postgresql.JSONB(), nullable=True))
    op.add_column(
        "booking_items",
        sa.Column("replaces", postgresql.JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
    )
    op.create_table(
        "superseded_items",
        sa.Column("booking_id", sa.Text(), nullable=False),
        sa.Column("item_no", sa.Integer(), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("item", postgresql.JSONB(), nullable=False),
        sa.Column("superseded_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.ForeignKeyConstraint(["booking_id"], ["bookings.id"], name=op.f("fk_superseded_items_booking_id")),
        sa.PrimaryKeyConstraint("booking_id", "item_no", "generation", name=op.f("pk_superseded_items")),
    )


def downgrade() -> None:
    op.drop_table("superseded_items")
    for column in ("replaces", "search_request", "offer_version", "item_key", "generation"):
        op.drop_column("booking_items", column)
    op.drop_column("bookings", "substitution")
