"""Ids and keys: what they must merge and what they must not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.payments import refund_key, refund_workflow_id_for, refund_workflow_id_of
from schema.references import (
    MAX_GENERATION,
    MAX_ITEMS,
    booking_id_for,
    booking_of_payment,
    booking_of_reference,
    item_reference,
    payment_id_for,
    step_key,
)

BOOKING = booking_id_for("client", "key-12345")
RAPID_LIMIT = 28
"""Expedia Rapid: affiliate_reference_id has 3 to 28 characters."""


def test_the_same_request_is_the_same_booking() -> None:
    assert booking_id_for("client", "key-12345") == BOOKING
    assert len(BOOKING) == 26


@given(st.lists(st.tuples(st.text(), st.text()), min_size=2, max_size=2, unique=True))
def test_other_clients_and_keys_are_other_bookings(pairs: list[tuple[str, str]]) -> None:
    """Also where the two parts joined would be the same text."""
    assert booking_id_for(*pairs[0]) != booking_id_for(*pairs[1])


def test_every_reference_fits_and_leads_back() -> None:
    references = {
        item_reference(BOOKING, item, generation)
        for item in range(1, MAX_ITEMS + 1)
        for generation in range(MAX_GENERATION + 1)
    }
    assert len(references) == MAX_ITEMS * (MAX_GENERATION + 1)
    assert all(len(reference) <= RAPID_LIMIT and booking_of_reference(reference) == BOOKING for reference in references)


@pytest.mark.parametrize(("item", "generation"), [(0, 0), (MAX_ITEMS + 1, 0), (1, MAX_GENERATION + 1), (1, -1)])
def test_a_reference_that_would_not_fit_is_refused(item: int, generation: int) -> None:
    with pytest.raises(ValueError, match="do not fit"):
        item_reference(BOOKING, item, generation)


def test_keys_tell_steps_and_generations_apart() -> None:
    assert step_key(BOOKING, "capture", 0) == f"{BOOKING}:capture:0"
    assert len({step_key(BOOKING, step, n) for step in ("authorise", "capture") for n in (0, 1)}) == 4


def test_a_refunds_key_leads_to_its_workflow() -> None:
    payment_id = payment_id_for(BOOKING, 0)
    key = refund_key(payment_id, "cancellation-3", 1)
    assert refund_workflow_id_of(key) == refund_workflow_id_for(payment_id, "cancellation-3")


def test_a_payment_leads_back_to_its_booking() -> None:
    assert booking_of_payment(payment_id_for(BOOKING, 3)) == BOOKING
    with pytest.raises(ValueError, match="booking id"):
        booking_of_payment("pay_nonsense")
