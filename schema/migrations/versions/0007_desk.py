"""What operators do about review cases, line by line; the database refuses to change a line."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

APPEND_ONLY = """
CREATE FUNCTION desk_is_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'desk_actions is append-only: % is refused', TG_OP USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER desk_is_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON desk_actions
  FOR EACH STATEMENT EXECUTE FUNCTION desk_is_append_only();
"""
NOT_APPEND_ONLY = """
DROP TRIGGER desk_is_append_only ON desk_actions;
DROP FUNCTION desk_is_append_only();
"""


def upgrade() -> None:
    op.create_table(
        "desk_actions",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("case_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("operator", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("provider_reference", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("proposed_by", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("kind IN ('proposed', 'decided', 'refused', 'closed')", name=op.f("ck_desk_actions_kind")),
        sa.ForeignKeyConstraint(["case_id"], ["review_cases.id"], name=op.f("fk_desk_actions_case_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_desk_actions")),
        sa.UniqueConstraint("key", name=op.f("uq_desk_actions_key")),
    )
    op.create_index("ix_desk_actions_case_id", "desk_actions", ["case_id"], unique=False)
    op.execute(APPEND_ONLY)


def downgrade() -> None:
    op.execute(NOT_APPEND_ONLY)
    op.drop_index("ix_desk_actions_case_id", table_name="desk_actions")
    op.drop_table("desk_actions")
