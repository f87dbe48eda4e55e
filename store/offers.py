"""Offers: ours to name; bookable by the clients whose searches have found them."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import TypeAdapter
from sqlalchemy import any_, delete, exists, insert, or_, select
from sqlalchemy.dialects.postgresql import array
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.model import Message
from schema.offers import FoundOffer, Offer, SearchRequest, Version
from schema.references import new_id
from schema.tables import offers, search_entries, searches

_OFFER: TypeAdapter[Offer] = TypeAdapter(Offer)


class StoredOffer(Message):
    offer: Offer
    supplier_state: dict[str, object]
    version: Version | None = None
    stale: bool = False
    """The supplier has sold the last of it or changed it since it was found."""
    search_request: SearchRequest | None = None
    """How it was found; None for offers of releases that did not keep it."""


def named(found: Sequence[FoundOffer]) -> list[FoundOffer]:
    """Each offer with a fresh id of ours."""
    return [
        FoundOffer.model_construct(
            offer=entry.offer.model_copy(update={"offer_id": new_id("off")}),
            supplier_state=entry.supplier_state,
            version=entry.version,
        )
        for entry in found
    ]


def rows_of(found: Sequence[FoundOffer], *, client_id: str | None, entry_id: str | None) -> list[dict[str, object]]:
    """For the table `offers`; the offers have their ids."""
    return [
        {
            "id": entry.offer.offer_id,
            "client_id": client_id,
            "entry_id": entry_id,
            "supplier": entry.offer.supplier,
            "kind": entry.offer.kind,
            "item_key": entry.offer.item_key(),
            "public": entry.offer.model_dump(mode="json"),
            "supplier_state": entry.supplier_state,
            "version": None if entry.version is None else entry.version.model_dump(mode="json"),
            "expires_at": entry.offer.expires_at,
        }
        for entry in found
    ]


async def save(connection: AsyncConnection, client_id: str, found: list[FoundOffer]) -> list[Offer]:
    """Gives each offer an id of ours and keeps it for one client, whatever that client searches."""
    kept = named(found)
    if kept:
        await connection.execute(insert(offers), rows_of(kept, client_id=client_id, entry_id=None))
    return [entry.offer for entry in kept]


async def load(connection: AsyncConnection, client_id: str, offer_ids: list[str]) -> dict[str, StoredOffer]:
    """Those of the ids that this client has found, expired and stale ones included."""
    # Written as "contains" because only that can use the index.
    lists_it = searches.c.entries.contains(array([offers.c.entry_id]))
    found_by_client = exists().where(searches.c.client_id == client_id, lists_it)
    rows = await connection.execute(
        select(
            offers.c.id,
            offers.c.public,
            offers.c.supplier_state,
            offers.c.version,
            offers.c.stale_at,
            search_entries.c.request,
        )
        .select_from(offers.outerjoin(search_entries, offers.c.entry_id == search_entries.c.id))
        .where(offers.c.id.in_(offer_ids), or_(offers.c.client_id == client_id, found_by_client))
    )
    return {
        row.id: StoredOffer(
            offer=_OFFER.validate_python(row.public),
            supplier_state=row.supplier_state,
            version=row.version,
            stale=row.stale_at is not None,
            search_request=row.request,
        )
        for row in rows
    }


async def of_entries(connection: AsyncConnection, entry_ids: list[str]) -> dict[str, list[Offer]]:
    """The offers of each entry that are not stale."""
    rows = await connection.execute(
        select(offers.c.entry_id, offers.c.public).where(offers.c.entry_id.in_(entry_ids), offers.c.stale_at.is_(None))
    )
    found: dict[str, list[Offer]] = {entry_id: [] for entry_id in entry_ids}
    for row in rows:
        found[row.entry_id].append(_OFFER.validate_python(row.public))
    return found


async def drop_expired(connection: AsyncConnection, before: datetime) -> int:
    """Forgets offers that expired before the moment, and searches and entries that have no others; bookings keep their own
    copy. Returns how many offers."""
    forgotten = (await connection.execute(delete(offers).where(offers.c.expires_at < before))).rowcount
    await connection.execute(delete(search_entries).where(search_entries.c.expires_at < before))
    shows_something = exists().where(search_entries.c.id == any_(searches.c.entries))
    await connection.execute(delete(searches).where(searches.c.created_at < before, ~shows_something))
    return forgotten
