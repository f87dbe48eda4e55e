"""Cancelling: first what it would cost, with a token; then, with the token, doing it for just that fee.

Before a booking is confirmed it costs nothing, and its saga undoes what it has done so far. Afterwards suppliers keep what their
conditions say: a workflow of its own asks them, quotes, and cancels.
"""

import secrets
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response
from temporalio.client import WithStartWorkflowOperation
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)

from api.admission import cancellation_plan, start_saga
from api.auth import requires
from api.bodies import body_of
from api.documentation import reads, refusals
from api.idempotency import Answer, IdempotencyKey, once
from api.models import CancellationRequest
from api.routes.bookings import decision, owned
from api.routes.paths import BookingIdPath
from api.services import Serve, Services
from api.temporal import WorkflowGone, is_running, send_update, update_id_for, update_with_start
from api.views import CancellationQuote, DecisionView
from schema.bookings import TASK_QUEUE, Accepted, CancelRequest, workflow_id_for
from schema.errors import Conflict, InvalidRequest, InvariantBroken
from schema.money import Money
from schema.payments import (
    CANCELLATION_WORKFLOW,
    ExecuteCancellation,
    FeeQuote,
    cancellation_workflow_id_for,
)
from schema.references import new_id
from schema.search_attributes import BOOKING_STATE, OWNER
from schema.states import CONFIRMED_STATES, BookingState, ItemState
from store import payments, quotes
from store.clients import ApiClient
from store.payments import StoredPayment
from store.quotes import StoredQuote
from store.records import StoredBooking

router = APIRouter(prefix="/v1/bookings", tags=["cancellations"])

_UNCONFIRMED: Final = frozenset(
    {BookingState.PENDING, BookingState.PRICE_CHANGED, BookingState.AWAITING_PAYMENT, BookingState.RESERVING}
)

Canceller = Annotated[ApiClient, Depends(requires("bookings:write"))]


@router.post(
    "/{booking_id}/cancellation",
    response_model=CancellationQuote,
    responses={
        200: {"description": "What cancelling costs"},
        202: {"model": DecisionView, "description": "It is being cancelled"},
        **refusals(
            *("malformed_id", "not_found", "not_cancellable", "quote_invalid", "conflict", "idempotency_key_in_flight"),
            "vendor_unavailable",
            body=True,
            key=True,
        ),
    },
    openapi_extra=reads(CancellationRequest),
)
async def cancel(
    request: Request,
    client: Canceller,
    body: Annotated[CancellationRequest, Depends(body_of(CancellationRequest))],
    key: IdempotencyKey,
    booking_id: BookingIdPath,
    services: Serve,
) -> Response:
    """Cancel a booking, in two steps. `{}` asks for the fee and a token; `{"token": ...}` cancels for that fee.

    A token is good for a while, and only as long as the booking stays as it was when the fee was told.
    """

    async def work() -> Answer:
        booking = await owned(services, client, booking_id)
        _check_cancellable(booking)
        if body.token is None:
            return Answer(200, await _quote(services, booking, _chosen(booking, body.item_nos)), secret=True)
        return await _execute(services, client, key, booking, body.token)

    return await once(services, client, request, key, work)


def _check_cancellable(booking: StoredBooking) -> None:
    if booking.state not in _UNCONFIRMED and booking.state not in CONFIRMED_STATES:
        raise Conflict(f"a booking that is {booking.state} cannot be cancelled", code="not_cancellable")


def _chosen(booking: StoredBooking, item_nos: list[int] | None) -> list[int] | None:
    """The items that are to be cancelled; None for all that is confirmed, also where the client has named each."""
    if item_nos is None:
        return None
    confirmed = {item.item_no for item in booking.items if item.state == ItemState.CONFIRMED}
    if booking.state in _UNCONFIRMED:
        raise Conflict("until it is confirmed, a booking can only be cancelled as a whole", code="not_cancellable")
    if not confirmed.issuperset(item_nos):
        raise InvalidRequest("only confirmed items of this booking can be cancelled", field="/item_nos")
    return None if confirmed == set(item_nos) else sorted(set(item_nos))


async def _quote(services: Services, booking: StoredBooking, item_nos: list[int] | None) -> CancellationQuote:
    if booking.state in _UNCONFIRMED:
        # Nothing was taken yet, so nothing is kept and nothing given back.
        nothing = Money.zero(booking.total.currency)
        lifetime = timedelta(seconds=services.settings.cancellation_quote_ttl_s)
        quoted = FeeQuote(fee=nothing, refund=nothing, expires_at=datetime.now(UTC) + lifetime)
    else:
        operation = await _cancellation(services, booking, item_nos)
        # A fresh id each time: under an old one Temporal would answer the quote of a run that has ended. Within its life the
        # workflow gives the same fee to everyone who asks.
        quoted = await update_with_start(
            services.temporal, operation, "quote", update_id=new_id("quote"), result=FeeQuote
        )
    token = secrets.token_urlsafe(32)
    quote = StoredQuote(
        booking_id=booking.booking_id,
        booking_version=booking.version,
        fee=quoted.fee,
        refund=quoted.refund,
        expires_at=quoted.expires_at,
        item_nos=item_nos,
    )
    async with services.database.transaction() as connection:
        await quotes.save(connection, token, quote)
    return CancellationQuote.of(quote, token)


async def _cancellation(
    services: Services, booking: StoredBooking, item_nos: list[int] | None
) -> WithStartWorkflowOperation[object, object]:
    """One cancellation workflow for each version of a booking and choice of items: a quote is for exactly what the booking was."""
    payment = await _captured_payment(services, booking)
    plan = cancellation_plan(booking, payment, services.vendors, services.settings, item_nos)
    return WithStartWorkflowOperation[object, object](
        CANCELLATION_WORKFLOW,
        plan,
        id=cancellation_workflow_id_for(booking.booking_id, booking.version, item_nos),
        task_queue=TASK_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        # A quote that ran out ends its workflow; the next question is a new run.
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        search_attributes=TypedSearchAttributes(
            [
                SearchAttributePair(BOOKING_STATE, booking.state.value),
                SearchAttributePair(OWNER, booking.client_id),
            ]
        ),
        static_summary=f"Cancellation of booking {booking.booking_id}",
    )


async def _captured_payment(services: Services, booking: StoredBooking) -> StoredPayment:
    async with services.database.read() as connection:
        found = await payments.of_booking(connection, booking.booking_id)
    captured = [payment for payment in found if payment.captured.amount_minor > 0]
    if not captured:
        raise InvariantBroken(f"booking {booking.booking_id} is {booking.state} and nothing was captured for it")
    return captured[-1]


async def _execute(services: Services, client: ApiClient, key: str, booking: StoredBooking, token: str) -> Answer:
    quote = await _valid_quote(services, booking, token)
    if booking.state in _UNCONFIRMED:
        accepted = await _stop_saga(services, client, key, booking)
    else:
        workflow_id = cancellation_workflow_id_for(booking.booking_id, quote.booking_version, quote.item_nos)
        await _claim(services, quote, workflow_id)
        try:
            accepted = await send_update(
                services.temporal,
                workflow_id,
                "execute",
                ExecuteCancellation(fee=quote.fee),
                # The token, not the key: whoever presents it means this one cancellation.
                update_id=update_id_for("execute", client.client_id, token),
                result=Accepted,
            )
        except WorkflowGone:
            async with services.database.transaction() as connection:
                await quotes.give_up(connection, workflow_id)
            raise Conflict("the quote has run out; ask again", code="quote_invalid") from None
    # 202 in both cases: undoing goes on after the saga has changed its mind.
    return Answer(202, decision(booking, accepted).body)


async def _claim(services: Services, quote: StoredQuote, workflow_id: str) -> None:
    """Two quotes for one version, say for two items, must not both be carried out: the second one's fee is not known any more."""
    async with services.database.transaction() as connection:
        claimed_by = await quotes.claim(connection, quote.booking_id, quote.booking_version, workflow_id)
    if claimed_by != workflow_id and not await is_running(services.temporal, claimed_by):
        # Its quote ran out before it was carried out: whoever accepted it has died, or was told to ask again.
        async with services.database.transaction() as connection:
            await quotes.give_up(connection, claimed_by)
            claimed_by = await quotes.claim(connection, quote.booking_id, quote.booking_version, workflow_id)
    if claimed_by != workflow_id:
        raise Conflict("another cancellation of the booking has begun; ask again", code="quote_invalid", field="/token")


async def _valid_quote(services: Services, booking: StoredBooking, token: str) -> StoredQuote:
    async with services.database.read() as connection:
        quote = await quotes.find(connection, token)
    if quote is None or quote.booking_id != booking.booking_id:
        raise Conflict("the token is not one for this booking", code="quote_invalid", field="/token")
    if quote.expires_at <= datetime.now(UTC):
        raise Conflict("the token has expired; ask again", code="quote_invalid", field="/token")
    # Until it is confirmed a booking moves on all the time, and cancelling stays free; afterwards a quote is for one version.
    if booking.state in CONFIRMED_STATES and quote.booking_version != booking.version:
        raise Conflict("the booking has changed since the quote; ask again", code="quote_invalid", field="/token")
    return quote


async def _stop_saga(services: Services, client: ApiClient, key: str, booking: StoredBooking) -> Accepted | None:
    """Tells the saga that the trip is not wanted any more; one that could not be started yet is started, to end at once."""
    if booking.workflow_started_at is None:
        await start_saga(services.temporal, services.database, services.vendors, services.settings, booking)
    try:
        return await send_update(
            services.temporal,
            workflow_id_for(booking.booking_id),
            "cancel",
            CancelRequest(requested_by=client.name),
            update_id=update_id_for("cancel", client.client_id, key),
            result=Accepted,
        )
    except WorkflowGone:
        raise Conflict("the booking has just ended; read its state", code="not_cancellable") from None
