"""The demo's two ends of the line: TravelHub's API, spoken to as any client would, and the vendors' own books and desks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from sandbox.demo_answers import (
    BookingSeen,
    CaseDetail,
    CaseSeen,
    Effect,
    EventSeen,
    FaultSeen,
    FeeQuoted,
    OfferSeen,
    PaymentSeen,
    StatementSeen,
    VendorBooks,
)
from sandbox.demo_trip_answers import (
    AlternativeSeen,
    ChoiceSeen,
    DisruptionSeen,
    ItinerarySeen,
    NotificationSeen,
    SegmentSeen,
    VendorNotice,
)
from sandbox.stack_state import StackState
from schema.model import Message
from schema.money import Money

ANSWER_WITHIN_S: Final = 15
"""One HTTP call; longer only on a machine that hardly moves."""
_LOOK_EVERY_S: Final = 0.2
_SHOWN_OF_AN_ANSWER: Final = 300
_MESSENGERS: Final = frozenset({"sendgrid", "twilio", "fcm"})

_Found = TypeVar("_Found")
_Answer = TypeVar("_Answer", bound=Message)


class DemoError(Exception):
    """Why a scenario could not go on, in words, with the log that may tell more."""


class _Offers(Message):
    offers: list[OfferSeen]


class _Events(Message):
    events: list[EventSeen]


class _Cases(Message):
    cases: list[CaseSeen]


class _Disruptions(Message):
    disruptions: list[DisruptionSeen]


class _Notifications(Message):
    notifications: list[NotificationSeen]
    next_cursor: str | None


class _Notices(Message):
    notices: list[VendorNotice]


class _Device(Message):
    device_id: str


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

    async def statement(self, booking_id: str) -> StatementSeen:
        return await self._get(f"/v1/bookings/{booking_id}/statement", StatementSeen)

    async def cancellation_fee(self, booking_id: str, key: str) -> FeeQuoted:
        """What cancelling costs, and the token that accepts it."""
        return await self._post(f"/v1/bookings/{booking_id}/cancellation", {}, FeeQuoted, {"Idempotency-Key": key})

    async def cancel(self, booking_id: str, token: str, key: str) -> str:
        path, body = f"/v1/bookings/{booking_id}/cancellation", {"token": token}
        return (await self._post(path, body, _Decision, {"Idempotency-Key": key})).message

    async def itinerary(self, itinerary_id: str) -> ItinerarySeen:
        return await self._get(f"/v1/itineraries/{itinerary_id}", ItinerarySeen)

    async def disruptions(self, itinerary_id: str) -> list[DisruptionSeen]:
        return (await self._get(f"/v1/itineraries/{itinerary_id}/disruptions", _Disruptions)).disruptions

    async def choose(self, disruption_id: str, alternative: AlternativeSeen, key: str) -> ChoiceSeen:
        """Takes the alternative for what it costs in all, as it was shown."""
        body = {"alternative": alternative.number, "difference": alternative.difference.model_dump()}
        return await self._post(f"/v1/disruptions/{disruption_id}/choice", body, ChoiceSeen, {"Idempotency-Key": key})

    async def add_device(self, token: str, key: str) -> None:
        """Push messages go there from now on; the same token is the same device."""
        body = {"token": token, "platform": "android"}
        await self._post("/v1/me/devices", body, _Device, {"Idempotency-Key": key})

    async def notifications(self, subject: str) -> list[NotificationSeen]:
        """What the traveller was told of this itinerary or booking, by each channel."""
        found: list[NotificationSeen] = []
        path = "/v1/me/notifications?limit=100"
        page = await self._get(path, _Notifications)
        found += page.notifications
        while page.next_cursor is not None:
            page = await self._get(f"{path}&cursor={page.next_cursor}", _Notifications)
            found += page.notifications
        return [one for one in found if one.subject == subject]

    async def cases(self) -> list[CaseSeen]:
        """Open review cases; an operator's token is needed."""
        return (await self._get("/v1/ops/cases", _Cases)).cases

    async def case(self, case_id: str) -> CaseDetail:
        """An operator's token is needed."""
        return await self._get(f"/v1/ops/cases/{case_id}", CaseDetail)

    async def resolve(self, case_id: str, action: str, note: str, key: str) -> str:
        """An operator's token is needed."""
        path, body = f"/v1/ops/cases/{case_id}/resolution", {"action": action, "note": note}
        return (await self._post(path, body, _Decision, {"Idempotency-Key": key})).message

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
    """The simulated vendors: their books, their fault plan, and the pages and apps on which a payer acts."""

    http: httpx.AsyncClient
    log: Path

    async def plan(self, rule: Mapping[str, object]) -> FaultSeen:
        answer = await self.http.post("/_sandbox/faults", json=rule)
        return FaultSeen.model_validate_json(_checked(answer, self.log).content)

    async def planned(self) -> list[FaultSeen]:
        return _FAULTS.validate_json(_checked(await self.http.get("/_sandbox/faults"), self.log).content)

    async def mend(self, rule_id: str) -> None:
        """Takes a rule out of the plan."""
        _checked(await self.http.delete(f"/_sandbox/faults/{rule_id}"), self.log)

    async def approve_at_paypal(self, page: str) -> None:
        """Opens PayPal's page and presses Pay, as a payer in a browser would; where it sends the payer back to is not visited."""
        _checked(await self.http.get(page), self.log)
        pay = httpx.URL(page).copy_merge_params({"decision": "approve"})
        pressed = await self.http.post(pay, follow_redirects=False)
        if not pressed.has_redirect_location:
            _checked(pressed, self.log)

    async def authenticate_card(self, client_secret: str) -> None:
        """The bank's app says yes: Stripe's client library needs the secret alone, which begins with the payment's id."""
        intent = client_secret.partition("_secret_")[0]
        _checked(await self.http.post(f"/_sandbox/stripe/payment_intents/{intent}/authenticate"), self.log)

    async def books(self, booking_id: str) -> VendorBooks:
        answer = await self.http.get("/_sandbox/books", params={"contains": booking_id})
        return VendorBooks.model_validate_json(_checked(answer, self.log).content)

    async def ledger(self, booking_id: str) -> list[Effect]:
        """Without messages: who was told what is in `notices`."""
        answer = await self.http.get("/_sandbox/ledger", params={"contains": booking_id})
        effects = _LEDGER.validate_json(_checked(answer, self.log).content)
        return [effect for effect in effects if effect.vendor not in _MESSENGERS]

    async def notices(self, notification_ids: Collection[str]) -> list[VendorNotice]:
        """Every message that carries one of our ids."""
        answer = await self.http.get("/_sandbox/books", params={"contains": "ntf_"})
        found = _Notices.model_validate_json(_checked(answer, self.log).content).notices
        return [one for one in found if one.notification_id in notification_ids]

    async def airline_says(self, flight: SegmentSeen, news: Mapping[str, object]) -> None:
        """What becomes of the flight, at its airline."""
        path = f"/_sandbox/flights/{flight.designator}/{flight.starts.local.date()}"
        _checked(await self.http.post(path, json={"origin": flight.details.origin, **news}), self.log)


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
