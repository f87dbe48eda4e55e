"""Offers a client has found: ours to name, and only that client's to book."""

from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.model import Message
from schema.offers import FoundOffer, Offer
from schema.references import new_id
from schema.tables import offers

_OFFER: TypeAdapter[Offer] = TypeAdapter(Offer)


class StoredOffer(Message):
    offer: Offer
    supplier_state: dict[str, object]


async def save(connection: AsyncConnection, client_id: str, found: list[FoundOffer]) -> list[Offer]:
    """Gives each offer an id of ours and keeps it for the client."""
    named: list[Offer] = [entry.offer.model_copy(update={"offer_id": new_id("off")}) for entry in found]
    if not named:
        return []
    rows = [
        {
            "id": offer.offer_id,
            "client_id": client_id,
            "supplier": offer.supplier,
            "kind": offer.kind,
            "public": offer.model_dump(mode="json"),
            "supplier_state": entry.supplier_state,
            "expires_at": offer.expires_at,
        }
        for offer, entry in zip(named, found, strict=True)
    ]
    await connection.execute(insert(offers), rows)
    return named


async def load(connection: AsyncConnection, client_id: str, offer_ids: list[str]) -> dict[str, StoredOffer]:
    """Those of the ids that are this client's, expired ones included."""
    rows = await connection.execute(
        select(offers.c.id, offers.c.public, offers.c.supplier_state).where(
            offers.c.client_id == client_id, offers.c.id.in_(offer_ids)
        )
    )
    return {
        row.id: StoredOffer(offer=_OFFER.validate_python(row.public), supplier_state=row.supplier_state) for row in rows
    }


async def drop_expired(connection: AsyncConnection, before: datetime) -> int:
    """Forgets offers that expired before the moment; bookings keep their own copy. Returns how many."""
    return (await connection.execute(delete(offers).where(offers.c.expires_at < before))).rowcount
