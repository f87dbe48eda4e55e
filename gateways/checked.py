"""Booking what was never priced since the search: the price check comes first, and may already be the end of it."""

from collections.abc import Awaitable

from gateways.http import before_effect
from gateways.ports import PriceCheck, ReservationRequest, SupplierState
from schema.errors import REFUSALS
from schema.outcomes import Rejected


async def checked_first(
    vendor: str, request: ReservationRequest, check: Awaitable[PriceCheck]
) -> SupplierState | Rejected:
    """The state to book from, at the price of the request. Raises VendorUnavailable if the check fails: nothing was booked yet."""
    found = await before_effect(vendor, check)
    if found.price is None:
        code = found.reason if found.reason in REFUSALS else "sold_out"
        return Rejected(code=code, message=f"{vendor}: {found.reason}")
    if found.price != request.price:
        return Rejected(code="price_changed", message=f"{vendor}: the price moved", price=found.price)
    return found.supplier_state or request.supplier_state
