"""Payments, refunds, and the ledger that explains them."""

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
)

from schema.tables.columns import metadata, moment, now

payments = Table(
    "payments",
    metadata,
    Column("id", Text, primary_key=True),
    Column("booking_id", Text, ForeignKey("bookings.id"), nullable=False),
    Column("generation", Integer, nullable=False),
    Column("provider", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("provider_reference", Text),
    Column("currency", Text, nullable=False),
    Column("authorised_minor", BigInteger, nullable=False, server_default="0"),
    Column("captured_minor", BigInteger, nullable=False, server_default="0"),
    Column("refunded_minor", BigInteger, nullable=False, server_default="0"),
    moment("expires_at"),
    Column("failure", Text),
    now("created_at"),
    now("updated_at"),
    UniqueConstraint("provider", "provider_reference"),
    Index("ix_payments_booking_id", "booking_id"),
    CheckConstraint("captured_minor <= authorised_minor", name="captured_within_authorised"),
    CheckConstraint("refunded_minor <= captured_minor", name="refunded_within_captured"),
)

refunds = Table(
    "refunds",
    metadata,
    Column("key", Text, primary_key=True),
    Column("payment_id", Text, ForeignKey("payments.id"), nullable=False),
    Column("provider_reference", Text),
    Column("status", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    now("created_at"),
    now("updated_at"),
    Index("ix_refunds_payment_id", "payment_id"),
)

ledger_entries = Table(
    "ledger_entries",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("effect_key", Text, nullable=False),
    Column("account", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("booking_id", Text, nullable=False),
    Column("payment_id", Text, nullable=False),
    now("created_at"),
    UniqueConstraint("effect_key", "account"),
    Index("ix_ledger_entries_booking_id", "booking_id"),
)
"""Append-only and double-entry: a trigger refuses UPDATE and DELETE, and a deferred one refuses effects that do not sum to zero."""
