"""One item of a booking, as the activities need it; and what a supplier said of it."""

from sqlalchemy import RowMapping, bindparam, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.model import Message
from schema.money import Money
from schema.outcomes import Confirmed
from schema.states import ItemState
from schema.tables import booking_items, booking_travellers
from schema.travellers import Traveller
from store.bookings import TRAVELLERS, StoredItem, stored_item

# Built once: to build a statement costs as much as to run it. Which columns are written is said by the values given with it.
_OF_ITEM = (booking_items.c.booking_id == bindparam("of_booking"), booking_items.c.item_no == bindparam("of_item"))
_READ = select(booking_items).where(*_OF_ITEM)
_STEP_COLUMNS = (
    booking_items.c.offer_id,
    booking_items.c.provider_code,
    booking_items.c.provider_booking_ref,
    booking_items.c.currency,
    booking_items.c.price_minor,
    booking_items.c.supplier_state,
)
_READ_FOR_STEP = select(*_STEP_COLUMNS).where(*_OF_ITEM)
_READ_WITH_TRAVELLERS = (
    select(*_STEP_COLUMNS, booking_travellers.c.travellers)
    .join(booking_travellers, booking_travellers.c.booking_id == booking_items.c.booking_id)
    .where(*_OF_ITEM)
)
_CHANGE = update(booking_items).where(*_OF_ITEM).values(version=booking_items.c.version + 1)
_OVER = (ItemState.RELEASED, ItemState.CANCELLED, ItemState.LEFT_OUT)
_RESERVED = _CHANGE.where(booking_items.c.state.not_in([literal_column(f"'{state.value}'") for state in _OVER]))
_RESERVED_AS_HELD = _RESERVED.where(booking_items.c.state != literal_column(f"'{ItemState.CONFIRMED.value}'"))


class StepItem(Message):
    """An item as a step towards its reservation needs it, without the offer that the client sees."""

    offer_id: str
    supplier: str
    provider_booking_ref: str | None
    price: Money
    supplier_state: dict[str, object]


async def get(connection: AsyncConnection, booking_id: str, item_no: int) -> StoredItem:
    """The item; raises NoResultFound if there is none, which is a bug."""
    rows = await connection.execute(_READ, {"of_booking": booking_id, "of_item": item_no})
    return stored_item(rows.mappings().one())


async def for_step(connection: AsyncConnection, booking_id: str, item_no: int) -> StepItem:
    """As much of the item as a step needs; raises NoResultFound if there is none, which is a bug."""
    rows = await connection.execute(_READ_FOR_STEP, {"of_booking": booking_id, "of_item": item_no})
    return _step_item(rows.mappings().one())


async def with_travellers(
    connection: AsyncConnection, booking_id: str, item_no: int
) -> tuple[StepItem, list[Traveller]]:
    """The item for a step, and who travels: personal data, for the call to a vendor only."""
    rows = await connection.execute(_READ_WITH_TRAVELLERS, {"of_booking": booking_id, "of_item": item_no})
    row = rows.mappings().one()
    return _step_item(row), TRAVELLERS.validate_python(row["travellers"])


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
    statement = _RESERVED_AS_HELD if state == ItemState.HELD else _RESERVED
    await connection.execute(statement, {"of_booking": booking_id, "of_item": item_no, **values})


async def set_state(
    connection: AsyncConnection, booking_id: str, item_no: int, state: ItemState, penalty: Money | None = None
) -> None:
    values: dict[str, object] = {"state": state}
    if penalty is not None:
        values["penalty_minor"] = penalty.amount_minor
    await _change(connection, booking_id, item_no, values)


async def _change(connection: AsyncConnection, booking_id: str, item_no: int, values: dict[str, object]) -> None:
    await connection.execute(_CHANGE, {"of_booking": booking_id, "of_item": item_no, **values})


def _step_item(row: RowMapping) -> StepItem:
    return StepItem(
        offer_id=row["offer_id"],
        supplier=row["provider_code"],
        provider_booking_ref=row["provider_booking_ref"],
        price=Money(amount_minor=row["price_minor"], currency=row["currency"]),
        supplier_state=row["supplier_state"],
    )
