"""Whatever is wrong with what befalls a confirmed trip of the demo is seen."""

import pytest

from sandbox.demo_trip_answers import DisruptionSeen, FlightSeen
from schema.states import BookingState
from tests.demo.endings import changed, effect, euros, good, report_with
from tests.demo.flight_endings import NEW_PRICE
from tests.demo.spoiling import (
    with_disruption,
    with_effects,
    with_money,
    with_new,
    with_new_books,
    with_orders,
    with_segments,
    with_trip,
)

WRONG_ENDINGS = {
    "nobody looked at the trip": ("flight-late", lambda end: changed(end, trip=None)),
    "the delay is not shown": ("flight-late", lambda end: with_segments(end, "confirmed", flight=None)),
    "another delay is shown": (
        "flight-late",
        lambda end: with_segments(end, "confirmed", flight=FlightSeen(phase="scheduled", delay_minutes=5)),
    ),
    "the delay is no disruption": ("flight-late", lambda end: with_trip(end, disruptions=[])),
    "a moved schedule is told": ("flight-late", lambda end: with_disruption(end, kind="schedule_changed")),
    "a choice is offered for a delay": ("flight-late", lambda end: with_disruption(end, state="offered")),
    "no vendor was given a message": ("flight-late", lambda end: with_trip(end, notices=[])),
    "the mail bounced": (
        "flight-late",
        lambda end: with_trip(end, notices=[one.model_copy(update={"status": "bounce"}) for one in end.trip.notices]),
    ),
    "the SMS was sent twice": (
        "flight-late",
        lambda end: with_trip(
            end, notices=[*end.trip.notices, *(one for one in end.trip.notices if one.kind == "sms")]
        ),
    ),
    "nothing was told of a delay": ("flight-late", lambda end: with_trip(end, notices=[], notifications=[])),
    "the old flight was not replaced": ("flight-off", lambda end: with_segments(end, "replaced", state="confirmed")),
    "the new flight is not in the trip": (
        "flight-off",
        lambda end: with_segments(end, "confirmed", booking_id=end.booking.booking_id),
    ),
    "the trip lost its hotel": ("flight-off", lambda end: with_segments(end, "confirmed", "hotel", state="cancelled")),
    "the trip is over": (
        "flight-off",
        lambda end: with_trip(end, itinerary=end.trip.itinerary.model_copy(update={"state": "cancelled"})),
    ),
    "another alternative was chosen": ("flight-off", lambda end: with_disruption(end, chosen=2)),
    "nothing was rebooked": ("flight-off", lambda end: changed(end, rebooking=None)),
    "the new booking failed": (
        "flight-off",
        lambda end: with_new(end, booking=end.rebooking.booking.model_copy(update={"state": BookingState.FAILED})),
    ),
    "the new flight is only held": ("flight-off", lambda end: with_new_books(end, "reservations", status="held")),
    "the new flight was ordered twice": (
        "flight-off",
        lambda end: with_new(
            end,
            books=end.rebooking.books.model_copy(update={"reservations": end.rebooking.books.reservations * 2}),
        ),
    ),
    "too much was taken for the new flight": (
        "flight-off",
        lambda end: with_new_books(end, "payments", captured_minor=NEW_PRICE + 1),
    ),
    "the new flight's authorisation is open": (
        "flight-off",
        lambda end: with_new_books(end, "payments", authorisation_open=True),
    ),
    "the old flight was given up first": (
        "flight-off",
        lambda end: with_effects(end, effect("flight.cancelled", 20.5), but="flight.cancelled"),
    ),
    "the old flight was refunded before the new one was paid": (
        "flight-off",
        lambda end: with_effects(end, effect("payment.refunded", 20.5), but="payment.refunded"),
    ),
    "the new flight was never ticketed": (
        "flight-off",
        lambda end: with_new(end, ledger=[one for one in end.rebooking.ledger if one.type != "flight.ticketed"]),
    ),
    "the old flight stays at the airline": (
        "flight-off",
        lambda end: with_orders(end, but="flight", status="confirmed"),
    ),
    "less is given back than was told": ("flight-off", lambda end: with_money(end, refunded_minor=29_999)),
    "the car went with the flight": ("flight-off", lambda end: with_orders(end, but="car", status="cancelled")),
    "nobody was told of the choice": (
        "flight-off",
        lambda end: with_trip(
            end, notifications=[one for one in end.trip.notifications if one.kind != "alternatives_offered"]
        ),
    ),
}


@pytest.mark.parametrize("what", WRONG_ENDINGS)
def test_a_wrong_ending_is_seen(what):
    name, spoil = WRONG_ENDINGS[what]
    run, ending = good(name)
    report = report_with(name, run, spoil(ending))
    assert report.exit_code == 1
    assert [one.name for one in report.scenarios if not one.ok] == [name]


def offered_with(**changes) -> DisruptionSeen:
    offered = good("flight-off")[0].offered
    spoilt = [one.model_copy(update=changes) for one in offered.alternatives]
    return offered.model_copy(update={"alternatives": spoilt})


@pytest.mark.parametrize(
    "offered",
    [None, offered_with(price=euros(NEW_PRICE - 1)), offered_with(refund=euros(1))],
    ids=["nothing was offered", "another price was shown", "another refund was told"],
)
def test_another_offer_than_was_booked_is_seen(offered):
    run, ending = good("flight-off")
    run.offered = offered
    report = report_with("flight-off", run, ending)
    assert [one.name for one in report.scenarios if not one.ok] == ["flight-off"]
