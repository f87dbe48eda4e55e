"""What becomes of a booking whose workflow is gone: decided from the books alone, on the safe side."""

from activities.second_look import Known, Left, SecondLook, unfinished_refund
from schema.bookings import OutstandingEffect
from schema.model import Message
from schema.money import Money
from schema.payments import cancellation_workflow_id_for
from schema.reconciliation import Decision, ItemLeft, RefundLeft
from schema.states import CONFIRMED_STATES, BookingState, ItemState
from store.payments import StoredPayment
from store.records import StoredEvent, StoredItem

_PARKED = (BookingState.NEEDS_OPERATOR, BookingState.REFUND_PENDING)
_DONE = (ItemState.CONFIRMED, ItemState.LEFT_OUT)


class Ending(Message):
    """How it ends; `going_on`: the state it is in while somebody works on its end."""

    decision: Decision
    ends_as: BookingState = BookingState.FAILED
    going_on: BookingState = BookingState.COMPENSATING
    total: Money | None = None
    fee: Money | None = None


class Abandoned:
    """One booking that is not settled, and that nobody works on."""

    def __init__(
        self, look: SecondLook, known: Known, events: list[StoredEvent], claimed: list[str], items: list[ItemLeft]
    ) -> None:
        """`claimed`: ids of the cancellations that were accepted. `items`: every item, to be undone if it comes to that."""
        self._look = look
        self._known = known
        self._events = events
        self._claimed = claimed
        self._items = items

    async def end(self) -> tuple[Ending, Left]:
        """Raises as the vendors' reads do."""
        booking = self._known.booking
        assert booking is not None, "it was found in our books"
        left = self._look.left
        taken: list[StoredPayment] = []
        kept_minor = 0
        for stored in self._known.payments:
            theirs = await self._look.theirs(stored)
            if theirs is None:
                left.payments.append(self._look.payment_left(stored, None))
                continue
            proven, refunds = await self._look.prove(stored, theirs)
            kept_minor += theirs.captured.amount_minor - theirs.refunded.amount_minor
            taken += [proven] if theirs.captured.amount_minor else []
            unfinished = [unfinished_refund(one) for one in refunds if one.status in ("began", "pending")]
            left.payments += [self._look.payment_left(proven, refund) for refund in unfinished or [None]]
        ending = self._ending(booking.items, taken)
        if ending.going_on == BookingState.CANCELLING:
            self._cancel(left, taken, kept_minor, booking.fee)
        if ending.decision == "undo":
            left.items += self._items
        elif ending.decision == "confirm":
            left.payments.clear()
        else:
            left.payments.clear()
            left.for_people += [
                OutstandingEffect(
                    vendor=payment.provider,
                    step="payment",
                    reference=payment.payment_id,
                    provider_reference=payment.provider_reference,
                    amount=payment.captured - payment.refunded,
                    problem=f"its workflow is gone while it was {booking.state}, and the money was taken",
                )
                for payment in taken
            ]
            left.for_people = left.for_people or [self._nothing_taken()]
        return ending, left

    def _nothing_taken(self) -> OutstandingEffect:
        booking_id = self._known.booking_id
        return OutstandingEffect(
            vendor="temporal", step="workflow_gone", reference=booking_id, problem="its cancellation was not finished"
        )

    def _ending(self, items: list[StoredItem], taken: list[StoredPayment]) -> Ending:
        cancelled = [event for event in self._events if event.state == BookingState.CANCELLING]
        confirmed = [event for event in self._events if event.state in CONFIRMED_STATES]
        if cancelled:
            booking_id, version = self._known.booking_id, cancelled[-1].version - 1
            whole = cancellation_workflow_id_for(booking_id, version)
            partly = any(each.startswith(f"{whole}-") for each in self._claimed)
            if not partly:
                return Ending(decision="undo", ends_as=BookingState.CANCELLED, going_on=BookingState.CANCELLING)
            ends_as = BookingState.PARTIALLY_CONFIRMED if confirmed else BookingState.CANCELLED
            return Ending(decision="ask", ends_as=ends_as, going_on=BookingState.CANCELLING)
        states = [event.state for event in self._events]
        undoing = BookingState.COMPENSATING in states
        if taken and not undoing and BookingState.RESERVING in states:
            if all(item.state in _DONE for item in items) and any(item.state == ItemState.CONFIRMED for item in items):
                complete = all(item.state == ItemState.CONFIRMED for item in items)
                ends_as = BookingState.CONFIRMED if complete else BookingState.PARTIALLY_CONFIRMED
                return Ending(decision="confirm", ends_as=ends_as, total=taken[-1].captured)
            return Ending(decision="ask")
        wished = any(
            event.state == BookingState.COMPENSATING and event.data.get("reason") == "cancelled_by_traveller"
            for event in self._events
        )
        return Ending(decision="undo", ends_as=BookingState.CANCELLED if wished else BookingState.FAILED)

    def _cancel(self, left: Left, taken: list[StoredPayment], kept_minor: int, fee: Money) -> None:
        """What was accepted is finished: everything is cancelled, and all but the fee goes back, under the cancellation's own key."""
        version = max(event.version for event in self._events if event.state == BookingState.CANCELLING) - 1
        left.payments = [entry for entry in left.payments if entry.refund is not None]
        due_minor = kept_minor - fee.amount_minor
        if taken and not left.payments and due_minor > 0:
            amount = Money(amount_minor=due_minor, currency=fee.currency)
            refund = RefundLeft(amount=amount, reason_key=f"cancellation-{version}", generation=0)
            left.payments.append(self._look.payment_left(taken[-1], refund))
