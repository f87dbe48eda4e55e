"""A booking to store: two hotel nights and a car, made up."""

from datetime import UTC, date, datetime, timedelta

from schema.money import Money
from schema.offers import CarOffer, HotelOffer
from schema.references import item_reference
from schema.travellers import Traveller
from store.records import NewBooking, NewItem


def _money(minor: int) -> Money:
    return Money(amount_minor=minor, currency="EUR")


def new_booking(client_id: str, booking_id: str) -> NewBooking:
    later = datetime.now(UTC) + timedelta(hours=1)
    hotel = HotelOffer(
        offer_id="off_1", supplier="expedia_rapid", price=_money(500), expires_at=later, refundable=True, holdable=True,
        seats=1, property_id="1", name="Hotel", city="Lisbon", stars=4, room_type="Double", check_in=date(2030, 1, 1),
        check_out=date(2030, 1, 3),
    )  # fmt: skip
    car = CarOffer(
        offer_id="off_2", supplier="expedia_rapid", price=_money(400), expires_at=later, refundable=True, holdable=False,
        seats=1, vendor_name="Cars", car_name="Small", car_class="mini", pickup_place="LIS", dropoff_place="LIS",
        pickup_at=datetime(2030, 1, 1, 9, tzinfo=UTC), dropoff_at=datetime(2030, 1, 3, 9, tzinfo=UTC),
    )  # fmt: skip
    traveller = Traveller.model_validate(
        {
            "title": "mr", "given_name": "A", "family_name": "B", "gender": "m", "date_of_birth": "1990-01-01",
            "email": "a@example.com", "phone_number": "+442080160509",
        }
    )  # fmt: skip
    return NewBooking(
        booking_id=booking_id,
        client_id=client_id,
        idempotency_key="key-of-this-test",
        fingerprint=b"f",
        correlation_id="correlation",
        items=[
            NewItem(
                item_no=number,
                client_reference=item_reference(booking_id, number, 0),
                offer=offer,
                supplier_state={},
                required=True,
            )
            for number, offer in enumerate((hotel, car), 1)
        ],
        travellers=[traveller],
        payment_method="pm_card_visa",
        payment_provider="stripe",
        total=_money(900),
        consent_limit=_money(900),
    )
