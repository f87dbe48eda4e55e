"""What one line of a vendor's list means beside our books."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from activities.judging import judge_payment, judge_refund, judge_reservation, judge_settled
from gateways.ports import ListedPayment, ListedRefund, ProviderPayment, ProviderRefund, Reservation
from schema.money import Money
from schema.references import booking_id_for, item_reference, payment_id_for
from schema.states import BookingState, ItemState, PaymentState
from store.reconciled import OurItem, OurPayment, OurRefunds, SettledBooking

BOOKING = booking_id_for("judged", "trip")
PAID = OurPayment(
    booking_id=BOOKING,
    booking_state=BookingState.CONFIRMED,
    fee_minor=0,
    payment_id=payment_id_for(BOOKING, 0),
    provider="stripe",
    state=PaymentState.CAPTURED,
    provider_reference="pi_1",
    currency="EUR",
    authorised_minor=900,
    captured_minor=900,
    refunded_minor=0,
    ledger=(0, 900, 0),
)
LETGO = replace(PAID, state=PaymentState.VOIDED, captured_minor=0, ledger=(0, 0, 0))
CANCELLED = {"booking_state": BookingState.CANCELLED, "fee_minor": 900}
UNKNOWN = replace(LETGO, booking_state=None, payment_id=None, provider=None, state=None, provider_reference=None)


def listed(status: str, captured: int = 0, refunded: int = 0, *, currency: str = "EUR", named: str = "pi_1"):
    amounts = {"authorised": 900, "captured": captured, "refunded": refunded}
    payment = {name: Money(amount_minor=minor, currency=currency) for name, minor in amounts.items()}
    theirs = ProviderPayment.model_validate({"provider_reference": named, "status": status, **payment})
    return ListedPayment(booking_id=BOOKING, payment_id=PAID.payment_id, payment=theirs)


@pytest.mark.parametrize(
    ("ours", "line", "kind"),
    [
        (PAID, listed("captured", 900), None),
        (PAID, listed("captured", 800), "amount_differs"),
        (PAID, listed("captured", 900, currency="USD"), "amount_differs"),
        (PAID, listed("captured", 900, 100), "refund_by_hand"),
        (PAID, listed("voided"), "amount_differs"),
        (PAID, listed("authorised", named="pi_2"), "open_authorisation"),
        (PAID, listed("captured", 900, named="pi_2"), "paid_without_booking"),
        (replace(PAID, ledger=(900, 0, 0)), listed("captured", 900), "ledger_incomplete"),
        (replace(PAID, refunded_minor=100, ledger=(0, 900, 100)), listed("captured", 900), "amount_differs"),
        (replace(PAID, **CANCELLED), listed("captured", 900), None),
        (replace(PAID, **CANCELLED | {"fee_minor": 100}), listed("captured", 900), "paid_without_booking"),
        (replace(LETGO, booking_state=BookingState.FAILED), listed("voided"), None),
        (replace(LETGO, booking_state=BookingState.FAILED), listed("authorised"), "open_authorisation"),
        (UNKNOWN, listed("authorised"), "open_authorisation"),
        (UNKNOWN, listed("captured", 900), "paid_without_booking"),
        (UNKNOWN, listed("captured", 900, 900), None),
        *((replace(LETGO, booking_state=state), listed("authorised"), None) for state in ("RESERVING", "COMPENSATING")),
    ],
)
def test_a_payment(ours: OurPayment, line: ListedPayment, kind: str | None) -> None:
    found = judge_payment("stripe", line, ours)
    assert (found.kind if found else None) == kind


@pytest.mark.parametrize(
    ("key", "status", "ours", "kind"),
    [
        (None, "succeeded", {}, "refund_by_hand"),
        (None, "failed", {}, None),
        ("k", "succeeded", {"k": "succeeded"}, None),
        ("k", "succeeded", {"k": "began"}, "refund_unfinished"),
        ("k", "pending", {"k": "pending"}, None),
    ],
)
def test_a_refund(key: str | None, status: str, ours: dict[str, str], kind: str | None) -> None:
    refund = {"provider_reference": "re_1", "status": status, "amount": Money(amount_minor=1, currency="EUR")}
    line = ListedRefund(payment_reference="pi_1", key=key, refund=ProviderRefund.model_validate(refund))
    known = OurRefunds(BOOKING, BookingState.CONFIRMED, payment_id_for(BOOKING, 0), ours, frozenset())
    found = judge_refund("stripe", line, known)
    assert (found.kind if found else None) == kind


@pytest.mark.parametrize(
    ("state", "item", "status", "price", "kind"),
    [
        ("CONFIRMED", ItemState.CONFIRMED, "confirmed", 500, None),
        ("CONFIRMED", ItemState.CONFIRMED, "confirmed", 501, "amount_differs"),
        ("CONFIRMED", ItemState.CONFIRMED, "cancelled", 500, "reservation_missing"),
        ("CONFIRMED", ItemState.LEFT_OUT, "confirmed", 500, "reservation_without_owner"),
        ("FAILED", ItemState.RELEASED, "held", 500, "reservation_without_owner"),
        ("FAILED", ItemState.RELEASED, "cancelled", 500, None),
        ("RESERVING", ItemState.PLANNED, "held", 500, None),
        (None, None, "confirmed", 500, "reservation_without_owner"),
    ],
)
def test_a_reservation(state: str | None, item: ItemState | None, status: str, price: int, kind: str | None) -> None:
    ours = OurItem(None if state is None else BookingState(state), item, "ord_1", 500, "EUR")
    paid = {"price": Money(amount_minor=price, currency="EUR")}
    theirs = Reservation.model_validate({"provider_reference": "ord_1", "status": status, **paid})
    found = judge_reservation("duffel", item_reference(BOOKING, 1, 0), BOOKING, theirs, ours)
    assert (found.kind if found else None) == kind


def test_our_own_books_may_contradict_themselves() -> None:
    def kinds(*payments: OurPayment, refunds: int = 0) -> list[str]:
        booking = SettledBooking(BOOKING, BookingState.CONFIRMED, datetime.now(UTC), list(payments), refunds, {})
        return [finding.kind for finding in judge_settled(booking)]

    assert kinds(PAID, LETGO) == []
    assert kinds(LETGO) == ["booked_without_payment"]
    assert kinds(PAID, replace(LETGO, state=PaymentState.AUTHORISED)) == ["open_authorisation"]
    assert kinds(replace(PAID, ledger=(0, 0, 0))) == ["ledger_incomplete"]
    assert kinds(PAID, refunds=1) == ["refund_unfinished"]
