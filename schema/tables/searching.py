"""What clients searched for, and what suppliers answered."""

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, LargeBinary, Table, Text
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from schema.tables.columns import json, metadata, moment, now

search_entries = Table(
    "search_entries",
    metadata,
    Column("id", Text, primary_key=True),
    Column("supplier", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("cache_key", Text, nullable=False),
    Column("version_tag", Text, nullable=False),
    json("request"),
    moment("found_at", nullable=False),
    moment("expires_at", nullable=False),
    Index("ix_search_entries_expires_at", "expires_at"),
)
"""One supplier's answer to one normalised query, whoever asked: written once, shared by every client whose search finds it."""

offers = Table(
    "offers",
    metadata,
    Column("id", Text, primary_key=True),
    Column("client_id", Text, ForeignKey("api_clients.id")),
    Column("entry_id", Text, ForeignKey("search_entries.id", ondelete="CASCADE")),
    Column("supplier", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("item_key", Text),
    json("public"),
    json("supplier_state"),
    Column("version", JSONB),
    moment("expires_at", nullable=False),
    moment("stale_at"),
    now("created_at"),
    Index("ix_offers_expires_at", "expires_at"),
    Index("ix_offers_entry_id", "entry_id"),
    Index("ix_offers_supplier_item_key", "supplier", "item_key"),
)
"""Of an entry, and so of every client whose search lists it; or of `client_id` alone, as releases before 0002 wrote them."""

searches = Table(
    "searches",
    metadata,
    Column("id", Text, primary_key=True),
    Column("client_id", Text, ForeignKey("api_clients.id"), nullable=False),
    Column("fingerprint", LargeBinary, nullable=False),
    json("request"),
    Column("entries", ARRAY(Text), nullable=False),
    json("reports"),
    Column("status", Text, nullable=False),
    moment("deadline_at", nullable=False),
    now("created_at"),
    CheckConstraint("status IN ('running', 'complete')", name="status"),
    Index("ix_searches_created_at", "created_at"),
    Index("ix_searches_entries", "entries", postgresql_using="gin"),
)
"""What a client searched for, and which entries it was shown."""
