"""The tables of PostgreSQL. Money is integer minor units + ISO 4217 code; times are UTC. Changed by migrations only."""

from schema.tables.booked import (
    attempts,
    booking_items,
    booking_travellers,
    bookings,
    cancellation_claims,
    cancellation_quotes,
    events,
    superseded_items,
)
from schema.tables.clients import api_clients, idempotency_keys
from schema.tables.columns import metadata
from schema.tables.desk import dead_letters, desk_actions, inbox, review_cases
from schema.tables.money import ledger_entries, payments, refunds
from schema.tables.reconciliation import reconciliation_findings, reconciliation_runs, reconciliation_watermarks
from schema.tables.searching import offers, search_entries, searches
from schema.tables.telling import notifications, preferences, push_devices
from schema.tables.travelling import disruptions, feed_heads, flight_revisions, flights, itineraries, itinerary_segments
from schema.tables.webhooks import webhook_deliveries, webhook_endpoints

__all__ = [
    "api_clients",
    "attempts",
    "booking_items",
    "booking_travellers",
    "bookings",
    "cancellation_claims",
    "cancellation_quotes",
    "dead_letters",
    "desk_actions",
    "disruptions",
    "events",
    "feed_heads",
    "flight_revisions",
    "flights",
    "idempotency_keys",
    "inbox",
    "itineraries",
    "itinerary_segments",
    "ledger_entries",
    "metadata",
    "notifications",
    "offers",
    "payments",
    "preferences",
    "push_devices",
    "reconciliation_findings",
    "reconciliation_runs",
    "reconciliation_watermarks",
    "refunds",
    "review_cases",
    "search_entries",
    "searches",
    "superseded_items",
    "webhook_deliveries",
    "webhook_endpoints",
]
