"""Items whose place another supplier's offer took: what an undo or a second look may still need of them."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.tables import superseded_items
from store.records import StoredItem


async def of_booking(connection: AsyncConnection, booking_id: str) -> dict[tuple[int, int], StoredItem]:
    """By item number and generation."""
    rows = await connection.execute(
        select(superseded_items.c.item_no, superseded_items.c.generation, superseded_items.c.item).where(
            superseded_items.c.booking_id == booking_id
        )
    )
    return {(row.item_no, row.generation): StoredItem.model_validate(row.item) for row in rows}
