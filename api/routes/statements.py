"""The statement of one booking: what was reserved, taken and given back, in order and in words."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from api.answers import json_answer
from api.auth import requires
from api.documentation import refusals
from api.routes.paths import BookingIdPath
from api.services import Serve
from schema.errors import NotFound
from schema.model import Message
from schema.money import Money
from store import statements
from store.clients import ApiClient
from store.statements import Effect, Statement, StatementEntry, StatementTotals

router = APIRouter(prefix="/v1/bookings", tags=["bookings"])

Reader = Annotated[ApiClient, Depends(requires("bookings:read", "ops:read"))]


class StatementLine(Message):
    """One effect on one payment."""

    effect: Effect
    meaning: str
    """In words, for people."""
    payment_id: str
    provider: str
    amount: Money
    at: datetime

    @classmethod
    def of(cls, entry: StatementEntry) -> "StatementLine":
        return cls(
            effect=entry.effect,
            meaning=_in_words(entry),
            payment_id=entry.payment_id,
            provider=entry.provider,
            amount=entry.amount,
            at=entry.at,
        )


class StatementView(Message):
    """Every effect on a booking's money, oldest first, and the totals of each currency."""

    booking_id: str
    entries: list[StatementLine]
    totals: list[StatementTotals]

    @classmethod
    def of(cls, statement: Statement) -> "StatementView":
        lines = [StatementLine.of(entry) for entry in statement.entries]
        return cls(booking_id=statement.booking_id, entries=lines, totals=statement.totals)


@router.get("/{booking_id}/statement", response_model=StatementView, responses=refusals("malformed_id", "not_found"))
async def get_statement(client: Reader, booking_id: BookingIdPath, services: Serve) -> Response:
    """What a booking has cost, by our ledger: yours with `bookings:read`, anybody's with `ops:read`. Where the books contradict
    themselves there is no statement but a 500, and we are told."""
    owner = None if "ops:read" in client.scopes else client.client_id
    async with services.database.transaction() as connection:
        statement = await statements.of_booking(connection, booking_id, owner)
    if statement is None:
        raise NotFound("you have no such booking", field="booking_id")
    return json_answer(StatementView.of(statement))


def _in_words(entry: StatementEntry) -> str:
    if entry.effect == "authorised":
        return f"{entry.amount} reserved through {entry.provider}; nothing is taken yet"
    if entry.effect == "released":
        return f"the reservation of {entry.amount} was let go by {entry.provider}; nothing was taken of it"
    if entry.effect == "refunded":
        return f"{entry.amount} given back through {entry.provider}"
    rest = f"; the other {entry.released} that were reserved are let go" if entry.released.amount_minor else ""
    return f"{entry.amount} taken through {entry.provider}{rest}"
