"""What it costs to cancel, asked from the suppliers themselves."""

import asyncio
from datetime import UTC, datetime, timedelta

from temporalio import activity

from activities.failures import told_to_temporal
from gateways.ports import LookUp, Vendors
from schema.errors import OutcomeUnclear
from schema.money import Money, total
from schema.payments import FeeQuote, QuoteRequest
from store import bookings, items
from store.database import Database


class Cancelling:
    def __init__(self, database: Database, vendors: Vendors) -> None:
        self._database = database
        self._vendors = vendors

    @activity.defn
    async def quote_cancellation(self, request: QuoteRequest) -> FeeQuote:
        """The sum of what the suppliers keep, never more than was paid; nothing is cancelled by asking."""
        async with told_to_temporal(request.retry_initial_s):
            fees = await asyncio.gather(*(self._fee(request, item_no) for item_no in request.item_nos))
            fee = total(fees, request.captured.currency)
            fee = min(fee, request.captured, key=lambda amount: amount.amount_minor)
            return FeeQuote(
                fee=fee,
                refund=request.captured - fee,
                expires_at=datetime.now(UTC) + timedelta(seconds=request.ttl_s),
            )

    async def _fee(self, request: QuoteRequest, item_no: int) -> Money:
        async with self._database.read() as connection:
            item = await items.get(connection, request.booking_id, item_no)
            travellers, _ = await bookings.travellers_of(connection, request.booking_id)
            booking = await bookings.get(connection, request.booking_id)
        assert booking is not None, "quoted only for what is booked"
        supplier = self._vendors.supplier(item.supplier)
        reservation = await supplier.find(
            LookUp(
                reference=item.client_reference,
                provider_reference=item.provider_booking_ref,
                supplier_state=item.supplier_state,
                travellers=travellers,
                since=booking.created_at,
                correlation_id=request.correlation_id,
            )
        )
        if reservation is None:
            raise OutcomeUnclear(f"{supplier.code} does not show what it has confirmed")
        if reservation.status == "cancelled":
            return Money.zero(request.captured.currency)
        return (await supplier.cancellation_fee(reservation, request.correlation_id)).fee
