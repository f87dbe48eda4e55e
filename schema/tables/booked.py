"""Bookings: what was asked for, what became of it, and what was tried at vendors."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from schema.tables.columns import json, metadata, moment, now

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
    Column("backup_payment_provider", Text),
    Column("correlation_id", Text, nullable=False),
    Column("substitution", Text, nullable=False, server_default="never"),
    Column("itinerary_id", Text),
    moment("workflow_started_at"),
    now("created_at"),
    now("updated_at"),
    moment("deleted_at"),
    UniqueConstraint("client_id", "idempotency_key"),
    CheckConstraint("consent_limit_minor >= consent_total_minor", name="limit_covers_total"),
    Index("ix_bookings_client_id_created_at", "client_id", "created_at", "id"),
    Index("ix_bookings_unstarted", "created_at", postgresql_where=text("workflow_started_at IS NULL")),
    Index(
        "ix_bookings_unsettled",
        "created_at",
        postgresql_where=text("state NOT IN ('FAILED', 'CANCELLED', 'CONFIRMED', 'PARTIALLY_CONFIRMED')"),
    ),
    Index(
        "ix_bookings_settled",
        "updated_at",
        "id",
        postgresql_where=text("state IN ('FAILED', 'CANCELLED', 'CONFIRMED', 'PARTIALLY_CONFIRMED')"),
    ),
)

booking_travellers = Table(
    "booking_travellers",
    metadata,
    Column("booking_id", Text, ForeignKey("bookings.id"), primary_key=True),
    json("travellers"),
    Column("payment_method", Text, nullable=False),
    Column("backup_payment_method", Text),
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
    moment("hold_expires_at"),
    json("public"),
    json("supplier_state"),
    Column("version", Integer, nullable=False, server_default="0"),
    Column("generation", Integer, nullable=False, server_default="0"),
    Column("item_key", Text),
    Column("offer_version", JSONB),
    Column("search_request", JSONB),
    json("replaces", default="[]"),
    UniqueConstraint("provider_code", "provider_booking_ref"),
)
"""`search_request`: how the offer was found, to look for an equal one elsewhere. `replaces`: refused offers, for the traveller."""

superseded_items = Table(
    "superseded_items",
    metadata,
    Column("booking_id", Text, ForeignKey("bookings.id"), primary_key=True),
    Column("item_no", Integer, primary_key=True),
    Column("generation", Integer, primary_key=True),
    json("item"),
    now("superseded_at"),
)
"""Items as they were when another supplier's offer took their place: an undo or an audit may still need them."""

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
    moment("tombstoned_at"),
    now("created_at"),
    now("updated_at"),
    CheckConstraint("status IN ('calling', 'ready', 'confirmed', 'rejected', 'unknown')", name="status"),
    Index("ix_attempts_booking_id", "booking_id"),
    Index("ix_attempts_reference", "reference"),
)

events = Table(
    "events",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("client_id", Text, nullable=False),
    Column("booking_id", Text, ForeignKey("bookings.id"), nullable=False),
    Column("stream", Text, nullable=False, server_default="booking"),
    Column("version", Integer, nullable=False),
    Column("type", Text, nullable=False),
    Column("state", Text, nullable=False),
    json("data"),
    now("created_at"),
    moment("published_at"),
    moment("follow_up_at"),
    Column("feed_sequence", BigInteger),
    UniqueConstraint("booking_id", "stream", "version"),
    Index("ix_events_unpublished", "id", postgresql_where=text("published_at IS NULL")),
    Index("ix_events_follow_up_at", "follow_up_at", postgresql_where=text("follow_up_at IS NOT NULL")),
    Index(
        "ix_events_feed", "client_id", "feed_sequence", unique=True, postgresql_where=text("feed_sequence IS NOT NULL")
    ),
)
"""The outbox: one event per recorded state, written in its transaction. `stream`: `booking` for its states, `itinerary` for what
becomes of the trip, `notice:...` for what the live feed shows. `published_at`: when it was in the stream and handed out to the
client's webhook endpoints. `follow_up_at`: when what follows from it is due (again); NULL: nothing, or it is done.
`feed_sequence`: its number in the client's live feed, given when it is published."""

cancellation_quotes = Table(
    "cancellation_quotes",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("booking_id", Text, ForeignKey("bookings.id"), nullable=False),
    Column("booking_version", Integer, nullable=False),
    Column("fee_minor", BigInteger, nullable=False),
    Column("refund_minor", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("item_nos", ARRAY(Integer)),
    moment("expires_at", nullable=False),
    now("created_at"),
)
"""`item_nos` NULL: all that is confirmed."""

cancellation_claims = Table(
    "cancellation_claims",
    metadata,
    Column("booking_id", Text, ForeignKey("bookings.id"), primary_key=True),
    Column("booking_version", Integer, primary_key=True),
    Column("workflow_id", Text, nullable=False),
    now("created_at"),
)
"""Which of several quotes for one version of a booking was accepted: two must never be carried out side by side."""
