"""The trips of the demo: what is booked and how it is paid, what goes wrong on the way, who does what about it, and how it must end.

Facts only, no doing: sandbox/demo_acts.py does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from schema.bookings import Substitution
from schema.states import BookingState

Act = Literal[
    "books",
    "kills_worker",
    "accepts_price",
    "pays_at_paypal",
    "authenticates_card",
    "cancels",
    "asks_desk",
    "delays_flight",
    "cancels_flight",
]
"""What is done in a scenario beside searching and booking."""

TRAVELLER: Final = {
    "title": "ms",
    "given_name": "Amelia",
    "family_name": "Earhart",
    "gender": "f",
    "date_of_birth": "1987-07-24",
    "email": "amelia@example.com",
    "phone_number": "+442080160509",
}

CARD: Final = {"method": "card", "provider": "stripe", "payment_method_id": "pm_card_visa"}
CARD_WITH_3D_SECURE: Final = {**CARD, "payment_method_id": "pm_card_threeDSecure2Required"}
PAYPAL: Final = {"method": "paypal", "provider": "paypal", "payment_method_id": "paypal"}
"""No account kept: the payer approves on PayPal's own page."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One trip."""

    letter: str
    name: str
    title: str
    route: tuple[str, str]
    """No two scenarios share a destination: what a rule makes of a vendor's goods, say a car sold out, is so for everybody."""
    ends: BookingState = BookingState.CONFIRMED
    act: Act = "books"
    payment: Mapping[str, str]
    fault: Mapping[str, object] | None = None
    """A rule of the sandbox's fault plan, for the calls of this trip only."""
    in_words: str = ""
    """What that rule does."""
    tolerance_percent: int = 0
    """The rise of the price that the traveller agrees to beforehand."""
    substitution: Substitution = "never"
    """Whether the same may come from another supplier. Then a flight is chosen that another one has for no more."""
    tells_statement: bool = False
    """Whether the audience is shown the booking's statement."""

    @property
    def key(self) -> str:
        """Idempotency-Key and correlation id. No scenario's may be part of another's: rules are addressed by it."""
        return f"demo-{self.name}"

    @property
    def goes_on(self) -> bool:
        """Whether something befalls the trip after it is confirmed, of which the traveller is told."""
        return self.act in ("delays_flight", "cancels_flight")

    @property
    def provider(self) -> str:
        """Through whom it is paid."""
        return self.payment["provider"]


_HOLD_HOTEL: Final[Mapping[str, object]] = {"vendor": "expedia_rapid", "method": "POST", "path": "/itineraries"}
SCENARIOS: Final = (
    Scenario(letter="a", name="confirmed", title="a trip is booked", route=("LHR", "LIS"), payment=CARD),
    Scenario(
        letter="b",
        name="sold-out",
        title="the car is sold out at the last step: everything is undone",
        route=("DUB", "FCO"),
        ends=BookingState.FAILED,
        payment=CARD,
        fault={"vendor": "duffel", "method": "POST", "path": "/cars/bookings$", "action": "sold_out"},
        in_words="lets the last car be sold just before it is booked",
    ),
    Scenario(
        letter="c",
        name="answer-lost",
        title="the hotel books, its answer is lost: found by our reference",
        route=("CDG", "BCN"),
        payment=CARD,
        fault={**_HOLD_HOTEL, "action": "drop_after"},
        in_words="cuts the line when the hotel has booked and not yet answered",
    ),
    Scenario(
        letter="d",
        name="worker-killed",
        title="the worker is killed with SIGKILL half-way, and comes back",
        route=("AMS", "ATH"),
        act="kills_worker",
        payment=CARD,
        # Slow enough that the flight is held and the hotel is not yet: there the worker dies.
        fault={**_HOLD_HOTEL, "action": "delay", "delay_s": 4},
        in_words="makes the hotel take 4 s",
    ),
    Scenario(
        letter="e",
        name="price-rise",
        title="the flight gets dearer than agreed: the traveller is asked",
        route=("FRA", "MAD"),
        act="accepts_price",
        payment=CARD,
        fault={
            "vendor": "duffel",
            "method": "GET",
            "path": "/air/offers/",
            "action": "price_changed",
            "percent": 18,
        },
        in_words="raises the price of the flight by 18 %",
        tolerance_percent=2,
    ),
    Scenario(
        letter="f",
        name="failover",
        title="the flight is sold out at one supplier: the same flight comes from another",
        route=("LHR", "NCE"),
        payment=CARD,
        fault={"vendor": "duffel", "method": "POST", "path": "/air/orders$", "action": "sold_out"},
        in_words="lets Duffel's last seat be sold just before it is held",
        substitution="same_or_cheaper",
    ),
    Scenario(
        letter="g",
        name="paypal",
        title="a trip is paid with PayPal: the payer approves on PayPal's page",
        route=("MAD", "CDG"),
        act="pays_at_paypal",
        payment=PAYPAL,
    ),
    Scenario(
        letter="h",
        name="three-d-secure",
        title="the bank wants the card authenticated (3-D Secure): the traveller does",
        route=("VIE", "OSL"),
        act="authenticates_card",
        payment=CARD_WITH_3D_SECURE,
    ),
    Scenario(
        letter="i",
        name="refund",
        title="a confirmed trip is cancelled for a fee that is told first; the rest is given back",
        route=("BRU", "PRG"),
        ends=BookingState.CANCELLED,
        act="cancels",
        payment=CARD,
        fault={"vendor": "stripe", "method": "POST", "path": "/refunds$", "action": "refund_pending", "delay_s": 2},
        in_words="makes the bank take 2 s for the refund",
        tells_statement=True,
    ),
    Scenario(
        letter="j",
        name="desk",
        title="nobody can say whether the money was taken: an operator looks and decides",
        route=("ZRH", "CPH"),
        act="asks_desk",
        payment=CARD,
        fault={
            # From the capture on: only that and looking at the payment name it in the path.
            "vendor": "stripe",
            "path": "/payment_intents/pi_",
            "times": None,
            "action": "corrupt",
            "corruption": "garbage",
        },
        in_words="makes Stripe answer gibberish about this payment from the capture on",
        tells_statement=True,
    ),
    Scenario(
        letter="k",
        name="flight-late",
        title="the flight of a confirmed trip is delayed: the traveller is told",
        route=("CDG", "VIE"),
        act="delays_flight",
        payment=CARD,
    ),
    Scenario(
        letter="l",
        name="flight-off",
        title="the flight of a confirmed trip is cancelled: the traveller chooses another, and only then the old one is given up",
        route=("LHR", "ZRH"),
        ends=BookingState.PARTIALLY_CONFIRMED,
        act="cancels_flight",
        payment=CARD,
    ),
)
