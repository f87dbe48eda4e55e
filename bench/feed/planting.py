"""API clients that may listen, and events of which the relay and the feed do the rest. No booking behind them is worked on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Text

from schema.references import booking_id_for, new_id
from store.clients import ensure_client
from store.database import Database

_BOOKING: Final = text("""
INSERT INTO bookings (id, client_id, idempotency_key, fingerprint, state, version, currency, total_minor, consent_total_minor,
  consent_limit_minor, payment_provider, correlation_id, workflow_started_at)
VALUES (:booking, :client, :booking, '', 'FAILED', 1, 'EUR', 100, 100, 100, 'stripe', :booking, now())
""")
_EVENTS: Final = text("""
INSERT INTO events (client_id, booking_id, stream, version, type, state, data)
SELECT client, booking, 'notice:bench', :version, 'notice.bench', 'FAILED',
  jsonb_build_object('committed_at_s', extract(epoch FROM clock_timestamp()))
FROM unnest(:clients, :bookings) AS row (client, booking)
""").bindparams(bindparam("clients", type_=ARRAY(Text)), bindparam("bookings", type_=ARRAY(Text)))


@dataclass(frozen=True, slots=True)
class Planted:
    """An API client and the booking its events name."""

    client_id: str
    token: str
    booking_id: str


async def plant(database: Database, number: int) -> list[Planted]:
    """So many API clients."""
    planted: list[Planted] = []
    for _ in range(number):
        token = new_id("token")
        client_id = await ensure_client(database, name=new_id("client"), scopes=["me:read"], token=token)
        one = Planted(client_id, token, booking_id_for(client_id, "bench"))
        async with database.transaction() as connection:
            await connection.execute(_BOOKING, {"booking": one.booking_id, "client": client_id})
        planted.append(one)
    return planted


async def happen(database: Database, whose: Sequence[Planted], version: int) -> None:
    """One event for each, which says when it was written: a moment before its commit, by this machine's clock."""
    clients, bookings = [one.client_id for one in whose], [one.booking_id for one in whose]
    async with database.transaction() as connection:
        await connection.execute(_EVENTS, {"clients": clients, "bookings": bookings, "version": version})
