"""One item of a booking, as the activities need it; and what a supplier said of it."""

from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.money import Money
from schema.outcomes import Confirmed
from schema.states import ItemState
from schema.tables import booking_items
from store.bookings import StoredItem, stored_item


async def get(connection: AsyncConnection, booking_id: str, item_no: int) -> StoredItem:
    """The item; raises NoResultFound if there is none, which is a bug."""
    query = select(booking_items).where(booking_items.c.booking_id == booking_id, booking_items.c.item_no == item_no)
    return stored_item((await connection.execute(query)).mappings().one())


async def repriced(
    connection: AsyncConnection, booking_id: str, item_no: int, price: Money, supplier_state: dict[str, object] | None
) -> None:
    """A new price, and what the supplier wants to see again when it is booked."""
    values: dict[str, object] = {"price_minor": price.amount_minor}
    if supplier_state is not None:
        values["supplier_state"] = supplier_state
    await _change(connection, booking_id, item_no, values)


async def reserved(  # what an answer carries
    connection: AsyncConnection,
    booking_id: str,
    item_no: int,
    state: ItemState,
    outcome: Confirmed,
    supplier_state: dict[str, object] | None,
) -> None:
    """The supplier has it, held or confirmed. A straggler's news never takes an item back: from confirmed to held, or from
    released to anything."""
    values: dict[str, object] = {"state": state, "provider_booking_ref": outcome.provider_reference}
    if outcome.price is not None:
        values["price_minor"] = outcome.price.amount_minor
    if outcome.record_locator is not None:
        values["record_locator"] = outcome.record_locator
    values["hold_expires_at"] = outcome.expires_at if state == ItemState.HELD else None
    if supplier_state is not None:
        values["supplier_state"] = supplier_state
    later = {ItemState.RELEASED, ItemState.CANCELLED, ItemState.LEFT_OUT}
    if state == ItemState.HELD:
        later.add(ItemState.CONFIRMED)
    await connection.execute(
        update(booking_items)
        .where(
            booking_items.c.booking_id == booking_id,
            booking_items.c.item_no == item_no,
            booking_items.c.state.not_in([entry.value for entry in later]),
        )
        .values(**values, version=booking_items.c.version + 1)
    )


async def set_state(
    connection: AsyncConnection, booking_id: str, item_no: int, state: ItemState, penalty: Money | None = None
) -> None:
    values: dict[str, object] = {"state": state}
    if penalty is not None:
        values["penalty_minor"] = penalty.amount_minor
    await _change(connection, booking_id, item_no, values)


async def _change(connection: AsyncConnection, booking_id: str, item_no: int, values: dict[str, object]) -> None:
    await connection.execute(
        update(booking_items)
        .where(booking_items.c.booking_id == booking_id, booking_items.c.item_no == item_no)
        .values(**values, version=booking_items.c.version + 1)
    )


async def due_holds(connection: AsyncConnection, before: datetime) -> list[tuple[str, int]]:
    """Holds whose deadline has passed though the item still counts as held: (booking id, item number)."""
    rows = await connection.execute(
        select(booking_items.c.booking_id, booking_items.c.item_no).where(
            booking_items.c.state == ItemState.HELD, booking_items.c.hold_expires_at < before
        )
    )
    return [(row.booking_id, row.item_no) for row in rows]
