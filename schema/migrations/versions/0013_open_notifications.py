"""Notifications that are not over are few, and looked through every few minutes."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_index(
        "ix_notifications_open", "notifications", ["id"], postgresql_where=sa.text("state IN ('planned', 'sending')")
    )


def downgrade() -> None:
    op.drop_index("ix_notifications_open", table_name="notifications")
