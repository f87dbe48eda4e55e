"""What arrives from vendors, and what people have to see to."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from schema.tables.columns import json, metadata, moment, now

inbox = Table(
    "inbox",
    metadata,
    Column("vendor", Text, primary_key=True),
    Column("event_id", Text, primary_key=True),
    Column("type", Text, nullable=False),
    Column("booking_id", Text),
    Column("payment_id", Text),
    Column("subject", Text),
    Column("failures", Integer, nullable=False, server_default="0"),
    moment("first_failed_at"),
    now("received_at"),
    moment("handled_at"),
    Index("ix_inbox_unhandled", "received_at", postgresql_where=text("handled_at IS NULL")),
)
"""Webhooks, once each. Their bodies are not kept: they may hold personal data, and the object is fetched again anyway. `subject`:
the supplier's id of that object, where there is something to follow."""

review_cases = Table(
    "review_cases",
    metadata,
    Column("id", Text, primary_key=True),
    Column("booking_id", Text, nullable=False),
    Column("workflow_id", Text, nullable=False),
    Column("reason", Text, nullable=False),
    json("effects"),
    now("opened_at"),
    moment("resolved_at"),
    Column("resolution", JSONB),
    Index("ix_review_cases_open", "opened_at", postgresql_where=text("resolved_at IS NULL")),
)
"""`booking_id` is no foreign key: a vendor may have something of a booking that our books have never had, or have lost."""

desk_actions = Table(
    "desk_actions",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("case_id", Text, ForeignKey("review_cases.id")),
    Column("dead_letter_id", Text, ForeignKey("dead_letters.id")),
    Column("kind", Text, nullable=False),
    Column("key", Text, nullable=False, unique=True),
    Column("operator", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("reference", Text),
    Column("provider_reference", Text),
    Column("note", Text, nullable=False),
    Column("proposed_by", Text),
    now("created_at"),
    moment("expires_at"),
    CheckConstraint("kind IN ('proposed', 'decided', 'refused', 'closed')", name="kind"),
    CheckConstraint("num_nonnulls(case_id, dead_letter_id) = 1", name="about_one"),
    Index("ix_desk_actions_case_id", "case_id"),
    Index("ix_desk_actions_dead_letter_id", "dead_letter_id"),
)
"""What operators did about review cases and dead letters. Append-only: a trigger refuses UPDATE and DELETE."""

dead_letters = Table(
    "dead_letters",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("vendor", Text, nullable=False),
    Column("event_id", Text, nullable=False),
    Column("type", Text),
    Column("booking_id", Text),
    Column("payment_id", Text),
    Column("subject", Text),
    Column("cause", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("failures", Integer, nullable=False),
    moment("first_failed_at", nullable=False),
    now("last_failed_at"),
    moment("settled_at"),
    Column("settled_as", Text),
    UniqueConstraint("kind", "vendor", "event_id"),
    CheckConstraint("settled_as IN ('resolved', 'dropped')", name="settled_as"),
    CheckConstraint("(settled_at IS NULL) = (settled_as IS NULL)", name="settled_somehow"),
    Index("ix_dead_letters_first_failed_at", "first_failed_at", "id"),
    Index("ix_dead_letters_waiting", "first_failed_at", "id", postgresql_where=text("settled_at IS NULL")),
)
"""Messages that could not be taken, until an operator has dealt with them. Of a message only ids and its type are kept: its body may
hold personal data, for which there is no use, since its object is fetched again and its vendor shows the event under its id."""
