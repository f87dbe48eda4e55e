"""Travellers by the thousand: bookings, itineraries and their flight segments, planted in a few statements."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import text

from schema.itineraries import ITINERARY_PREFIX
from store.database import Database
from store.flights import PlannedFlight

_IDS: Final = "SELECT :prefix || lpad(number::text, 10, '0') AS id, number FROM generate_series(CAST(:first AS int), :last) AS number"
_BOOKINGS: Final = text(
    f"""INSERT INTO bookings (id, client_id, idempotency_key, fingerprint, state, version, currency, total_minor,
    consent_total_minor, consent_limit_minor, payment_provider, correlation_id, workflow_started_at)
    SELECT id, :client_id, id, ''::bytea, 'CONFIRMED', 3, 'EUR', 0, 0, 0, 'stripe', id, now() FROM ({_IDS}) AS made"""  # noqa: S608
)
_ITINERARIES: Final = text(
    f"""INSERT INTO itineraries (id, booking_id, client_id, state, revision, title, starts_at, ends_at)
    SELECT :itinerary || id, id, :client_id, 'active', 0, 'Planted', :starts_at, :ends_at FROM ({_IDS}) AS made"""  # noqa: S608
)
_SEGMENTS: Final = text(
    f"""INSERT INTO itinerary_segments (itinerary_id, segment_no, booking_id, item_no, kind, state, details, starts_at, ends_at,
    start_zone, end_zone, supplier, flight_key)
    SELECT :itinerary || made.id, 1, made.id, 1, 'flight', 'confirmed',
    jsonb_build_object('kind', 'flight', 'carrier', left(flight.key, 2), 'number', substr(split_part(flight.key, '-', 1), 3),
      'origin', right(flight.key, 3), 'destination', flight.destination, 'cabin', 'economy', 'item_leg', 0),
    flight.departs_at, flight.arrives_at, 'UTC', 'UTC', 'duffel', flight.key
    FROM ({_IDS}) AS made
    JOIN unnest(CAST(:keys AS text[]), CAST(:destinations AS text[]), CAST(:departures AS timestamptz[]),
      CAST(:arrivals AS timestamptz[])) WITH ORDINALITY AS flight (key, destination, departs_at, arrives_at, number)
      ON flight.number = 1 + (made.number - 1) % :flights"""  # noqa: S608
)
_AT_ONCE: Final = 5_000
"""Rows of each table in one statement, which PostgreSQL ends after 15 s."""


async def plant(
    database: Database, client_id: str, flights: Sequence[PlannedFlight], bookings: int, *, prefix: str
) -> list[str]:
    """So many confirmed bookings of one traveller each, spread evenly over the flights; their itineraries' ids. `prefix`: sixteen
    characters that no other planting uses."""
    assert len(prefix) == 16, "a booking's id has 26 characters"
    of_client = {"client_id": client_id, "itinerary": ITINERARY_PREFIX, "prefix": prefix}
    of_trip = {
        "starts_at": min(flight.departs_at for flight in flights),
        "ends_at": max(flight.arrives_at for flight in flights),
    }
    of_flights = {
        "keys": [flight.flight.key for flight in flights],
        "destinations": [flight.destination for flight in flights],
        "departures": [flight.departs_at for flight in flights],
        "arrivals": [flight.arrives_at for flight in flights],
        "flights": len(flights),
    }
    for first in range(1, bookings + 1, _AT_ONCE):
        numbers = {"first": first, "last": min(bookings, first + _AT_ONCE - 1)}
        async with database.transaction() as connection:
            for statement in (_BOOKINGS, _ITINERARIES, _SEGMENTS):
                await connection.execute(statement, {**of_client, **of_trip, **of_flights, **numbers})
    return [f"{ITINERARY_PREFIX}{prefix}{number:010d}" for number in range(1, bookings + 1)]
