"""How travellers want to be told, and what they were told."""

from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Time,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from schema.tables.columns import json, metadata, moment, now

preferences = Table(
    "preferences",
    metadata,
    Column("client_id", Text, ForeignKey("api_clients.id"), primary_key=True),
    Column("language", Text, nullable=False),
    Column("channels", ARRAY(Text), nullable=False),
    Column("email", Text),
    Column("phone_number", Text),
    Column("quiet_starts", Time),
    Column("quiet_ends", Time),
    Column("quiet_zone", Text),
    Column("version", Integer, nullable=False, server_default="0"),
    now("updated_at"),
)
"""Personal data: purged with the client's travellers."""

push_devices = Table(
    "push_devices",
    metadata,
    Column("id", Text, primary_key=True),
    Column("client_id", Text, ForeignKey("api_clients.id"), nullable=False),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("token", Text, nullable=False),
    Column("platform", Text, nullable=False),
    now("created_at"),
    moment("removed_at"),
    Column("removed_reason", Text),
    Index("ix_push_devices_client_id", "client_id"),
)
"""Where push messages go; one that the vendor no longer knows is removed."""

notifications = Table(
    "notifications",
    metadata,
    Column("id", Text, primary_key=True),
    Column("subject", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("channel", Text, nullable=False),
    Column("recipient", Text, nullable=False, server_default=""),
    Column("client_id", Text, nullable=False),
    Column("booking_id", Text, nullable=False),
    Column("itinerary_id", Text),
    Column("disruption_id", Text),
    Column("correlation_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("language", Text),
    Column("vendor", Text),
    Column("provider_reference", Text),
    Column("tries", Integer, nullable=False, server_default="0"),
    json("attempts", default="[]"),
    moment("not_before"),
    moment("first_tried_at"),
    moment("sent_at"),
    moment("delivered_at"),
    now("created_at"),
    now("updated_at"),
    UniqueConstraint("subject", "kind", "revision", "channel", "recipient"),
    CheckConstraint("channel IN ('email', 'sms', 'push', 'live')", name="channel"),
    CheckConstraint(
        "state IN ('planned', 'sending', 'sent', 'delivered', 'failed', 'unknown', 'skipped', 'dead')", name="state"
    ),
    Index("ix_notifications_client_id", "client_id", "created_at"),
    Index("ix_notifications_booking_id", "booking_id"),
    Index("ix_notifications_provider_reference", "vendor", "provider_reference"),
    Index("ix_notifications_open", "id", postgresql_where=text("state IN ('planned', 'sending')")),
)
"""One row for each channel and recipient, written before the vendor is called. `recipient`: of push, the device's id; else empty: the
address itself is personal data and is looked up when it is needed."""
