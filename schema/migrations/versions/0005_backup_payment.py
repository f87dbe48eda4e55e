"""A second payment method, for when the first one's provider is away or declines."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("bookings", sa.Column("backup_payment_provider", sa.Text(), nullable=True))
    op.add_column("booking_travellers", sa.Column("backup_payment_method", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("booking_travellers", "backup_payment_method")
    op.drop_column("bookings", "backup_payment_provider")
