"""How a traveller is told: preferences, devices, and what they were told."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from starlette.requests import Request
from starlette.responses import Response

from api.answers import json_answer
from api.auth import requires
from api.bodies import body_of
from api.documentation import reads, refusals
from api.idempotency import Answer, IdempotencyKey, once
from api.me_models import (
    DeviceList,
    DeviceRequest,
    DeviceView,
    NotificationList,
    NotificationsQuery,
    PreferencesKept,
    PreferencesView,
)
from api.routes.paths import DeviceIdPath
from api.services import Serve
from schema.errors import Conflict, NotFound
from schema.notifications import Preferences
from store import devices, notifications, preferences
from store.clients import ApiClient
from store.devices import MAX_DEVICES

router = APIRouter(prefix="/v1/me", tags=["me"])

Reader = Annotated[ApiClient, Depends(requires("me:read"))]
Owner = Annotated[ApiClient, Depends(requires("me:write"))]


@router.get("/preferences", response_model=PreferencesView, responses=refusals())
async def get_preferences(client: Reader, services: Serve) -> Response:
    """Your preferences."""
    async with services.database.read() as connection:
        return json_answer(PreferencesView.of(await preferences.get(connection, client.client_id)))


@router.put(
    "/preferences",
    response_model=PreferencesKept,
    responses=refusals("unknown_time_zone", "idempotency_key_in_flight", body=True, key=True),
    openapi_extra=reads(Preferences),
)
async def put_preferences(
    request: Request,
    client: Owner,
    body: Annotated[Preferences, Depends(body_of(Preferences))],
    key: IdempotencyKey,
    services: Serve,
) -> Response:
    """Put these preferences in place of the ones before; what is not named takes its default.

    In quiet hours neither push nor SMS is sent, but for what cannot wait: a cancelled or diverted flight, a connection that will be
    missed, alternatives to choose from, a rebooking that failed.
    """

    async def work() -> Answer:
        async with services.database.transaction() as connection:
            return Answer(200, PreferencesKept(version=await preferences.put(connection, client.client_id, body)))

    return await once(services, client, request, key, work)


@router.post(
    "/devices",
    status_code=201,
    response_model=DeviceView,
    responses=refusals("too_many_devices", "idempotency_key_in_flight", body=True, key=True),
    openapi_extra=reads(DeviceRequest),
)
async def add_device(
    request: Request,
    client: Owner,
    body: Annotated[DeviceRequest, Depends(body_of(DeviceRequest))],
    key: IdempotencyKey,
    services: Serve,
) -> Response:
    """Register a device for push messages. A token that was registered before is the same device; if it was another client's, it is
    yours from now on."""

    async def work() -> Answer:
        async with services.database.transaction() as connection:
            device = await devices.register(connection, client.client_id, body.token, body.platform)
        if device is None:
            raise Conflict(f"there are {MAX_DEVICES} devices already", code="too_many_devices")
        return Answer(201, DeviceView.of(device))

    return await once(services, client, request, key, work)


@router.get("/devices", response_model=DeviceList, responses=refusals())
async def list_devices(client: Reader, services: Serve) -> Response:
    """Your devices, the oldest first. One that its vendor no longer knows is not among them."""
    async with services.database.read() as connection:
        found = await devices.of_client(connection, client.client_id)
    return json_answer(DeviceList(devices=[DeviceView.of(device) for device in found]))


@router.delete("/devices/{device_id}", status_code=204, responses=refusals("malformed_id", "not_found"))
async def remove_device(client: Owner, device_id: DeviceIdPath, services: Serve) -> Response:
    """Remove a device; its token is forgotten."""
    async with services.database.transaction() as connection:
        if not await devices.remove(connection, device_id, "by_client", client.client_id):
            raise NotFound("you have no such device", field="device_id")
    return Response(status_code=204)


@router.get(
    "/notifications",
    response_model=NotificationList,
    responses=refusals("malformed_cursor", "invalid_request", "unknown_field"),
)
async def list_notifications(
    client: Reader, query: Annotated[NotificationsQuery, Query()], services: Serve
) -> Response:
    """What you were told, and by which channels, newest first, a page at a time."""
    async with services.database.read() as connection:
        page = await notifications.page(connection, client.client_id, query.limit, query.cursor)
    return json_answer(NotificationList.of(page))
