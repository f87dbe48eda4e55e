"""Whole trips in the books: two flights, a hotel and a car, as they stand when a saga has confirmed them."""

from datetime import UTC, date, datetime

from schema.bookings import StateChange
from schema.money import Money
from schema.offers import CarOffer, FlightOffer, FlightSegment, HotelOffer
from schema.outcomes import Confirmed
from schema.references import booking_id_for, item_reference, new_id
from schema.states import BookingState, ItemState
from store import bookings, items
from store.database import Database
from store.records import NewBooking, NewItem
from tests.saga.harness import traveller

PRICE = Money(amount_minor=10_000, currency="EUR")
COMMON = {
    "price": PRICE,
    "expires_at": datetime(2027, 1, 1, tzinfo=UTC),
    "refundable": True,
    "holdable": True,
    "seats": 1,
}


def flight(number: str = "101", back: str = "102", day: date = date(2027, 2, 1)) -> FlightOffer:
    def segment(number: str, origin: str, destination: str, day: int, hour: int) -> FlightSegment:
        at = datetime(2027, 2, day, hour)  # noqa: DTZ001  # by the clock of the airport
        return FlightSegment(
            carrier="ZZ",
            number=number,
            origin=origin,
            destination=destination,
            departs_at=at,
            arrives_at=at.replace(hour=hour + 3),
        )

    segments = [segment(number, "LHR", "LIS", day.day, 9), segment(back, "LIS", "LHR", day.day + 4, 18)]
    return FlightOffer(offer_id=new_id("off"), supplier="duffel", cabin="economy", segments=segments, **COMMON)


def hotel() -> HotelOffer:
    return HotelOffer(
        offer_id=new_id("off"),
        supplier="expedia_rapid",
        property_id="1",
        name="Casa",
        city="Lisbon",
        stars=4,
        room_type="double",
        check_in=date(2027, 2, 1),
        check_out=date(2027, 2, 5),
        **COMMON,
    )


def car() -> CarOffer:
    return CarOffer(
        offer_id=new_id("off"),
        supplier="duffel_cars",
        vendor_name="Avis",
        car_name="Fiat 500",
        car_class="mini",
        pickup_place="Lisbon airport",
        dropoff_place="Lisbon airport",
        airport="LIS",
        pickup_at=datetime(2027, 2, 1, 13),  # noqa: DTZ001
        dropoff_at=datetime(2027, 2, 5, 16),  # noqa: DTZ001
        **COMMON,
    )


async def a_booking(
    database: Database,
    client_id: str,
    *,
    kinds: tuple[str, ...] = ("flight", "hotel", "car"),
    itinerary_id: str | None = None,
    number: str = "101",
) -> str:
    """In the books, PENDING; the id."""
    made = {"flight": flight(number), "hotel": hotel(), "car": car()}
    booking_id = booking_id_for(client_id, new_id("key"))
    new = NewBooking(
        booking_id=booking_id,
        client_id=client_id,
        idempotency_key=new_id("key"),
        fingerprint=b"test",
        correlation_id=new_id("cor"),
        items=[
            NewItem(
                item_no=item_no,
                client_reference=item_reference(booking_id, item_no, 0),
                required=True,
                offer=made[kind],
                supplier_state={},
            )
            for item_no, kind in enumerate(kinds, 1)
        ],
        travellers=[traveller()],
        payment_method="pm_card_visa",
        payment_provider="stripe",
        total=Money(amount_minor=PRICE.amount_minor * len(kinds), currency="EUR"),
        consent_limit=Money(amount_minor=PRICE.amount_minor * len(kinds), currency="EUR"),
        itinerary_id=itinerary_id,
    )
    async with database.transaction() as connection:
        assert await bookings.create(connection, new)
    return booking_id


async def confirm(database: Database, booking_id: str) -> int:
    """Every item is confirmed and so is the booking; its version."""
    async with database.transaction() as connection:
        booking = await bookings.get(connection, booking_id)
        assert booking is not None
        for item in booking.items:
            confirmed = Confirmed(provider_reference=new_id("ord"), record_locator="ABC123")
            await items.reserved(connection, booking_id, item.item_no, ItemState.CONFIRMED, confirmed, {})
        states = (BookingState.AWAITING_PAYMENT, BookingState.RESERVING, BookingState.CONFIRMED)
        for version, state in enumerate(states, 1):
            await bookings.record(connection, StateChange(booking_id=booking_id, version=version, state=state))
    return len(states)
