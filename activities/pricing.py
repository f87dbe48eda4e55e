"""Checking the price of one item again, before any money moves."""

from temporalio import activity

from activities.failures import told_to_temporal
from gateways.ports import Vendors
from schema.bookings import ItemPrice, ItemStep
from schema.errors import REFUSALS
from store import items
from store.database import Database


class Pricing:
    def __init__(self, database: Database, vendors: Vendors) -> None:
        self._database = database
        self._vendors = vendors

    @activity.defn
    async def check_price(self, step: ItemStep) -> ItemPrice:
        """The supplier's price now; None when it can no longer be had. Keeps what the supplier wants to see at booking."""
        async with told_to_temporal(step.retry_initial_s):
            async with self._database.read() as connection:
                item = await items.for_step(connection, step.booking_id, step.item_no)
            check = await self._vendors.supplier(item.supplier).price(item.supplier_state, step.correlation_id)
            changed = check.price != item.price or check.supplier_state not in (None, item.supplier_state)
            if check.price is not None and changed:
                async with self._database.transaction() as connection:
                    await items.repriced(connection, step.booking_id, step.item_no, check.price, check.supplier_state)
            reason = check.reason if check.reason in REFUSALS else "vendor_rejected"
            return ItemPrice(
                item_no=step.item_no,
                price=check.price,
                expires_at=check.expires_at,
                reason=reason if check.price is None else None,
            )
