"""Admission: from a stored booking to a running saga. Used by the API right after it stored one, and by the sweep for those it
could not start: the workflow's id is made from the booking's, so that starting twice is starting once."""

import asyncio
from datetime import timedelta

from temporalio.client import Client
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import WorkflowAlreadyStartedError

from gateways.ports import Vendors
from schema import bookings as contract
from schema.bookings import BookingInput, Consent, ItemPlan, PaymentPlan, SagaPolicy
from schema.errors import ServiceUnavailable
from schema.money import total
from schema.payments import CancellationInput
from schema.search_attributes import BOOKING_STATE, OWNER
from schema.states import ItemState
from store import bookings
from store.database import Database
from store.payments import StoredPayment
from store.records import StoredBooking, StoredItem

_START_TIMEOUT_S = 5


def booking_input(booking: StoredBooking, vendors: Vendors, policy: SagaPolicy) -> BookingInput:
    """What the saga is told: references, prices and what each supplier can do; no personal data."""
    first = payment_plan(booking.payment_provider, vendors, policy.step_timeout_s)
    backup = booking.backup_payment_provider
    return BookingInput(
        booking_id=booking.booking_id,
        client_id=booking.client_id,
        version=0,
        correlation_id=booking.correlation_id,
        currency=booking.total.currency,
        items=[item_plan(item, vendors, policy.step_timeout_s) for item in booking.items],
        consent=Consent(total=booking.consent_total, limit=booking.consent_limit),
        payment_provider=first.provider,
        payment_capabilities=first.capabilities,
        payment_tombstone_s=first.tombstone_s,
        backup_payment=None if backup is None else payment_plan(backup, vendors, policy.step_timeout_s, backup=True),
        policy=policy,
        substitution=booking.substitution,
    )


def payment_plan(provider: str, vendors: Vendors, step_timeout_s: float, *, backup: bool = False) -> PaymentPlan:
    """What a saga is told of one way to pay."""
    capabilities = vendors.payments(provider).capabilities
    tombstone_s = step_timeout_s + capabilities.lookup_lag_s
    return PaymentPlan(provider=provider, capabilities=capabilities, tombstone_s=tombstone_s, backup=backup)


def item_plan(item: StoredItem, vendors: Vendors, step_timeout_s: float) -> ItemPlan:
    """What a saga is told of one item, as of its current generation."""
    capabilities = vendors.supplier(item.supplier).capabilities
    return ItemPlan(
        item_no=item.item_no,
        generation=item.generation,
        kind=item.offer.kind,
        supplier=item.supplier,
        price=item.offer_price,
        required=item.required,
        hold=item.offer.holdable and capabilities.hold,
        refundable=item.offer.refundable,
        summary=item.offer.summary(),
        capabilities=capabilities,
        # A call may still be under way when its undo looks, and then be invisible for as long as the vendor's look-up lags.
        tombstone_s=step_timeout_s + capabilities.lookup_lag_s,
    )


def cancellation_input(
    booking: StoredBooking,
    payment: StoredPayment,
    vendors: Vendors,
    policy: SagaPolicy,
    item_nos: list[int] | None = None,
    *,
    quote_ttl_s: float = 900,
) -> CancellationInput:
    """What the cancellation of a confirmed booking, or of some of its items, is told; and the payment that was taken."""
    capabilities = vendors.payments(payment.provider).capabilities
    confirmed = [item for item in booking.items if item.state == ItemState.CONFIRMED]
    cancelled = [item for item in confirmed if item_nos is None or item.item_no in item_nos]
    rest = [item.price for item in confirmed if item not in cancelled]
    currency = booking.total.currency
    return CancellationInput(
        booking_id=booking.booking_id,
        client_id=booking.client_id,
        version=booking.version,
        correlation_id=booking.correlation_id,
        currency=currency,
        items=[item_plan(item, vendors, policy.step_timeout_s) for item in cancelled],
        payment_provider=payment.provider,
        payment_capabilities=capabilities,
        payment_tombstone_s=policy.step_timeout_s + capabilities.lookup_lag_s,
        policy=policy,
        quote_ttl_s=quote_ttl_s,
        payment_id=payment.payment_id,
        payment_generation=payment.generation,
        # What these cost is what was taken for them; never more than the provider still has.
        captured=min(
            total((item.price for item in cancelled), currency),
            payment.captured - payment.refunded,
            key=lambda amount: amount.amount_minor,
        ),
        fee_before=booking.fee,
        remaining=total(rest, currency) if rest else None,
    )


async def start_booking(client: Client, database: Database, booking: StoredBooking, plan: BookingInput) -> None:
    """Starts the saga once, however often it is called. Raises ServiceUnavailable when Temporal cannot be reached in time; the
    booking is stored, and the admission sweep starts it later."""
    trip = "; ".join(item.summary for item in plan.items)
    try:
        # `rpc_timeout` does not bound the whole call when the server is away.
        async with asyncio.timeout(_START_TIMEOUT_S):
            await client.start_workflow(
                contract.WORKFLOW,
                plan,
                id=contract.workflow_id_for(booking.booking_id),
                task_queue=contract.TASK_QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                search_attributes=TypedSearchAttributes(
                    [
                        SearchAttributePair(BOOKING_STATE, booking.state.value),
                        SearchAttributePair(OWNER, booking.client_id),
                    ]
                ),
                static_summary=trip[:200],
                static_details=f"Booking {booking.booking_id}, {booking.total}, correlation id {booking.correlation_id}",
                rpc_timeout=timedelta(seconds=_START_TIMEOUT_S),
            )
    except WorkflowAlreadyStartedError:
        pass  # it ran and has ended
    except Exception as error:
        raise ServiceUnavailable("the booking is stored and will be started as soon as possible") from error
    async with database.read() as connection:
        await bookings.mark_started(connection, booking.booking_id)
