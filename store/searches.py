"""What clients searched for, and what suppliers answered: the entries that searches share."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import any_, column, func, insert, literal, select, tuple_, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.model import Message
from schema.offers import FoundOffer, SearchRequest
from schema.searches import Entry, SearchProgress, TripSearch
from schema.tables import offers, search_entries, searches
from store.offers import of_entries, rows_of

Status = Literal["running", "complete"]
_OF_AN_OFFER: Final = (
    *("id", "client_id", "entry_id", "supplier", "kind", "item_key"),
    *("public", "supplier_state", "version", "expires_at"),
)


class StoredSearch(Message):
    """A client's search. One that is `running` after `deadline_at` has lost its process."""

    search_id: str
    client_id: str
    fingerprint: bytes
    """Of the body: what two searches must share to be the same."""
    trip: TripSearch
    entries: list[str]
    progress: SearchProgress
    status: Status
    deadline_at: datetime
    created_at: datetime


async def add_entry(
    connection: AsyncConnection, entry: Entry, request: SearchRequest, found: Sequence[FoundOffer]
) -> None:
    """Writes a supplier's answer: `found` are the offers of `entry`, with what only the supplier understands. One statement, and
    one parameter for all offers: it is on the way of every search that is not cached."""
    added = (
        insert(search_entries)
        .values(
            id=entry.entry_id,
            supplier=entry.supplier,
            kind=entry.kind,
            cache_key=entry.cache_key,
            version_tag=entry.version_tag,
            request=request.model_dump(mode="json"),
            found_at=entry.found_at,
            expires_at=max((offer.expires_at for offer in entry.offers), default=entry.fresh_until),
        )
        .returning(search_entries.c.id)
        .cte("added")
    )
    rows = rows_of(found, client_id=None, entry_id=entry.entry_id)
    given = (
        func.jsonb_to_recordset(literal(rows, JSONB))
        .table_valued(*(column(name, offers.c[name].type) for name in _OF_AN_OFFER), name="given")
        .render_derived(with_types=True)
    )
    await connection.execute(insert(offers).from_select(_OF_AN_OFFER, select(given)).add_cte(added))


async def save(connection: AsyncConnection, search: StoredSearch) -> None:
    """Writes the search, or how far it has come."""
    changing = {
        "entries": search.entries,
        "reports": search.progress.model_dump(mode="json"),
        "status": search.status,
    }
    row = insert_or(searches).values(
        id=search.search_id,
        client_id=search.client_id,
        fingerprint=search.fingerprint,
        request=search.trip.model_dump(mode="json"),
        deadline_at=search.deadline_at,
        created_at=search.created_at,
        **changing,
    )
    await connection.execute(row.on_conflict_do_update(index_elements=["id"], set_=changing))


async def load(connection: AsyncConnection, search_id: str, client_id: str) -> StoredSearch | None:
    """None also for somebody else's."""
    row = (
        await connection.execute(select(searches).where(searches.c.id == search_id, searches.c.client_id == client_id))
    ).one_or_none()
    if row is None:
        return None
    return StoredSearch(
        search_id=row.id,
        client_id=row.client_id,
        fingerprint=row.fingerprint,
        trip=TripSearch.model_validate(row.request),
        entries=row.entries,
        progress=SearchProgress.model_validate(row.reports),
        status=row.status,
        deadline_at=row.deadline_at,
        created_at=row.created_at,
    )


async def entries_of(connection: AsyncConnection, entry_ids: list[str]) -> list[Entry]:
    """With those of their offers that are not stale; entries that have been forgotten are missing."""
    rows = (await connection.execute(select(search_entries).where(search_entries.c.id.in_(entry_ids)))).all()
    found = await of_entries(connection, [row.id for row in rows])
    return [
        Entry(
            entry_id=row.id,
            cache_key=row.cache_key,
            supplier=row.supplier,
            kind=row.kind,
            found_at=row.found_at,
            fresh_until=row.found_at,
            version_tag=row.version_tag,
            offers=found[row.id],
        )
        for row in rows
    ]


async def mark_stale(connection: AsyncConnection, supplier: str, item_key: str) -> None:
    """The supplier's offers of the item can no longer be booked from now on."""
    await connection.execute(
        update(offers)
        .where(
            offers.c.supplier == supplier,
            offers.c.item_key == item_key,
            offers.c.stale_at.is_(None),
            offers.c.expires_at > func.now(),
        )
        .values(stale_at=func.now())
    )


async def keys_of_items(connection: AsyncConnection, items: Sequence[tuple[str, str]], since: datetime) -> list[str]:
    """Cache keys of the entries, found since then, that show one of the items: suppliers and item keys."""
    rows = await connection.execute(
        select(search_entries.c.cache_key)
        .distinct()
        .select_from(offers.join(search_entries, offers.c.entry_id == search_entries.c.id))
        .where(tuple_(offers.c.supplier, offers.c.item_key).in_(items), search_entries.c.found_at > since)
    )
    return [row.cache_key for row in rows]


async def items_with(connection: AsyncConnection, supplier: str, part: str, since: datetime) -> list[str]:
    """Item keys of the supplier's offers, kept since then, that have the part between their bars."""
    parts = func.string_to_array(offers.c.item_key, "|")
    of_supplier = (offers.c.supplier == supplier, offers.c.created_at > since)
    rows = await connection.execute(
        select(offers.c.item_key).distinct().where(*of_supplier, literal(part) == any_(parts))
    )
    return [row.item_key for row in rows]
