"""Offers belong to a supplier's answer, which the searches of many clients may share."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "search_entries",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("supplier", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("cache_key", sa.Text(), nullable=False),
        sa.Column("version_tag", sa.Text(), nullable=False),
        sa.Column("request", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("found_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_search_entries")),
    )
    op.create_index("ix_search_entries_expires_at", "search_entries", ["expires_at"], unique=False)
    op.create_table(
        "searches",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("request", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("entries", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("reports", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("deadline_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("status IN ('running', 'complete')", name=op.f("ck_searches_status")),
        sa.ForeignKeyConstraint(["client_id"], ["api_clients.id"], name=op.f("fk_searches_client_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_searches")),
    )
    op.create_index("ix_searches_created_at", "searches", ["created_at"], unique=False)
    op.create_index("ix_searches_entries", "searches", ["entries"], unique=False, postgresql_using="gin")
    op.alter_column("offers", "client_id", nullable=True)
    op.add_column("offers", sa.Column("entry_id", sa.Text(), nullable=True))
    op.add_column("offers", sa.Column("item_key", sa.Text(), nullable=True))
    op.add_column("offers", sa.Column("version", postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.add_column("offers", sa.Column("stale_at", sa.DateTime(timezone=True), nullable=True))
    op.create_foreign_key(
        op.f("fk_offers_entry_id"), "offers", "search_entries", ["entry_id"], ["id"], ondelete="CASCADE"
    )
    op.create_index("ix_offers_entry_id", "offers", ["entry_id"], unique=False)
    op.create_index("ix_offers_supplier_item_key", "offers", ["supplier", "item_key"], unique=False)


def downgrade() -> None:
    # Offers of entries have no client, which the release before cannot read; bookings keep their own copies.
    op.execute("DELETE FROM offers WHERE client_id IS NULL")
    op.drop_index("ix_offers_supplier_item_key", "offers")
    op.drop_index("ix_offers_entry_id", "offers")
    op.drop_constraint(op.f("fk_offers_entry_id"), "offers", type_="foreignkey")
    for column in ("stale_at", "version", "item_key", "entry_id"):
        op.drop_column("offers", column)
    op.alter_column("offers", "client_id", nullable=False)
    op.drop_table("searches")
    op.drop_table("search_entries")
