"""The tables of PostgreSQL. Money is integer minor units + ISO 4217 code; times are UTC. Changed by migrations only."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _moment(name: str, *, nullable: bool = True) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _now(name: str) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


def _json(name: str, default: str | None = None) -> Column[object]:
    return Column(name, JSONB, nullable=False, server_default=None if default is None else text(f"'{default}'::jsonb"))


api_clients = Table(
    "api_clients",
    metadata,
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False, unique=True),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("scopes", ARRAY(Text), nullable=False),
    _now("created_at"),
    _moment("disabled_at"),
)

offers = Table(
    "offers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("client_id", Text, ForeignKey("api_clients.id"), nullable=False),
    Column("supplier", Text, nullable=False),
    Column("kind", Text, nullable=False),
    _json("public"),
    _json("supplier_state"),
    _moment("expires_at", nullable=False),
    _now("created_at"),
    Index("ix_offers_expires_at", "expires_at"),
)

bookings = Table(
    "bookings",
    metadata,
    Column("id", Text, primary_key=True),
    Column("client_id", Text, ForeignKey("api_clients.id"), nullable=False),
    Column("idempotency_key", Text, nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("state", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("reason", Text),
    Column("waiting_for", Text),
    Column("currency", Text, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("consent_total_minor", BigInteger, nullable=False),
    Column("consent_limit_minor", BigInteger, nullable=False),
    Column("fee_minor", BigInteger, nullable=False, server_default="0"),
    Column("payment_provider", Text, nullable=False),
    Column("correlation_id", Text, nullable=False),
    _moment("workflow_started_at"),
    _now("created_at"),
    _now("updated_at"),
    _moment("deleted_at"),
    UniqueConstraint("client_id", "idempotency_key"),
    CheckConstraint("consent_limit_minor >= consent_total_minor", name="limit_covers_total"),
    Index("ix_bookings_client_id_created_at", "client_id", "created_at", "id"),
    Index("ix_bookings_unstarted", "created_at", postgresql_where=text("workflow_started_at IS NULL")),
    Index(
        "ix_bookings_unsettled",
        "created_at",
        postgresql_where=text("state NOT IN ('FAILED', 'CANCELLED', 'CONFIRMED', 'PARTIALLY_CONFIRMED')"),
    ),
)

booking_travellers = Table(
    "booking_travellers",
    metadata,
    Column("booking_id", Text, ForeignKey("bookings.id"), primary_key=True),
    _json("travellers"),
    Column("payment_method", Text, nullable=False),
)
"""Personal data, apart from the rest so that it can be purged alone."""

booking_items = Table(
    "booking_items",
    metadata,
    Column("booking_id", Text, ForeignKey("bookings.id"), primary_key=True),
    Column("item_no", Integer, primary_key=True),
    Column("offer_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("provider_code", Text, nullable=False),
    Column("client_reference", Text, nullable=False, unique=True),
    Column("provider_booking_ref", Text),
    Column("record_locator", Text),
    Column("state", Text, nullable=False),
    Column("required", Boolean, nullable=False),
    Column("currency", Text, nullable=False),
    Column("offer_price_minor", BigInteger, nullable=False),
    Column("price_minor", BigInteger, nullable=False),
    Column("penalty_minor", BigInteger, nullable=False, server_default="0"),
    _moment("hold_expires_at"),
    _json("public"),
    _json("supplier_state"),
    Column("version", Integer, nullable=False, server_default="0"),
    UniqueConstraint("provider_code", "provider_booking_ref"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("key", Text, primary_key=True),
    Column("booking_id", Text, ForeignKey("bookings.id"), nullable=False),
    Column("step", Text, nullable=False),
    Column("item_no", Integer),
    Column("generation", Integer, nullable=False),
    Column("vendor", Text, nullable=False),
    Column("reference", Text, nullable=False),
    Column("request_hash", LargeBinary, nullable=False),
    Column("status", Text, nullable=False),
    Column("tries", Integer, nullable=False, server_default="1"),
    Column("provider_reference", Text),
    Column("outcome", JSONB),
    _moment("tombstoned_at"),
    _now("created_at"),
    _now("updated_at"),
    CheckConstraint("status IN ('calling', 'ready', 'confirmed', 'rejected', 'unknown')", name="status"),
    Index("ix_attempts_booking_id", "booking_id"),
    Index("ix_attempts_reference", "reference"),
)

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
    _moment("expires_at"),
    Column("failure", Text),
    _now("created_at"),
    _now("updated_at"),
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
    _now("created_at"),
    _now("updated_at"),
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
    _now("created_at"),
    UniqueConstraint("effect_key", "account"),
    Index("ix_ledger_entries_booking_id", "booking_id"),
)
"""Append-only and double-entry: a trigger refuses UPDATE and DELETE, and a deferred one refuses effects that do not sum to zero."""

events = Table(
    "events",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("client_id", Text, nullable=False),
    Column("booking_id", Text, ForeignKey("bookings.id"), nullable=False),
    Column("version", Integer, nullable=False),
    Column("type", Text, nullable=False),
    Column("state", Text, nullable=False),
    _json("data"),
    _now("created_at"),
    UniqueConstraint("booking_id", "version"),
)
"""The outbox: one event per recorded state, written in its transaction."""

inbox = Table(
    "inbox",
    metadata,
    Column("vendor", Text, primary_key=True),
    Column("event_id", Text, primary_key=True),
    Column("type", Text, nullable=False),
    Column("booking_id", Text),
    Column("payment_id", Text),
    _now("received_at"),
    _moment("handled_at"),
    Index("ix_inbox_unhandled", "received_at", postgresql_where=text("handled_at IS NULL")),
)
"""Webhooks, once each. Their bodies are not kept: they may hold personal data, and the object is fetched again anyway."""

review_cases = Table(
    "review_cases",
    metadata,
    Column("id", Text, primary_key=True),
    Column("booking_id", Text, ForeignKey("bookings.id"), nullable=False),
    Column("workflow_id", Text, nullable=False),
    Column("reason", Text, nullable=False),
    _json("effects"),
    _now("opened_at"),
    _moment("resolved_at"),
    Column("resolution", JSONB),
    Index("ix_review_cases_open", "opened_at", postgresql_where=text("resolved_at IS NULL")),
)

cancellation_quotes = Table(
    "cancellation_quotes",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("booking_id", Text, ForeignKey("bookings.id"), nullable=False),
    Column("booking_version", Integer, nullable=False),
    Column("fee_minor", BigInteger, nullable=False),
    Column("refund_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    _moment("expires_at", nullable=False),
    _now("created_at"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("client_id", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("fingerprint", LargeBinary, nullable=False),
    Column("status", Integer),
    Column("answer", JSONB),
    _now("created_at"),
)
"""Keys of requests other than new bookings, whose key is held by the booking itself."""
