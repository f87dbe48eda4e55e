"""Checking the price of one item again, before any money moves."""

from temporalio import activity

from activities.failures import told_to_temporal
from activities.found_offers import FoundOffers
from gateways.ports import PriceCheck, Vendors
from schema.bookings import ItemPrice, ItemStep
from schema.errors import REFUSALS
from store import items
from store.database import Database
from store.items import StepItem

_TRUE_FOR_EVERYBODY = ("sold_out", "offer_stale")
"""Other reasons, such as a token that has run out, are about this one offer."""


class Pricing:
    def __init__(self, database: Database, vendors: Vendors, found_offers: FoundOffers) -> None:
        self._database = database
        self._vendors = vendors
        self._found_offers = found_offers

    @activity.defn
    async def check_price(self, step: ItemStep) -> ItemPrice:
        """The supplier's price now; None when it can no longer be had. Keeps what the supplier wants to see at booking."""
        async with told_to_temporal(step.retry_initial_s):
            async with self._database.read() as connection:
                item = await items.for_step(connection, step.booking_id, step.item_no, generation=step.generation)
            check = await self._vendors.supplier(item.supplier).price(item.supplier_state, step.correlation_id)
            reason = _why_not(item, check)
            if reason is not None:
                if reason in _TRUE_FOR_EVERYBODY:
                    await self._found_offers.is_gone(item)
                return ItemPrice(item_no=step.item_no, price=None, reason=reason)
            assert check.price is not None, "an offer that can be had has a price"
            if check.price != item.price or check.supplier_state not in (None, item.supplier_state):
                async with self._database.transaction() as connection:
                    await items.repriced(
                        connection,
                        step.booking_id,
                        step.item_no,
                        check.price,
                        check.supplier_state,
                        generation=step.generation,
                    )
            return ItemPrice(item_no=step.item_no, price=check.price, expires_at=check.expires_at)


def _why_not(item: StepItem, check: PriceCheck) -> str | None:
    """Why the offer cannot be booked: it is gone, or it is not what the traveller has seen (C-6b); a code, or None."""
    if check.price is None:
        return check.reason if check.reason in REFUSALS else "vendor_rejected"
    seen, now = item.version, check.version
    return "offer_stale" if seen is not None and now is not None and seen.facts != now.facts else None
