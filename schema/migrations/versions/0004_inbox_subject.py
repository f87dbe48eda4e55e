"""What a supplier's webhook is about is kept, so that it can be followed after a restart."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("inbox", sa.Column("subject", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("inbox", "subject")
