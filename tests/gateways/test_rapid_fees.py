"""What Rapid keeps when a stay is cancelled: penalties, nights that are not refundable, and what was refunded."""

from __future__ import annotations

from datetime import timedelta

import pytest

from schema.money import Money
from tests.gateways.documents import HELD_HOTEL_STATE, itinerary, ok, priced, room
from tests.gateways.support import NOW, Vendor, hotels, reservation

YESTERDAY, TOMORROW = (NOW + timedelta(days=days) for days in (-1, 1))


def penalty(start=YESTERDAY, end=TOMORROW, **terms: object) -> dict:
    return {"start": start.isoformat(), "end": end.isoformat(), "currency": "EUR", **terms}


FIRST_NIGHT = itinerary()["rooms"][0]["checkin"]
FEES = [
    ({}, 0),
    ({"refundable": False}, 12340),
    ({"cancel_penalties": [penalty(amount="20.00")]}, 2000),
    ({"cancel_penalties": [penalty(percent="30%")]}, 3702),
    ({"cancel_penalties": [penalty(percent="30.5")]}, 3764),
    ({"cancel_penalties": [penalty(nights="1")]}, 6170),
    ({"cancel_penalties": [penalty(amount="20.00", percent="10%")]}, 3234),
    ({"cancel_penalties": [penalty(amount="999.00")]}, 12340),
    ({"cancel_penalties": [penalty(nights="9")]}, 12340),
    ({"cancel_penalties": [penalty(amount="20.00", currency="USD")]}, 12340),
    ({"cancel_penalties": [penalty(start=TOMORROW, end=TOMORROW + timedelta(days=1), amount="20.00")]}, 0),
    ({"cancel_penalties": [penalty(start=YESTERDAY - timedelta(days=1), end=YESTERDAY, amount="20.00")]}, 12340),
    ({"cancel_penalties": [penalty(amount="20.00"), penalty(amount="30.00")]}, 3000),
    ({"refundable": False, "cancel_penalties": [penalty(percent="100%")]}, 12340),
    ({"nonrefundable_date_ranges": [{"start": FIRST_NIGHT, "end": FIRST_NIGHT}]}, 6170),
    ({"nonrefundable_date_ranges": [{"start": "2000-01-01", "end": "2099-01-01"}]}, 12340),
    ({"nonrefundable_date_ranges": [{"start": "2000-01-01", "end": "2000-01-01"}]}, 0),
    (
        {
            "nonrefundable_date_ranges": [{"start": FIRST_NIGHT, "end": FIRST_NIGHT}],
            "cancel_penalties": [penalty(amount="20.00")],
        },
        8170,
    ),
    ({"pricing": priced("130.00"), "nonrefundable_date_ranges": [{"start": "2000-01-01", "end": "2099-01-01"}]}, 13000),
]


@pytest.mark.parametrize(("terms", "fee_minor"), FEES)
async def test_what_cancelling_costs(terms, fee_minor):
    supplier = hotels(Vendor(ok(itinerary(room(**terms)))))
    fee = await supplier.cancellation_fee(reservation(HELD_HOTEL_STATE), "trip-1")
    assert fee.fee == Money(amount_minor=fee_minor, currency="EUR")


async def test_a_penalty_counts_by_the_hotels_clock():
    """The same moment, written with the hotel's offset."""
    in_an_hour = (NOW + timedelta(hours=1)).astimezone(tz=None).isoformat()
    terms = {
        "cancel_penalties": [{"start": in_an_hour, "end": (NOW + timedelta(days=9)).isoformat(), "amount": "20.00"}]
    }
    fee = await hotels(Vendor(ok(itinerary(room(**terms))))).cancellation_fee(reservation(HELD_HOTEL_STATE), "trip-1")
    assert fee.fee == Money.zero("EUR")


@pytest.mark.parametrize(
    ("terms", "fee_minor"),
    [
        ({"cancel_refund": {"amount": "-100.00", "currency": "EUR"}}, 2340),
        ({"cancel_refund": {"amount": -100.0, "currency": "EUR"}}, 2340),
        ({"cancel_refund": {"amount": "-100.00", "currency": "USD"}, "cancel_penalties": [penalty(amount="5")]}, 500),
        ({"cancel_penalties": [penalty(amount="5")]}, 500),
    ],
)
async def test_what_cancelling_has_cost(terms, fee_minor):
    supplier = hotels(Vendor(ok(itinerary(room("canceled", **terms)))))
    assert (await supplier.cancel(reservation(HELD_HOTEL_STATE), "trip-1")).fee.amount_minor == fee_minor


@pytest.mark.parametrize("shown", [ok(itinerary({"id": "7"}, held=True)), ok(itinerary(held=True))])
async def test_a_hold_costs_nothing(shown):
    fee = await hotels(Vendor(shown)).cancellation_fee(reservation(HELD_HOTEL_STATE, "held"), "trip-1")
    assert fee.fee == Money.zero("EUR")
