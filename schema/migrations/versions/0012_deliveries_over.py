"""Deliveries that are over are found by their age, to forget them."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_index(
        "ix_webhook_deliveries_over",
        "webhook_deliveries",
        ["next_attempt_at"],
        postgresql_where=sa.text("state <> 'pending'"),
    )


def downgrade() -> None:
    op.drop_index("ix_webhook_deliveries_over", table_name="webhook_deliveries")
