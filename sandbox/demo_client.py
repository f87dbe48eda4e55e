"""The demo's two ends of the line: TravelHub's API, spoken to as any client would, and the vendors' own books and desks."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
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
from sandbox.stack_state import StackState
from schema.model import Message
from schema.money import Money

ANSWER_WITHIN_S: Final = 15
"""One HTTP call; longer only on a machine that hardly moves."""
_LOOK_EVERY_S: Final = 0.2
_SHOWN_OF_AN_ANSWER: Final = 300

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
