"""What befell the flights of the demo's trips, with everything as it must be, for tests to spoil."""

from datetime import UTC, datetime, timedelta

from sandbox.demo_answers import BookingSeen, Effect, ItemSeen, PaymentNamed, PaymentSeen, VendorBooks, VendorPayment
from sandbox.demo_answers import VendorReservation as Reservation
from sandbox.demo_run import Booked
from sandbox.demo_scenarios import Scenario
from sandbox.demo_told import DELAY_MINUTES, TOLD_BY, TOLD_OF_CANCELLATION, TOLD_OF_DELAY
from sandbox.demo_trip_answers import (
    AlternativeSeen,
    DetailsSeen,
    DisruptionSeen,
    FlightSeen,
    ItinerarySeen,
    NotificationSeen,
    SegmentSeen,
    StartSeen,
    TripSeen,
    VendorNotice,
)
from schema.itineraries import itinerary_id_for
from schema.money import Money
from schema.notifications import notification_id_for
from schema.references import booking_id_for, item_reference, payment_id_for
from schema.states import BookingState, ItemState, PaymentState

REBOOKING_ID = booking_id_for("demo", "of what was chosen")
NEW_PRICE = 31_000
START = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)
VENDORS = {"email": "sendgrid", "sms": "twilio", "push": "fcm"}


def euros(amount_minor: int) -> Money:
    return Money(amount_minor=amount_minor, currency="EUR")


def trip_of(scenario: Scenario, booking_id: str) -> TripSeen:
    """After its end."""
    off = scenario.act == "cancels_flight"
    origin, destination = scenario.route
    flights = [(booking_id, "replaced" if off else "confirmed", 1, 0 if off else DELAY_MINUTES)]
    flights += [(REBOOKING_ID, "confirmed", 4, 0)] * off
    there = [
        SegmentSeen(
            segment_no=number,
            booking_id=of,
            state=state,
            details=DetailsSeen(
                kind="flight", carrier="BA", number=str(number), origin=origin, destination=destination
            ),
            starts=StartSeen(local=START),
            flight=FlightSeen(phase="scheduled", delay_minutes=late),
        )
        for of, state, number, late in flights
    ]
    stays = [
        SegmentSeen(
            segment_no=number,
            booking_id=booking_id,
            state="confirmed",
            details=DetailsSeen(kind=kind),
            starts=StartSeen(local=START),
            flight=None,
        )
        for number, kind in ((2, "hotel"), (3, "car"))
    ]
    kinds = TOLD_OF_CANCELLATION if off else TOLD_OF_DELAY
    itinerary_id = itinerary_id_for(booking_id)
    ids = {
        (kind, channel): notification_id_for(itinerary_id, kind, 2, channel, "")
        for kind in kinds
        for channel in TOLD_BY
    }
    return TripSeen(
        itinerary=ItinerarySeen(
            itinerary_id=itinerary_id, state="active", segments=[*there, *stays], trip_page="http://api/trips/1?token=2"
        ),
        disruptions=[disruption_of(scenario, closed=True)],
        notifications=[
            NotificationSeen(
                notification_id=ours, subject=itinerary_id, kind=kind, channel=channel, state=TOLD_BY[channel]
            )
            for (kind, channel), ours in ids.items()
        ],
        notices=[notice(ours, channel) for (_, channel), ours in ids.items()],
    )


def notice(notification_id: str, channel: str) -> VendorNotice:
    return VendorNotice(
        vendor=VENDORS[channel],
        kind=channel,
        object_id="1",
        metadata={"notification_id": notification_id},
        to=["somebody"],
        status=TOLD_BY[channel],
        created_at=START,
    )


def disruption_of(scenario: Scenario, *, closed: bool) -> DisruptionSeen:
    off = scenario.act == "cancels_flight"
    old = euros(30_000)
    first = AlternativeSeen(
        number=1, segments=[], price=euros(NEW_PRICE), refund=old, difference=euros(NEW_PRICE) - old
    )
    return DisruptionSeen(
        disruption_id="itn_1-BA1-2026-06-01-LHR-1",
        segment_no=1,
        kind="flight_cancelled" if off else "flight_delayed",
        state=("rebooked" if closed else "offered") if off else "informed",
        alternatives=[first] if off else [],
        chosen=1 if off and closed else None,
        rebooking_id=REBOOKING_ID if off and closed else None,
        opened_at=START,
        closed_at=START if closed else None,
    )


def rebooking() -> Booked:
    """The booking of the alternative that was chosen: its flight and its money were had before anything was given up."""
    payment_id = payment_id_for(REBOOKING_ID, 0)
    item = ItemSeen(
        item_no=1,
        kind="flight",
        supplier="supplier",
        summary="flight",
        state=ItemState.CONFIRMED,
        price=euros(NEW_PRICE),
        replaces=[],
    )
    payment = PaymentNamed(payment_id=payment_id, state=PaymentState.CAPTURED)
    return Booked(
        booking=BookingSeen(
            booking_id=REBOOKING_ID,
            state=BookingState.CONFIRMED,
            reason=None,
            waiting_for=None,
            total=euros(NEW_PRICE),
            consent_limit=euros(NEW_PRICE),
            items=[item],
            payments=[payment],
        ),
        payments=[
            PaymentSeen(
                **payment.model_dump(), authorised=euros(NEW_PRICE), captured=euros(NEW_PRICE), refunded=euros(0)
            )
        ],
        events=[],
        books=VendorBooks(
            reservations=[
                Reservation(
                    vendor="supplier",
                    kind="flight",
                    object_id="new order",
                    metadata={"reference": item_reference(REBOOKING_ID, 1, 0)},
                    status="confirmed",
                    price_minor=NEW_PRICE,
                    currency="EUR",
                )
            ],
            payments=[
                VendorPayment(
                    vendor="stripe",
                    object_id="pi_new",
                    metadata={"payment_id": payment_id},
                    status="succeeded",
                    authorised_minor=NEW_PRICE,
                    captured_minor=NEW_PRICE,
                    refunded_minor=0,
                    currency="EUR",
                    authorisation_open=False,
                )
            ],
        ),
        ledger=[done("flight.ticketed", 20), done("payment.captured", 21)],
    )


def given_up() -> list[Effect]:
    """What the old booking's vendors did last."""
    return [done("flight.cancelled", 22), done("payment.refunded", 23)]


def done(kind: str, seconds: float) -> Effect:
    at = START + timedelta(seconds=seconds)
    return Effect(at=at, vendor="supplier", type=kind, object_id="1", amount_minor=None, currency=None)
