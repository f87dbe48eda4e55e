"""Clients' webhook endpoints: where their events are sent, what became of each, and sending one again."""

import hashlib
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.requests import Request
from starlette.responses import Response
from ulid import ULID

from api.answers import json_answer
from api.auth import requires
from api.bodies import body_of
from api.documentation import reads, refusals
from api.endpoint_models import DeliveriesQuery, EndpointChange, EndpointRequest, NothingMore
from api.endpoint_views import DeliveryList, EndpointList, EndpointSecret, EndpointView
from api.idempotency import Answer, IdempotencyKey, once
from api.routes.paths import DeliveryIdPath, EndpointIdPath
from api.services import Serve
from gateways.callback_targets import check_url
from schema.errors import Conflict, NotFound
from store import deliveries, endpoints
from store.clients import ApiClient
from store.deliveries import StoredDelivery
from store.endpoints import NewEndpoint, StoredEndpoint

router = APIRouter(prefix="/v1/webhook-endpoints", tags=["webhook endpoints"])

Subscriber = Annotated[ApiClient, Depends(requires("webhooks:read"))]
Keeper = Annotated[ApiClient, Depends(requires("webhooks:write"))]


@router.post(
    "",
    status_code=201,
    response_model=EndpointSecret,
    responses=refusals(
        "unsafe_url", "too_many_endpoints", "secret_replaced", "idempotency_key_in_flight", body=True, key=True
    ),
    openapi_extra=reads(EndpointRequest),
)
async def create(
    request: Request,
    client: Keeper,
    body: Annotated[EndpointRequest, Depends(body_of(EndpointRequest))],
    key: IdempotencyKey,
    services: Serve,
) -> Response:
    """Register an endpoint. Keep the `secret` of the answer, which is not shown again: every delivery is signed with it, as
    Standard Webhooks (https://www.standardwebhooks.com) say.

    A delivery is done when the endpoint answers 2xx within 10 s. Otherwise it is tried again for 24 h, less and less often; 410
    disables the endpoint. Events of one booking come in order; each can come more than once, with the same `webhook-id`.
    """

    async def work() -> Answer:
        policy = services.settings.relay
        await check_url(body.url, allow_private=policy.allow_private_targets)
        new = NewEndpoint(
            endpoint_id=_endpoint_id(client, key),
            client_id=client.client_id,
            url=body.url,
            event_types=body.event_types,
            description=body.description,
            made_for=key,
        )
        async with services.database.transaction() as connection:
            stored = await endpoints.add(connection, new, policy.max_endpoints)
        if stored is None:
            raise Conflict(f"there are {policy.max_endpoints} endpoints already", code="too_many_endpoints")
        return _with_secret(201, stored, key)

    return await once(services, client, request, key, work)


@router.get("", response_model=EndpointList, responses=refusals())
async def list_endpoints(client: Subscriber, services: Serve) -> Response:
    """Your endpoints, the oldest first."""
    async with services.database.read() as connection:
        found = await endpoints.of_client(connection, client.client_id)
    return json_answer(EndpointList(endpoints=[EndpointView.of(endpoint) for endpoint in found]))


@router.get("/{endpoint_id}", response_model=EndpointView, responses=refusals("malformed_id", "not_found"))
async def get_endpoint(client: Subscriber, endpoint_id: EndpointIdPath, services: Serve) -> Response:
    """One endpoint; if it was disabled, why and since when."""
    async with services.database.read() as connection:
        return json_answer(EndpointView.of(await _owned(connection, client, endpoint_id)))


@router.patch(
    "/{endpoint_id}",
    response_model=EndpointView,
    responses=refusals("malformed_id", "not_found", "unsafe_url", body=True),
    openapi_extra=reads(EndpointChange),
)
async def change(
    client: Keeper,
    body: Annotated[EndpointChange, Depends(body_of(EndpointChange))],
    endpoint_id: EndpointIdPath,
    services: Serve,
) -> Response:
    """Change where events go or which, disable the endpoint, or enable it again. What is under way to it is not called back."""
    if body.url is not None:
        await check_url(body.url, allow_private=services.settings.relay.allow_private_targets)
    columns = body.model_dump(include={"url", "event_types"}, exclude_none=True)
    async with services.database.transaction() as connection:
        before = await _owned(connection, client, endpoint_id)
        await endpoints.change(connection, endpoint_id, columns)
        if body.enabled is False:
            await endpoints.disable(connection, endpoint_id, "by_client")
        elif body.enabled and before.disabled_at is not None:
            await endpoints.enable(connection, endpoint_id)
        return json_answer(EndpointView.of(await _owned(connection, client, endpoint_id)))


@router.delete("/{endpoint_id}", status_code=204, responses=refusals("malformed_id", "not_found"))
async def remove(client: Keeper, endpoint_id: EndpointIdPath, services: Serve) -> Response:
    """Remove an endpoint with all that is known of its deliveries."""
    async with services.database.transaction() as connection:
        if not await endpoints.remove(connection, client.client_id, endpoint_id):
            raise _unknown()
    return Response(status_code=204)


@router.post(
    "/{endpoint_id}/rotate-secret",
    response_model=EndpointSecret,
    responses=refusals(
        "malformed_id", "not_found", "secret_replaced", "idempotency_key_in_flight", body=True, key=True
    ),
    openapi_extra=reads(NothingMore),
)
async def rotate_secret(
    request: Request,
    client: Keeper,
    _: Annotated[NothingMore, Depends(body_of(NothingMore))],
    key: IdempotencyKey,
    endpoint_id: EndpointIdPath,
    services: Serve,
) -> Response:
    """A new secret. For 24 h deliveries carry two signatures, one with each, so that you can change over at leisure."""

    async def work() -> Answer:
        async with services.database.transaction() as connection:
            await _owned(connection, client, endpoint_id)
            await endpoints.rotate_secret(connection, endpoint_id, key)
            return _with_secret(200, await _owned(connection, client, endpoint_id), key)

    return await once(services, client, request, key, work)


@router.get(
    "/{endpoint_id}/deliveries",
    response_model=DeliveryList,
    responses=refusals("malformed_id", "not_found", "invalid_request", "unknown_field"),
)
async def list_deliveries(
    client: Subscriber, endpoint_id: EndpointIdPath, query: Annotated[DeliveriesQuery, Query()], services: Serve
) -> Response:
    """The latest deliveries, newest first, each with its attempts. `delivery_id` is the `webhook-id` of its message."""
    async with services.database.read() as connection:
        await _owned(connection, client, endpoint_id)
        found = await deliveries.recent(connection, endpoint_id, query.limit)
    return json_answer(DeliveryList(deliveries=found))


@router.post(
    "/{endpoint_id}/deliveries/{delivery_id}/replay",
    status_code=202,
    response_model=StoredDelivery,
    responses=refusals(
        *("malformed_id", "not_found", "endpoint_disabled", "delivery_pending"),
        "idempotency_key_in_flight",
        body=True,
        key=True,
    ),
    openapi_extra=reads(NothingMore),
)
async def replay(
    request: Request,
    client: Keeper,
    _: Annotated[NothingMore, Depends(body_of(NothingMore))],
    key: IdempotencyKey,
    endpoint_id: EndpointIdPath,
    delivery_id: DeliveryIdPath,
    services: Serve,
) -> Response:
    """Send a delivery that was given up, or has arrived, once more. Its `webhook-id` stays the same."""

    async def work() -> Answer:
        async with services.database.transaction() as connection:
            endpoint = await _owned(connection, client, endpoint_id)
            if endpoint.disabled_at is not None:
                raise Conflict("enable the endpoint first", code="endpoint_disabled")
            renewed = await deliveries.again(connection, endpoint_id, delivery_id)
        if renewed == "unknown":
            raise NotFound("the endpoint has no such delivery", field="delivery_id")
        if renewed == "pending":
            raise Conflict("the delivery is still being tried", code="delivery_pending")
        return Answer(202, renewed)

    return await once(services, client, request, key, work)


def _endpoint_id(client: ApiClient, key: str) -> str:
    """Must merge: every repeat of a request under one key. Must not merge: the same key of two clients, hence the length prefix,
    nor a booking made under it."""
    digest = hashlib.sha256(f"webhook-endpoint:{len(client.client_id)}:{client.client_id}:{key}".encode()).digest()
    return f"we_{ULID.from_bytes(digest[:16])}"


def _with_secret(status: int, endpoint: StoredEndpoint, key: str) -> Answer:
    """For a repeat the work is done again, so the answer need not be kept. Raises Conflict if the secret is not this request's."""
    if endpoint.secret_made_for[-1] != key:
        raise Conflict("the secret has been rotated since", code="secret_replaced")
    return Answer(status, EndpointSecret.of(endpoint), secret=True)


async def _owned(connection: AsyncConnection, client: ApiClient, endpoint_id: str) -> StoredEndpoint:
    found = await endpoints.find(connection, client.client_id, endpoint_id)
    if found is None:
        raise _unknown()
    return found


def _unknown() -> NotFound:
    return NotFound("you have no such endpoint", field="endpoint_id")
