"""Bookings: make one, read it, follow it, accept its new price."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Header, Query
from starlette.requests import Request
from starlette.responses import Response

from api.answers import json_answer
from api.auth import requires
from api.bodies import body_of, canonical
from api.documentation import reads, refusals
from api.idempotency import REPLAYED, Answer, IdempotencyKey, once
from api.intake import take_in, wait_for, wanted_wait_s
from api.models import BookingQuery, BookingRequest, BookingsQuery, EventsQuery, PriceAcceptance
from api.routes.paths import BookingIdPath
from api.scope import correlation_id_of
from api.services import Serve, Services
from api.temporal import WorkflowGone, ask, send_update, update_id_for
from api.views import BookingPage, BookingView, DecisionView, EventList, EventView, summary_of, view_of
from schema.bookings import Accepted, AcceptPrice, BookingStatus, workflow_id_for
from schema.errors import Conflict, NotFound, ServiceUnavailable
from schema.states import SETTLED_STATES
from store import bookings, payments
from store.clients import ApiClient
from store.records import StoredBooking

router = APIRouter(prefix="/v1/bookings", tags=["bookings"])

_LIVE_TIMEOUT_S: Final = 2
_OFFER_CODES: Final = (
    "unknown_offer",
    "offer_expired",
    "offer_stale",
    "booking_unavailable",
    "duplicate_offer",
    "date_in_past",
    "too_many_travellers",
    "mixed_currencies",
    "total_mismatch",
    "unknown_currency",
    "amount_out_of_range",
    "payment_method_unavailable",
    "too_busy",
)

Reader = Annotated[ApiClient, Depends(requires("bookings:read"))]
Writer = Annotated[ApiClient, Depends(requires("bookings:write"))]


@router.post(
    "",
    status_code=202,
    response_model=BookingView,
    responses={
        200: {"model": BookingView, "description": "The booking is settled already"},
        **refusals(*_OFFER_CODES, body=True, key=True),
    },
    openapi_extra=reads(BookingRequest),
)
async def book(
    request: Request,
    client: Writer,
    body: Annotated[BookingRequest, Depends(body_of(BookingRequest))],
    key: IdempotencyKey,
    services: Serve,
    prefer: Annotated[str | None, Header(description="`wait=N`: answer when it is settled, or after N <= 30 s")] = None,
) -> Response:
    """Book a trip. It is stored when this answers; what comes of it is told by the `Location`.

    All required items are booked, or none is and nothing is paid. Repeating the request with its key answers the same booking
    in its present state. With `Prefer: wait=N` the answer comes when the booking is settled or waits for the traveller.
    """
    intake = await take_in(services, client, key, body, await canonical(request), correlation_id_of(request.scope))
    booking = intake.booking
    headers = {"Location": f"/v1/bookings/{booking.booking_id}"}
    if intake.replayed:
        headers[REPLAYED] = "true"
    wait_s = wanted_wait_s(prefer)
    if wait_s is not None:
        headers["Preference-Applied"] = "wait"
        await wait_for(services, booking.booking_id, wait_s)
    if intake.replayed or wait_s is not None:
        view = await _view(services, client, booking.booking_id)
    else:
        view = view_of(booking, [])
    return json_answer(view, 200 if view.state in SETTLED_STATES else 202, headers)


@router.get("", response_model=BookingPage, responses=refusals("malformed_cursor", "invalid_request", "unknown_field"))
async def list_bookings(client: Reader, query: Annotated[BookingsQuery, Query()], services: Serve) -> Response:
    """Your bookings, newest first, a page at a time."""
    async with services.database.read() as connection:
        page = await bookings.page(connection, client.client_id, query.limit, query.cursor)
    found = [summary_of(booking) for booking in page.bookings]
    return json_answer(BookingPage(bookings=found, next_cursor=page.next_cursor))


@router.get(
    "/{booking_id}",
    response_model=BookingView,
    responses=refusals("malformed_id", "not_found", "invalid_request", "unknown_field"),
)
async def get_booking(
    client: Reader, booking_id: BookingIdPath, query: Annotated[BookingQuery, Query()], services: Serve
) -> Response:
    """One booking as the books have it; with `live=true` also as its running workflow sees it."""
    view = await _view(services, client, booking_id)
    if query.live:
        view = view.model_copy(update=await _live(services, booking_id))
    return json_answer(view)


async def _live(services: Services, booking_id: str) -> dict[str, object]:
    try:
        status = await ask(services.temporal, workflow_id_for(booking_id), "state", BookingStatus, _LIVE_TIMEOUT_S)
    except WorkflowGone:
        return {"live_unavailable": "no workflow of it is known any more, or not yet"}
    except ServiceUnavailable:
        return {"live_unavailable": "the workflow did not answer in time"}
    return {"live": status}


@router.get(
    "/{booking_id}/events",
    response_model=EventList,
    responses=refusals("malformed_id", "not_found", "invalid_request", "unknown_field"),
)
async def list_events(
    client: Reader, booking_id: BookingIdPath, query: Annotated[EventsQuery, Query()], services: Serve
) -> Response:
    """What was recorded of a booking, oldest first; `after` is the version of the last event you have."""
    await owned(services, client, booking_id)
    async with services.database.read() as connection:
        found = await bookings.events_of(connection, booking_id, query.after)
    return json_answer(EventList(events=[EventView.of(event) for event in found]))


@router.post(
    "/{booking_id}/price-acceptance",
    response_model=DecisionView,
    responses={
        202: {"model": DecisionView, "description": "Consent has arrived and is being worked on"},
        **refusals(
            *("malformed_id", "not_found", "unknown_currency", "amount_out_of_range"),
            *("no_price_to_accept", "price_moved_again", "idempotency_key_in_flight"),
            *("conflict",),
            body=True,
            key=True,
        ),
    },
    openapi_extra=reads(PriceAcceptance),
)
async def accept_price(
    request: Request,
    client: Writer,
    body: Annotated[PriceAcceptance, Depends(body_of(PriceAcceptance))],
    key: IdempotencyKey,
    booking_id: BookingIdPath,
    services: Serve,
) -> Response:
    """Consent to the new total of a booking that waits for it. Never is more taken than was consented to."""

    async def work() -> Answer:
        booking = await owned(services, client, booking_id)
        try:
            accepted = await send_update(
                services.temporal,
                workflow_id_for(booking_id),
                "accept_price",
                AcceptPrice(total=body.total.money()),
                update_id=update_id_for("accept_price", client.client_id, key),
                result=Accepted,
            )
        except WorkflowGone:
            raise Conflict("the booking does not wait for a price", code="no_price_to_accept") from None
        return decision(booking, accepted)

    return await once(services, client, request, key, work)


def decision(booking: StoredBooking, accepted: Accepted | None) -> Answer:
    """200 with the workflow's word, or 202 when it has accepted and is still at it."""
    if accepted is None:
        message = "accepted; the booking is being worked on"
        return Answer(202, DecisionView(booking_id=booking.booking_id, state=booking.state, message=message))
    return Answer(200, DecisionView(booking_id=booking.booking_id, state=accepted.state, message=accepted.message))


async def owned(services: Services, client: ApiClient, booking_id: str) -> StoredBooking:
    """The client's booking; raises NotFound for everybody else's, which must look like none."""
    async with services.database.read() as connection:
        booking = await bookings.get(connection, booking_id, client.client_id)
    if booking is None:
        raise NotFound("you have no such booking", field="booking_id")
    return booking


async def _view(services: Services, client: ApiClient, booking_id: str) -> BookingView:
    booking = await owned(services, client, booking_id)
    async with services.database.read() as connection:
        paid = await payments.of_booking(connection, booking_id)
    return view_of(booking, paid)
