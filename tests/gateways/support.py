"""A scripted vendor, gateways that talk to it, and what they are asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

import httpx
import pytest

from gateways.duffel import DuffelFlights
from gateways.duffel_cars import DuffelCars
from gateways.http import VendorHttp
from gateways.ports import LookUp, PaymentRequest, Reservation, ReservationRequest, SupplierState
from gateways.rapid import BILLING_ADDRESS, RapidHotels
from gateways.rapid_wire import RapidWire
from gateways.stripe import StripePayments
from schema.errors import InvariantBroken, OutcomeUnclear, VendorContractBroken, VendorUnavailable
from schema.money import Money
from schema.offers import SearchRequest
from schema.outcomes import Rejected
from schema.references import booking_id_for, item_reference, payment_id_for
from schema.travellers import Traveller

CORRELATION_ID = "trip-1"
BOOKING_ID = booking_id_for("tests", "key")
REFERENCE = item_reference(BOOKING_ID, 1, 0)
PAYMENT_ID = payment_id_for(BOOKING_ID, 0)
PRICE = Money(amount_minor=12340, currency="EUR")
NOW = datetime.now(UTC)
DEPARTURE = NOW.date() + timedelta(days=40)
WEBHOOK_SECRET = "whsec_tests"
DEADLINE_S = 10
Found = TypeVar("Found")
Answer = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


LOST = httpx.ReadError("gone")
NOT_CONNECTED = httpx.ConnectError("no")


def short(result: object) -> str:
    """An outcome or error in a word: `confirmed`, `sold_out`, `unknown`, `VendorUnavailable`."""
    if isinstance(result, Rejected):
        return result.code
    return getattr(result, "kind", type(result).__name__)


async def ending(attempt: Awaitable[Any]) -> str:
    """How a create ended: its outcome, or what it raised."""
    try:
        result = await attempt
    except (VendorUnavailable, OutcomeUnclear, VendorContractBroken, InvariantBroken) as error:
        return short(error)
    outcomes = [one for one in (result if isinstance(result, tuple) else (result,)) if hasattr(one, "kind")]
    return short(outcomes[0])


async def eventually(question: Callable[[], Awaitable[Found | None]], what: str) -> Found:
    """Ask until the answer is truthy."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            while True:
                if answer := await question():
                    return answer
                await asyncio.sleep(0.005)
    except TimeoutError:
        pytest.fail(f"not within {DEADLINE_S} s: {what}")


def named(faults: list[Any]) -> list[Any]:
    """Parameter sets that begin with a fault, named for it."""
    return [pytest.param(*case, id=f"{case[0]['action']}-{case[0].get('status', '')}") for case in faults]


class Vendor:
    """Gives its answers in order and keeps what it was asked. An exception is raised where the network would."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def http(self, vendor: str, base_url: str) -> VendorHttp:
        return VendorHttp(
            vendor,
            base_url,
            booking_timeout_s=5,
            read_timeout_s=5,
            transport=httpx.MockTransport(self._answer),
        )

    def asked(self) -> list[str]:
        """Method and path of each request."""
        return [f"{request.method} {request.url.path}" for request in self.requests]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer(request) if callable(answer) else answer


def flights(vendor: Vendor) -> DuffelFlights:
    return DuffelFlights(vendor.http("duffel", "https://api.duffel.com"), "duffel_test_x", read_timeout_s=5)


def cars(vendor: Vendor) -> DuffelCars:
    return DuffelCars(vendor.http("duffel", "https://api.duffel.com"), "duffel_test_x", offer_ttl_s=1800)


def hotels(vendor: Vendor, base_url: str = "https://test.ean.com") -> RapidHotels:
    wire = RapidWire(
        vendor.http("expedia_rapid", base_url), "key", "secret", customer_ip="203.0.113.7", test_header="standard"
    )
    return RapidHotels(wire, billing_address=BILLING_ADDRESS, offer_ttl_s=1800)


def payments(vendor: Vendor) -> StripePayments:
    return StripePayments(
        vendor.http("stripe", "https://api.stripe.com"), api_key="sk_test_x", webhook_secret=WEBHOOK_SECRET
    )


def travellers(count: int = 1) -> list[Traveller]:
    return [
        Traveller(
            title="ms",
            given_name="Amelia",
            family_name=f"Earhart{'abcdefghi'[number]}",
            gender="f",
            date_of_birth=date(1987, 7, 24),
            email=f"amelia+{number}@example.com",
            phone_number="+442080160509",
        )
        for number in range(count)
    ]


def search_request(**changes: object) -> SearchRequest:
    return SearchRequest.model_validate(
        {
            "origin": "LHR",
            "destination": "CDG",
            "departure_date": DEPARTURE,
            "return_date": DEPARTURE + timedelta(days=3),
            **changes,
        }
    )


def reservation_request(state: SupplierState, price: Money = PRICE, count: int = 1) -> ReservationRequest:
    return ReservationRequest(
        reference=REFERENCE,
        price=price,
        supplier_state=state,
        travellers=travellers(count),
        correlation_id=CORRELATION_ID,
    )


def look_up(state: SupplierState, provider_reference: str | None = None, since: datetime = NOW) -> LookUp:
    return LookUp(
        reference=REFERENCE,
        provider_reference=provider_reference,
        supplier_state=state,
        travellers=travellers(),
        since=since,
        correlation_id=CORRELATION_ID,
    )


def reservation(state: SupplierState, status: str = "confirmed", reference: str = "ord_1") -> Reservation:
    return Reservation.model_validate(
        {"provider_reference": reference, "status": status, "price": PRICE, "supplier_state": state}
    )


def payment_request(**changes: object) -> PaymentRequest:
    return PaymentRequest.model_validate(
        {
            "idempotency_key": f"{BOOKING_ID}:authorise:0",
            "booking_id": BOOKING_ID,
            "payment_id": PAYMENT_ID,
            "amount": PRICE,
            "payment_method": "pm_card_visa",
            "provider_reference": "pi_1",
            "correlation_id": CORRELATION_ID,
            **changes,
        }
    )
