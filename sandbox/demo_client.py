"""The demo's two ends of the line: TravelHub's API, spoken to as any client would, and the vendors' own books.

The models are the demo's own reading of the documented answers; what it does not need it leaves out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Final, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from sandbox.stack_state import StackState
from schema.model import Message
from schema.money import Money
from schema.offers import Kind
from schema.states import BookingState, ItemState, PaymentState

ANSWER_WITHIN_S: Final = 15
"""One HTTP call; longer only on a machine that hardly moves."""
_LOOK_EVERY_S: Final = 0.2
_SHOWN_OF_AN_ANSWER: Final = 300

_Found = TypeVar("_Found")
_Answer = TypeVar("_Answer", bound=Message)


class DemoError(Exception):
    """Why a scenario could not go on, in words, with the log that may tell more."""


class SameElsewhere(Message):
    """An equal offer of another supplier, listed with the cheapest."""

    supplier: str
    offer_id: str
    price: Money


class OfferSeen(Message):
    """An offer of `POST /v1/searches`."""

    offer_id: str
    supplier: str
    kind: Kind
    price: Money
    holdable: bool
    also_from: list[SameElsewhere]


class Replaced(Message):
    """An offer that its supplier refused, so that another one's took its place."""

    supplier: str
    price: Money
    reason: str


class ItemSeen(Message):
    item_no: int
    kind: Kind
    supplier: str
    summary: str
    state: ItemState
    price: Money
    replaces: list[Replaced]


class PaymentNamed(Message):
    payment_id: str


class BookingSeen(Message):
    """`GET /v1/bookings/{id}`."""

    booking_id: str
    state: BookingState
    reason: str | None
    waiting_for: str | None
    total: Money
    consent_limit: Money
    items: list[ItemSeen]
    payments: list[PaymentNamed]


class PaymentSeen(Message):
    """`GET /v1/payments/{id}`."""

    payment_id: str
    state: PaymentState
    authorised: Money
    captured: Money
    refunded: Money


class EventSeen(Message):
    state: BookingState
    data: dict[str, object]
    created_at: datetime


class CaseSeen(Message):
    booking_id: str
    reason: str


class VendorReservation(Message):
    """One line of a supplier's books."""

    vendor: str
    kind: str
    object_id: str
    metadata: dict[str, object]
    status: str
    price_minor: int | None
    currency: str | None

    @property
    def live(self) -> bool:
        """Somebody has a seat, a bed or a car because of it."""
        return self.status in ("held", "confirmed")

    @property
    def reference(self) -> str:
        """Ours, as the supplier keeps it."""
        return str(self.metadata.get("reference", ""))


class VendorPayment(Message):
    """One line of the payment provider's books."""

    vendor: str
    object_id: str
    metadata: dict[str, object]
    status: str
    authorised_minor: int
    captured_minor: int
    refunded_minor: int
    currency: str
    authorisation_open: bool


class VendorBooks(Message):
    reservations: list[VendorReservation]
    payments: list[VendorPayment]


class Effect(Message):
    """One entry of a vendor's append-only ledger."""

    at: datetime
    vendor: str
    type: str
    object_id: str
    amount_minor: int | None
    currency: str | None


class FaultSeen(Message):
    """A rule of the sandbox's fault plan, with how often it met its call and how often it struck."""

    id: str
    action: str
    path: str | None
    matched: int
    fired: int


class _Offers(Message):
    offers: list[OfferSeen]


class _Events(Message):
    events: list[EventSeen]


class _Cases(Message):
    cases: list[CaseSeen]


class _Decision(Message):
    message: str


_LEDGER: TypeAdapter[list[Effect]] = TypeAdapter(list[Effect])
_FAULTS: TypeAdapter[list[FaultSeen]] = TypeAdapter(list[FaultSeen])


async def until(look: Callable[[], Awaitable[_Found | None]], *, what: str, within_s: float, log: Path) -> _Found:
    """Looks until there is something to be seen. Raises DemoError that says what was waited for, and where to read on."""
    last = ""
    try:
        async with asyncio.timeout(within_s):
            while True:
                try:
                    found = await look()
                except httpx.TransportError as error:
                    last = f" (last: {type(error).__name__})"
                else:
                    if found is not None:
                        return found
                await asyncio.sleep(_LOOK_EVERY_S)
    except TimeoutError:
        raise DemoError(f"waited {within_s:.0f} s for {what} in vain{last}; {log} may tell why") from None


def _checked(answer: httpx.Response, log: Path) -> httpx.Response:
    if answer.is_success:
        return answer
    asked = f"{answer.request.method} {answer.request.url.path}"
    raise DemoError(f"{asked} answered {answer.status_code}: {answer.text[:_SHOWN_OF_AN_ANSWER]}; see {log}")


@dataclass(frozen=True)
class TravelApi:
    """TravelHub as one API client sees it, with that client's token."""

    http: httpx.AsyncClient
    log: Path

    async def search(self, origin: str, destination: str, leave_on: date, return_on: date) -> list[OfferSeen]:
        trip = {"origin": origin, "destination": destination}
        days = {"departure_date": leave_on.isoformat(), "return_date": return_on.isoformat()}
        return (await self._post("/v1/searches", {**trip, **days}, _Offers)).offers

    async def book(self, body: Mapping[str, object], key: str) -> BookingSeen:
        """The key also names the request in every log and at every vendor, which makes this booking addressable there."""
        headers = {"Idempotency-Key": key, "X-Correlation-Id": key}
        return await self._post("/v1/bookings", body, BookingSeen, headers)

    async def booking(self, booking_id: str) -> BookingSeen:
        return await self._get(f"/v1/bookings/{booking_id}", BookingSeen)

    async def events(self, booking_id: str) -> list[EventSeen]:
        return (await self._get(f"/v1/bookings/{booking_id}/events", _Events)).events

    async def payment(self, payment_id: str) -> PaymentSeen:
        return await self._get(f"/v1/payments/{payment_id}", PaymentSeen)

    async def accept_price(self, booking_id: str, total: Money, key: str) -> str:
        path, body = f"/v1/bookings/{booking_id}/price-acceptance", {"total": total.model_dump()}
        return (await self._post(path, body, _Decision, {"Idempotency-Key": key})).message

    async def cases(self) -> list[CaseSeen]:
        """Open review cases; an operator's token is needed."""
        return (await self._get("/v1/ops/cases", _Cases)).cases

    async def _get(self, path: str, model: type[_Answer]) -> _Answer:
        return self._read(await self.http.get(path), model)

    async def _post(
        self, path: str, body: Mapping[str, object], model: type[_Answer], headers: Mapping[str, str] | None = None
    ) -> _Answer:
        return self._read(await self.http.post(path, json=body, headers=headers), model)

    def _read(self, answer: httpx.Response, model: type[_Answer]) -> _Answer:
        try:
            return model.model_validate_json(_checked(answer, self.log).content)
        except ValidationError as error:
            raise DemoError(f"{answer.request.url.path} answered something undocumented: {error}") from None


@dataclass(frozen=True)
class VendorDesk:
    """The simulated vendors' books and their fault plan."""

    http: httpx.AsyncClient
    log: Path

    async def plan(self, rule: Mapping[str, object]) -> FaultSeen:
        answer = await self.http.post("/_sandbox/faults", json=rule)
        return FaultSeen.model_validate_json(_checked(answer, self.log).content)

    async def planned(self) -> list[FaultSeen]:
        return _FAULTS.validate_json(_checked(await self.http.get("/_sandbox/faults"), self.log).content)

    async def books(self, booking_id: str) -> VendorBooks:
        answer = await self.http.get("/_sandbox/books", params={"contains": booking_id})
        return VendorBooks.model_validate_json(_checked(answer, self.log).content)

    async def ledger(self, booking_id: str) -> list[Effect]:
        answer = await self.http.get("/_sandbox/ledger", params={"contains": booking_id})
        return _LEDGER.validate_json(_checked(answer, self.log).content)


@dataclass(frozen=True)
class Lines:
    """Everyone the demo talks to."""

    traveller: TravelApi
    operator: TravelApi
    vendors: VendorDesk

    @classmethod
    def to(cls, state: StackState) -> Lines:
        """Without the shell's proxies: everything is on this machine."""

        def http(url: str, token: str | None = None) -> httpx.AsyncClient:
            headers = {"Authorization": f"Bearer {token}"} if token else {}
            return httpx.AsyncClient(base_url=url, headers=headers, timeout=ANSWER_WITHIN_S, trust_env=False)

        log = state.logs / "api.log"
        return cls(
            traveller=TravelApi(http(state.api_url, state.tokens.client), log),
            operator=TravelApi(http(state.api_url, state.tokens.operator), log),
            vendors=VendorDesk(http(state.sandbox_url), state.logs / "sandbox.log"),
        )

    async def aclose(self) -> None:
        for end in (self.traveller, self.operator, self.vendors):
            await end.http.aclose()
