"""Itineraries, the flights on them, and what became of them."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Date, ForeignKey, Index, Integer, Table, Text, text
from sqlalchemy.dialects.postgresql import JSONB

from schema.tables.columns import json, metadata, moment, now

itineraries = Table(
    "itineraries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("booking_id", Text, ForeignKey("bookings.id"), nullable=False, unique=True),
    Column("client_id", Text, ForeignKey("api_clients.id"), nullable=False),
    Column("state", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("title", Text, nullable=False),
    moment("starts_at", nullable=False),
    moment("ends_at", nullable=False),
    now("created_at"),
    now("updated_at"),
    moment("deleted_at"),
    CheckConstraint("state IN ('active', 'cancelled', 'completed')", name="state"),
    Index("ix_itineraries_client_id", "client_id", "starts_at", "id"),
)

itinerary_segments = Table(
    "itinerary_segments",
    metadata,
    Column("itinerary_id", Text, ForeignKey("itineraries.id"), primary_key=True),
    Column("segment_no", Integer, primary_key=True),
    Column("booking_id", Text, ForeignKey("bookings.id"), nullable=False),
    Column("item_no", Integer, nullable=False),
    Column("item_leg", Integer, nullable=False, server_default="0"),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    json("details"),
    moment("starts_at", nullable=False),
    moment("ends_at", nullable=False),
    Column("start_zone", Text, nullable=False),
    Column("end_zone", Text, nullable=False),
    Column("supplier", Text, nullable=False),
    Column("record_locator", Text),
    Column("flight_key", Text),
    Column("flight", JSONB),
    Column("flight_revision", Integer, nullable=False, server_default="0"),
    CheckConstraint("state IN ('confirmed', 'cancelled', 'replaced')", name="state"),
    Index("ix_itinerary_segments_item", "booking_id", "item_no", "item_leg", unique=True),
    Index(
        "ix_itinerary_segments_flight_key",
        "flight_key",
        "itinerary_id",
        postgresql_where=text("flight_key IS NOT NULL AND state = 'confirmed'"),
    ),
)
"""Who is on a flight is read from here: its confirmed segments are the subscribers of its monitor."""

flights = Table(
    "flights",
    metadata,
    Column("flight_key", Text, primary_key=True),
    Column("carrier", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("on_date", Date, nullable=False),
    Column("origin", Text, nullable=False),
    moment("departs_at", nullable=False),
    moment("arrives_at", nullable=False),
    Column("revision", Integer, nullable=False, server_default="0"),
    Column("status", JSONB),
    json("said", default="{}"),
    Column("told_revision", Integer, nullable=False, server_default="0"),
    moment("polled_at"),
    moment("next_poll_at"),
    moment("ended_at"),
    now("created_at"),
    now("updated_at"),
    Index("ix_flights_watched", "next_poll_at", postgresql_where=text("ended_at IS NULL")),
)
"""`said`: each part of what is known, with who said it and when; `status` is what they add up to. `told_revision`: up to which
revision all were told who are on it. `ended_at`: nobody watches it any more."""

flight_revisions = Table(
    "flight_revisions",
    metadata,
    Column("flight_key", Text, ForeignKey("flights.flight_key"), primary_key=True),
    Column("revision", Integer, primary_key=True),
    json("status"),
    json("changes"),
    now("created_at"),
)
"""What travellers are told: how the flight stood at each revision, and what was new in it."""

disruptions = Table(
    "disruptions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("itinerary_id", Text, ForeignKey("itineraries.id"), nullable=False),
    Column("client_id", Text, nullable=False),
    Column("segment_no", Integer, nullable=False),
    Column("flight_key", Text, nullable=False),
    Column("flight_revision", Integer, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    json("impact"),
    json("alternatives", default="[]"),
    Column("chosen", Integer),
    Column("rebooking_id", Text),
    Column("reason", Text),
    moment("deadline_at"),
    now("opened_at"),
    moment("closed_at"),
    Index("ix_disruptions_itinerary_id", "itinerary_id", "opened_at"),
    Index(
        "ix_disruptions_open",
        "itinerary_id",
        "segment_no",
        unique=True,
        postgresql_where=text("state IN ('open', 'offered', 'rebooking')"),
    ),
)
"""At most one is open for each segment: a newer one supersedes it."""

feed_heads = Table(
    "feed_heads",
    metadata,
    Column("client_id", Text, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
)
"""The number of the last message of each client's live feed; numbers are given when events are published, and have no gaps."""
