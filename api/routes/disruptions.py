"""Disruptions of a trip: what has changed, what else flies, and the traveller's choice."""

from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from api.answers import json_answer
from api.auth import requires
from api.bodies import body_of
from api.disruption_views import ChoiceRequest, ChoiceView, DisruptionList, DisruptionView
from api.disruptions import decide
from api.documentation import reads, refusals
from api.idempotency import Answer, IdempotencyKey, once
from api.routes.paths import DisruptionIdPath, ItineraryIdPath
from api.services import Serve, Services
from api.temporal import update_id_for
from schema.disruptions import ChooseAlternative, Disruption, KeepFlight
from schema.errors import NotFound
from store import disruptions, itineraries
from store.clients import ApiClient

router = APIRouter(prefix="/v1", tags=["disruptions"])
Reader = Annotated[ApiClient, Depends(requires("itineraries:read"))]
Writer = Annotated[ApiClient, Depends(requires("itineraries:write"))]


@router.get(
    "/itineraries/{itinerary_id}/disruptions",
    response_model=DisruptionList,
    responses=refusals("malformed_id", "not_found"),
)
async def list_disruptions(client: Reader, itinerary_id: ItineraryIdPath, services: Serve) -> Response:
    """What has befallen the flights of a trip, newest first."""
    async with services.database.transaction() as connection:
        if await itineraries.get(connection, itinerary_id, client.client_id) is None:
            raise NotFound("you have no such itinerary", field="itinerary_id")
        found = await disruptions.of_itinerary(connection, itinerary_id)
    return json_answer(DisruptionList(disruptions=[DisruptionView.of(one) for one in found]))


@router.get(
    "/disruptions/{disruption_id}",
    response_model=DisruptionView,
    responses=refusals("malformed_id", "not_found"),
)
async def show_disruption(client: Reader, disruption_id: DisruptionIdPath, services: Serve) -> Response:
    """What has changed, what it means for the trip, and what can be chosen until when."""
    return json_answer(DisruptionView.of(await _owned(services, client, disruption_id)))


@router.post(
    "/disruptions/{disruption_id}/choice",
    response_model=ChoiceView,
    responses={
        202: {"model": ChoiceView, "description": "The choice has arrived and is being worked on"},
        **refusals(
            *("malformed_id", "not_found", "no_choice", "no_such_alternative", "price_moved_again", "offer_expired"),
            *("conflict", "unknown_currency", "amount_out_of_range", "idempotency_key_in_flight"),
            body=True,
            key=True,
        ),
    },
    openapi_extra=reads(ChoiceRequest),
)
async def choose(
    request: Request,
    client: Writer,
    body: Annotated[ChoiceRequest, Depends(body_of(ChoiceRequest))],
    key: IdempotencyKey,
    disruption_id: DisruptionIdPath,
    services: Serve,
) -> Response:
    """Take an alternative, or keep the flight. The new flight is confirmed and paid, the way the old one was, before the old one is
    given up; if it cannot be had, the old one stays."""

    async def work() -> Answer:
        disruption = await _owned(services, client, disruption_id)
        decided = await decide(services, disruption, _wish(body), update_id_for("choice", client.client_id, key))
        if decided is None:
            return Answer(202, ChoiceView(state=disruption.state, message="your choice is being worked on"))
        return Answer(200, ChoiceView.model_validate(decided.model_dump()))

    return await once(services, client, request, key, work)


def _wish(body: ChoiceRequest) -> ChooseAlternative | KeepFlight:
    if body.alternative is None or body.difference is None:
        return KeepFlight()
    return ChooseAlternative(number=body.alternative, difference=body.difference.money())


async def _owned(services: Services, client: ApiClient, disruption_id: str) -> Disruption:
    async with services.database.read() as connection:
        found = await disruptions.get(connection, disruption_id, client.client_id)
    if found is None:
        raise NotFound("you have no such disruption", field="disruption_id")
    return found
