"""The tables of clients' webhook endpoints and of what is delivered to them; part of `schema/tables.py`."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from schema.tables.columns import json, metadata, moment, now

webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("id", Text, primary_key=True),
    Column("client_id", Text, ForeignKey("api_clients.id"), nullable=False),
    Column("url", Text, nullable=False),
    Column("event_types", ARRAY(Text), nullable=False),
    Column("description", Text),
    Column("secret", Text, nullable=False),
    Column("secret_made_for", ARRAY(Text), nullable=False),
    Column("previous_secret", Text),
    moment("previous_secret_until"),
    moment("failing_since"),
    moment("disabled_at"),
    Column("disabled_reason", Text),
    now("created_at"),
    now("updated_at"),
    CheckConstraint("disabled_reason IN ('gone', 'failing', 'by_client')", name="disabled_reason"),
    CheckConstraint("(disabled_at IS NULL) = (disabled_reason IS NULL)", name="disabled_for_a_reason"),
    Index("ix_webhook_endpoints_client_id", "client_id", "created_at"),
)
"""Where clients want their events sent. `secret_made_for`: Idempotency-Keys of the requests that made the secrets it had, newest
last, so that a repeat makes no other. `failing_since`: of the first failure after the last success."""

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("sequence", BigInteger, Identity(always=True), nullable=False),
    Column("endpoint_id", Text, ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), nullable=False),
    Column("subject", Text, nullable=False),
    Column("type", Text, nullable=False),
    moment("occurred_at", nullable=False),
    json("data"),
    Column("state", Text, nullable=False, server_default="pending"),
    Column("tries", Integer, nullable=False, server_default="0"),
    json("attempts", default="[]"),
    moment("first_tried_at"),
    Column("next_attempt_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    now("created_at"),
    CheckConstraint("state IN ('pending', 'delivered', 'given_up')", name="state"),
    Index("ix_webhook_deliveries_recent", "endpoint_id", "sequence"),
    Index("ix_webhook_deliveries_due", "endpoint_id", "next_attempt_at", postgresql_where=text("state = 'pending'")),
    Index(
        "ix_webhook_deliveries_waiting",
        "endpoint_id",
        "subject",
        "sequence",
        postgresql_where=text("state = 'pending'"),
    ),
    Index("ix_webhook_deliveries_over", "next_attempt_at", postgresql_where=text("state <> 'pending'")),
)
"""What is to be told to one endpoint. Those of one `subject` (a booking) go out one after the other, in the order of `sequence`."""
