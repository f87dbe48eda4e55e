"""What clients send. An unknown field is an error; every text has a limit."""

from typing import Annotated

from pydantic import Field

from schema.bookings import Substitution
from schema.model import ClientMessage
from schema.money import MAX_AMOUNT_MINOR, CurrencyCode, Money
from schema.offers import MAX_TRAVELLERS
from schema.references import MAX_ITEMS
from schema.travellers import PaymentMethod, Traveller

_ULID = "[0-7][0-9A-HJKMNP-TV-Z]{25}"
BOOKING_ID_PATTERN = f"^{_ULID}$"
ITINERARY_ID_PATTERN = f"^itn_{_ULID}$"
DISRUPTION_ID_PATTERN = (
    rf"^itn_{_ULID}-[A-Z0-9]{{2}}[0-9]{{1,4}}[A-Z]?-[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}-[A-Z]{{3}}-[0-9]{{1,9}}$"
)
PAYMENT_ID_PATTERN = f"^pay_{_ULID}[0-9a-z]$"
CASE_ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,119}$"

OfferId = Annotated[str, Field(pattern=f"^off_{_ULID}$", examples=["off_01JABCDEFGHJKMNPQRSTVWXYZ0"])]


class Amount(ClientMessage):
    """Money as a client sends it: minor units (cents for EUR, whole yen for JPY), more than nothing, and not too much."""

    amount_minor: Annotated[int, Field(strict=True, ge=1, le=MAX_AMOUNT_MINOR, examples=[123450])]
    currency: CurrencyCode

    def money(self) -> Money:
        return Money(amount_minor=self.amount_minor, currency=self.currency)


class SignedAmount(ClientMessage):
    """A difference in money: minor units, negative where it is given back."""

    amount_minor: Annotated[int, Field(strict=True, ge=-MAX_AMOUNT_MINOR, le=MAX_AMOUNT_MINOR, examples=[4200])]
    currency: CurrencyCode

    def money(self) -> Money:
        return Money(amount_minor=self.amount_minor, currency=self.currency)


class ItemChoice(ClientMessage):
    """One offer to book. One that is not required is left out if it cannot be had; a required one fails the whole trip."""

    offer_id: OfferId
    required: Annotated[bool, Field(strict=True)] = True


class BookingRequest(ClientMessage):
    """A trip to book: its offers, who travels, how it is paid, and the total the client has seen."""

    items: Annotated[list[ItemChoice], Field(min_length=1, max_length=MAX_ITEMS)]
    travellers: Annotated[list[Traveller], Field(min_length=1, max_length=MAX_TRAVELLERS)]
    payment: PaymentMethod
    backup_payment: PaymentMethod | None = None
    """Tried only after the first method certainly had no effect: it was declined, or its provider cannot be reached."""
    expected_total: Amount
    price_tolerance_percent: Annotated[int, Field(strict=True, ge=0, le=5)] = 0
    """Consent given beforehand to a rise of the total by this much; above it, the booking waits for consent."""
    substitution: Substitution = "never"
    """`same_or_cheaper`: where a supplier refuses, the same flight and cabin, hotel and room type, or class of car may come from
    another, for no more. The booking shows what was swapped."""


class PriceAcceptance(ClientMessage):
    """Consent to the new total, and to no more."""

    total: Amount


class CancellationRequest(ClientMessage):
    """Without a token: what would cancelling cost? With the token of that answer: cancel, for that fee."""

    token: Annotated[str, Field(min_length=16, max_length=200, pattern=r"^[!-~]+$")] | None = None
    item_nos: (
        Annotated[
            list[Annotated[int, Field(strict=True, ge=1, le=MAX_ITEMS)]], Field(min_length=1, max_length=MAX_ITEMS)
        ]
        | None
    ) = None
    """Which items, by default all that are confirmed; only in the question, the token knows."""


class BookingsQuery(ClientMessage):
    """Paging through bookings, newest first."""

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[A-Za-z0-9_=-]+$")] | None = None
    """`next_cursor` of the page before."""


class ItinerariesQuery(ClientMessage):
    """Paging through itineraries, the one that begins last first."""

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[A-Za-z0-9_=-]+$")] | None = None
    """`next_cursor` of the page before."""


class BookingQuery(ClientMessage):
    live: bool = False
    """Ask the running workflow as well, for what it waits for and until when."""


class EventsQuery(ClientMessage):
    after: Annotated[int, Field(ge=-1, le=2**31 - 1)] = -1
    """Only events with a higher version."""
