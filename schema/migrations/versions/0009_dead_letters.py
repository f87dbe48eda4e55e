"""Messages that could not be taken are kept for operators, whose dealings with them go into the desk's record."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "dead_letters",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("vendor", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("type", sa.Text(), nullable=True),
        sa.Column("booking_id", sa.Text(), nullable=True),
        sa.Column("payment_id", sa.Text(), nullable=True),
        sa.Column("subject", sa.Text(), nullable=True),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("first_failed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_failed_at", sa.DateTime(timezone=True), server_default=sa.func.now(), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_as", sa.Text(), nullable=True),
        sa.CheckConstraint("settled_as IN ('resolved', 'dropped')", name=op.f("ck_dead_letters_settled_as")),
        sa.CheckConstraint("(settled_at IS NULL) = (settled_as IS NULL)", name=op.f("ck_dead_letters_settled_somehow")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letters")),
        sa.UniqueConstraint("kind", "vendor", "event_id", name=op.f("uq_dead_letters_kind")),
    )
    op.create_index("ix_dead_letters_first_failed_at", "dead_letters", ["first_failed_at", "id"])
    op.create_index(
        "ix_dead_letters_waiting",
        "dead_letters",
        ["first_failed_at", "id"],
        postgresql_where=sa.text("settled_at IS NULL"),
    )
    op.add_column("inbox", sa.Column("failures", sa.Integer(), server_default="0", nullable=False))
    op.add_column("inbox", sa.Column("first_failed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("desk_actions", sa.Column("dead_letter_id", sa.Text(), nullable=True))
    op.create_foreign_key(
        op.f("fk_desk_actions_dead_letter_id"), "desk_actions", "dead_letters", ["dead_letter_id"], ["id"]
    )
    op.alter_column("desk_actions", "case_id", nullable=True)
    op.create_check_constraint(
        op.f("ck_desk_actions_about_one"), "desk_actions", "num_nonnulls(case_id, dead_letter_id) = 1"
    )
    op.create_index("ix_desk_actions_dead_letter_id", "desk_actions", ["dead_letter_id"])


def downgrade() -> None:
    op.drop_index("ix_desk_actions_dead_letter_id", table_name="desk_actions")
    op.drop_constraint(op.f("ck_desk_actions_about_one"), "desk_actions")
    # What was done about dead letters goes with them; the trigger that keeps the record as it is would refuse that.
    op.execute("ALTER TABLE desk_actions DISABLE TRIGGER desk_is_append_only")
    op.execute("DELETE FROM desk_actions WHERE case_id IS NULL")
    op.execute("ALTER TABLE desk_actions ENABLE TRIGGER desk_is_append_only")
    op.alter_column("desk_actions", "case_id", nullable=False)
    op.drop_column("desk_actions", "dead_letter_id")
    op.drop_column("inbox", "first_failed_at")
    op.drop_column("inbox", "failures")
    op.drop_table("dead_letters")
