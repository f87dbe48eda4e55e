"""Vendors that show no list are asked for our own bookings, one by one, as far as they answer."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from activities.judging import judge_payment, judge_reservation
from gateways.ports import ListedPayment, ListsPayments, ListsReservations, LookUp, Vendors
from schema.errors import TravelHubError
from schema.reconciliation import CORRELATION_ID, Finding
from schema.states import CONFIRMED_STATES, ItemState
from store import bookings, items, reconciled
from store.database import Database
from store.reconciled import OurItem, OurPayment, SettledBooking
from store.records import StoredItem


@dataclass(frozen=True, slots=True)
class Question:
    """About one item, or with `payment` about a payment."""

    booking_id: str
    vendor: str
    changed_at: datetime
    """When our own books last changed."""
    item_no: int = 0
    payment: OurPayment | None = None


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why. `passing`: the same question may well be answered later."""

    why: str
    passing: bool = False


def shows_list(vendor_of: Callable[[str], object], code: str, port: type[object]) -> bool:
    """Whether this process has such a vendor, and that vendor a list."""
    try:
        return isinstance(vendor_of(code), port)
    except KeyError:
        return False


class Asking:
    def __init__(self, database: Database, vendors: Vendors) -> None:
        self._database = database
        self._vendors = vendors

    def questions(self, found: Sequence[SettledBooking]) -> Iterator[Question]:
        """What of these bookings no vendor's list shows."""
        for booking in found:
            for payment in booking.payments:
                provider, reference = payment.provider, payment.provider_reference
                if provider and reference and not shows_list(self._vendors.payments, provider, ListsPayments):
                    yield Question(booking.booking_id, provider, booking.updated_at, payment=payment)
            for item_no, vendor in booking.called_items.items():
                if not shows_list(self._vendors.supplier, vendor, ListsReservations):
                    yield Question(booking.booking_id, vendor, booking.updated_at, item_no)

    async def ask(self, question: Question) -> Finding | NoAnswer | None:
        """A finding, why there is no answer, or nothing."""
        try:
            if question.payment is not None:
                return await self._payment(question.vendor, question.payment)
            return await self._item(question)
        except NotImplementedError:
            return NoAnswer(f"{question.vendor} cannot be asked by our reference")
        except TravelHubError as error:
            return NoAnswer(f"{question.vendor}: {error.problem_code}", passing=error.retryable)
        except KeyError:
            return NoAnswer(f"{question.vendor} is not configured")

    async def _payment(self, vendor: str, ours: OurPayment) -> Finding | None:
        assert ours.provider_reference is not None, "only asked once the provider has named it"
        theirs = await self._vendors.payments(vendor).get(ours.provider_reference, CORRELATION_ID)
        line = ListedPayment(booking_id=ours.booking_id, payment_id=ours.payment_id, payment=theirs)
        return judge_payment(vendor, line, ours)

    async def _item(self, question: Question) -> Finding | None:
        async with self._database.transaction() as connection:
            item = await items.get(connection, question.booking_id, question.item_no)
            travellers, _ = await bookings.travellers_of(connection, question.booking_id)
            booking = await bookings.get(connection, question.booking_id)
            (ours,) = await reconciled.items_of(connection, [(question.booking_id, question.item_no)])
        assert booking is not None, "it was listed"
        theirs = await self._vendors.supplier(question.vendor).find(
            LookUp(
                reference=item.client_reference,
                provider_reference=item.provider_booking_ref,
                supplier_state=item.supplier_state,
                travellers=travellers,
                since=booking.created_at,
                correlation_id=CORRELATION_ID,
            )
        )
        if theirs is None:
            return _missing(question, item, ours)
        return judge_reservation(question.vendor, item.client_reference, question.booking_id, theirs, ours)


def _missing(question: Question, item: StoredItem, ours: OurItem) -> Finding | None:
    """The supplier does not know what a trip relies on."""
    if ours.booking_state not in CONFIRMED_STATES or ours.item_state != ItemState.CONFIRMED:
        return None
    return Finding(
        kind="reservation_missing",
        vendor=question.vendor,
        object_id=item.provider_booking_ref or item.client_reference,
        booking_id=question.booking_id,
        reference=item.client_reference,
    )
