"""One item of a booking, as the activities need it; and what a supplier said of it.

An item has a generation for each supplier that was tried for it. A step is about one generation: of the current one the row is in
`booking_items`, of an earlier one, which only an undo or a straggler still asks for, in `superseded_items`.
"""

from sqlalchemy import RowMapping, bindparam, insert, literal, literal_column, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.model import Message
from schema.money import Money
from schema.offers import FoundOffer, Version
from schema.outcomes import Confirmed
from schema.states import ItemState
from schema.tables import booking_items, booking_travellers, superseded_items
from schema.travellers import Traveller
from store.bookings import TRAVELLERS
from store.records import Replaced, StoredItem, found_columns, stored_item

# Built once: to build a statement costs as much as to run it. Which columns are written is said by the values given with it.
_OF_ITEM = (booking_items.c.booking_id == bindparam("of_booking"), booking_items.c.item_no == bindparam("of_item"))
_OF_GENERATION = booking_items.c.generation == bindparam("of_generation")
_SUPERSEDED = (
    superseded_items.c.booking_id == bindparam("of_booking"),
    superseded_items.c.item_no == bindparam("of_item"),
    superseded_items.c.generation == bindparam("of_generation"),
)
_READ_SUPERSEDED = select(superseded_items.c.item).where(*_SUPERSEDED)
_READ = select(booking_items).where(*_OF_ITEM)
_STEP_COLUMNS = (
    booking_items.c.offer_id,
    booking_items.c.provider_code,
    booking_items.c.provider_booking_ref,
    booking_items.c.currency,
    booking_items.c.price_minor,
    booking_items.c.supplier_state,
    booking_items.c.generation,
    booking_items.c.item_key,
    booking_items.c.offer_version,
)
_READ_FOR_STEP = select(*_STEP_COLUMNS).where(*_OF_ITEM)
_READ_WITH_TRAVELLERS = (
    select(*_STEP_COLUMNS, booking_travellers.c.travellers)
    .join(booking_travellers, booking_travellers.c.booking_id == booking_items.c.booking_id)
    .where(*_OF_ITEM)
)
_CHANGE = update(booking_items).where(*_OF_ITEM, _OF_GENERATION).values(version=booking_items.c.version + 1)
_CONFIRMED_KEYS = select(booking_items.c.provider_code, booking_items.c.item_key).where(
    booking_items.c.booking_id == bindparam("of_booking"),
    booking_items.c.state == literal_column(f"'{ItemState.CONFIRMED.value}'"),
    booking_items.c.item_key.is_not(None),
)
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
    item_key: str | None = None
    version: Version | None = None


async def get(connection: AsyncConnection, booking_id: str, item_no: int, generation: int | None = None) -> StoredItem:
    """The item as of that generation, by default the current one; raises NoResultFound if there is none, which is a bug."""
    rows = await connection.execute(_READ, {"of_booking": booking_id, "of_item": item_no})
    item = stored_item(rows.mappings().one())
    if generation is None or item.generation == generation:
        return item
    return await _superseded(connection, booking_id, item_no, generation)


async def for_step(connection: AsyncConnection, booking_id: str, item_no: int, *, generation: int = 0) -> StepItem:
    """As much of the item as a step needs; raises NoResultFound if there is none, which is a bug."""
    rows = await connection.execute(_READ_FOR_STEP, {"of_booking": booking_id, "of_item": item_no})
    row = rows.mappings().one()
    if row["generation"] == generation:
        return _step_item(row)
    return _as_step_item(await _superseded(connection, booking_id, item_no, generation))


async def with_travellers(
    connection: AsyncConnection, booking_id: str, item_no: int, *, generation: int = 0
) -> tuple[StepItem, list[Traveller]]:
    """The item for a step, and who travels: personal data, for the call to a vendor only."""
    rows = await connection.execute(_READ_WITH_TRAVELLERS, {"of_booking": booking_id, "of_item": item_no})
    row = rows.mappings().one()
    travellers = TRAVELLERS.validate_python(row["travellers"])
    if row["generation"] == generation:
        return _step_item(row), travellers
    return _as_step_item(await _superseded(connection, booking_id, item_no, generation)), travellers


async def repriced(
    connection: AsyncConnection,
    booking_id: str,
    item_no: int,
    price: Money,
    supplier_state: dict[str, object] | None,
    *,
    generation: int = 0,
) -> None:
    """A new price, and what the supplier wants to see again when it is booked."""
    values: dict[str, object] = {"price_minor": price.amount_minor}
    if supplier_state is not None:
        values["supplier_state"] = supplier_state
    await connection.execute(_CHANGE, {**_key(booking_id, item_no, generation), **values})


async def reserved(  # what an answer carries
    connection: AsyncConnection,
    booking_id: str,
    item_no: int,
    state: ItemState,
    outcome: Confirmed,
    supplier_state: dict[str, object] | None,
    *,
    generation: int = 0,
) -> None:
    """The supplier has it, held or confirmed. A straggler's news never takes an item back: from confirmed to held, from released
    to anything, or from another supplier."""
    values: dict[str, object] = {"state": state, "provider_booking_ref": outcome.provider_reference}
    if outcome.price is not None:
        values["price_minor"] = outcome.price.amount_minor
    if outcome.record_locator is not None:
        values["record_locator"] = outcome.record_locator
    values["hold_expires_at"] = outcome.expires_at if state == ItemState.HELD else None
    if supplier_state is not None:
        values["supplier_state"] = supplier_state
    statement = _RESERVED_AS_HELD if state == ItemState.HELD else _RESERVED
    await connection.execute(statement, {**_key(booking_id, item_no, generation), **values})


async def set_state(
    connection: AsyncConnection,
    booking_id: str,
    item_no: int,
    state: ItemState,
    penalty: Money | None = None,
    *,
    generation: int = 0,
) -> None:
    """Of a superseded generation too: its undo may finish, or be repeated, after another supplier took over."""
    values: dict[str, object] = {"state": state}
    if penalty is not None:
        values["penalty_minor"] = penalty.amount_minor
    key = _key(booking_id, item_no, generation)
    changed = await connection.execute(_CHANGE, {**key, **values})
    if not changed.rowcount:
        news: dict[str, object] = {"state": state.value}
        if penalty is not None:
            news["penalty"] = penalty.model_dump()
        written = superseded_items.c.item.op("||")(literal(news, JSONB))
        await connection.execute(update(superseded_items).where(*_SUPERSEDED).values(item=written), key)


async def substitute(
    connection: AsyncConnection, item: StoredItem, booking_id: str, found: FoundOffer, reference: str, reason: str
) -> None:
    """The found offer takes the item's place, one generation on; the item as it was is kept."""
    kept = {"booking_id": booking_id, "item_no": item.item_no, "generation": item.generation}
    await connection.execute(insert(superseded_items).values(**kept, item=item.model_dump(mode="json")))
    replaced = Replaced(supplier=item.supplier, summary=item.offer.summary(), price=item.offer_price, reason=reason)
    values: dict[str, object] = {
        "generation": item.generation + 1,
        "client_reference": reference,
        "replaces": [entry.model_dump(mode="json") for entry in (*item.replaces, replaced)],
        "state": ItemState.PLANNED,
        "provider_booking_ref": None,
        "record_locator": None,
        "hold_expires_at": None,
        "penalty_minor": 0,
        "price_minor": found.offer.price.amount_minor,
        **found_columns(found),
    }
    await connection.execute(_CHANGE, {**_key(booking_id, item.item_no, item.generation), **values})


async def confirmed_keys(connection: AsyncConnection, booking_id: str) -> list[tuple[str, str]]:
    """Supplier and item key of what the booking has."""
    rows = await connection.execute(_CONFIRMED_KEYS, {"of_booking": booking_id})
    return [(row.provider_code, row.item_key) for row in rows]


async def _superseded(connection: AsyncConnection, booking_id: str, item_no: int, generation: int) -> StoredItem:
    rows = await connection.execute(_READ_SUPERSEDED, _key(booking_id, item_no, generation))
    return StoredItem.model_validate(rows.scalar_one())


def _key(booking_id: str, item_no: int, generation: int) -> dict[str, object]:
    return {"of_booking": booking_id, "of_item": item_no, "of_generation": generation}


def _step_item(row: RowMapping) -> StepItem:
    version = row["offer_version"]
    return StepItem(
        offer_id=row["offer_id"],
        supplier=row["provider_code"],
        provider_booking_ref=row["provider_booking_ref"],
        price=Money(amount_minor=row["price_minor"], currency=row["currency"]),
        supplier_state=row["supplier_state"],
        item_key=row["item_key"],
        version=None if version is None else Version.model_validate(version),
    )


def _as_step_item(item: StoredItem) -> StepItem:
    return StepItem.model_validate(item.model_dump() | {"offer_id": item.offer_id})
