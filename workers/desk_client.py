"""The desk as `travelhub cases` and `travelhub dead-letters` reach it: over the API, with a token, so that its rules hold here too."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final
from urllib.parse import quote

import httpx
import orjson
from pydantic import ConfigDict, TypeAdapter, ValidationError
from ulid import ULID

from schema.bookings import OutstandingEffect
from schema.model import Message
from schema.money import Money

_TIMEOUT_S: Final = 30
_PAGE: Final = 200
_MAX_SHOWN: Final = 300
_DOCUMENT: TypeAdapter[dict[str, object]] = TypeAdapter(dict[str, object])
_DOCUMENTS: TypeAdapter[list[dict[str, object]]] = TypeAdapter(list[dict[str, object]])


class DeskError(Exception):
    """Why the desk cannot be used or refuses, in words."""


class ProposalSeen(Message):
    operator: str
    reference: str | None
    expires_at: datetime


class CaseSeen(Message):
    """As `GET /v1/ops/cases` lists it."""

    case_id: str
    booking_id: str
    workflow_url: str
    reason: str
    outstanding: list[Money]
    age_s: int
    waiting_for: str | None
    proposal: ProposalSeen | None


class EffectSeen(OutstandingEffect):
    our_reference: str
    vendor_url: str | None


class EventSeen(Message):
    state: str
    data: dict[str, object]
    created_at: datetime


class AttemptSeen(Message):
    step: str
    item_no: int | None
    vendor: str
    our_reference: str
    provider_reference: str | None
    status: str
    tries: int
    reason: str | None
    created_at: datetime


class RefundSeen(Message):
    status: str
    amount: Money
    provider_reference: str | None


class PaymentSeen(Message):
    payment_id: str
    provider: str
    provider_reference: str | None
    vendor_url: str | None
    state: str
    authorised: Money
    captured: Money
    refunded: Money
    failure: str | None
    refunds: list[RefundSeen]


class ActionSeen(Message):
    kind: str
    operator: str
    proposed_by: str | None
    action: str
    reference: str | None
    note: str
    created_at: datetime


class DetailSeen(CaseSeen):
    """As `GET /v1/ops/cases/{id}` tells it."""

    effects: list[EffectSeen]
    events: list[EventSeen]
    attempts: list[AttemptSeen]
    payments: list[PaymentSeen]
    actions: list[ActionSeen]


class _PageSeen(Message):
    model_config = ConfigDict(extra="allow")

    next_cursor: str | None


class _Decision(Message):
    state: str
    message: str


class _Problem(Message):
    code: str
    detail: str


class Desk:
    """The open door; every method raises DeskError."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def cases(self, wanted: dict[str, str]) -> list[dict[str, object]]:
        """All pages, as the API answers them; `wanted` are its query parameters."""
        return self.listed("/v1/ops/cases", "cases", wanted)

    def case(self, case_id: str) -> dict[str, object]:
        return _DOCUMENT.validate_json(self.call("GET", f"/v1/ops/cases/{quote(case_id, safe='')}"))

    def resolve(self, case_id: str, decision: dict[str, str]) -> str:
        """Sends it once; what came of it, in words."""
        path = f"/v1/ops/cases/{quote(case_id, safe='')}/resolution"
        made = _Decision.model_validate_json(self.call("POST", path, body=decision))
        return f"{made.state}: {made.message}"

    def listed(self, path: str, field: str, wanted: dict[str, str]) -> list[dict[str, object]]:
        """What all pages of a listing hold in this field."""
        found: list[dict[str, object]] = []
        cursor: dict[str, str] = {}
        while True:
            page = _PageSeen.model_validate_json(self.call("GET", path, wanted | cursor | {"limit": str(_PAGE)}))
            found += _DOCUMENTS.validate_python((page.model_extra or {}).get(field))
            if page.next_cursor is None:
                return found
            cursor = {"cursor": page.next_cursor}

    def call(
        self, method: str, path: str, query: dict[str, str] | None = None, body: dict[str, str] | None = None
    ) -> bytes:
        """The API's answer to one request; one with a body has a key of its own."""
        headers = {} if body is None else {"Idempotency-Key": str(ULID()), "Content-Type": "application/json"}
        sent = None if body is None else orjson.dumps(body)
        try:
            answer = self._http.request(method, path, params=query, headers=headers, content=sent)
        except httpx.HTTPError as error:
            raise DeskError(f"the API does not answer at {self._http.base_url}: {type(error).__name__}") from None
        if answer.is_success:
            return answer.content
        raise DeskError(_refusal(answer))


@contextmanager
def open_desk(url: str, token: str) -> Iterator[Desk]:
    """At the API of this address, as the operator whose token it is."""
    headers = {"Authorization": f"Bearer {token}"}
    try:
        http = httpx.Client(base_url=url, headers=headers, timeout=_TIMEOUT_S)
    except (httpx.InvalidURL, ValueError):
        raise DeskError("the address of the API or the token cannot be used") from None
    with http:
        yield Desk(http)


def _refusal(answer: httpx.Response) -> str:
    try:
        problem = _Problem.model_validate_json(answer.content)
    except ValidationError:
        return f"the API answers {answer.status_code} {answer.text[:_MAX_SHOWN]!r}"
    return f"{problem.code}: {problem.detail}"
