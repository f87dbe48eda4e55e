"""The live feed as pages: for back-fill, and for those who cannot hold a connection open."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from pydantic import Field
from starlette.responses import Response

from api.answers import json_answer
from api.auth import requires
from api.documentation import refusals
from api.services import Serve
from schema.errors import Conflict
from schema.feed import MAX_SEQUENCE, FeedMessage
from schema.model import ClientMessage, Message
from store import feed
from store.clients import ApiClient

router = APIRouter(prefix="/v1/me", tags=["live feed"])
Listener = Annotated[ApiClient, Depends(requires("me:read"))]


class FeedQuery(ClientMessage):
    after: Annotated[int, Field(ge=0, le=MAX_SEQUENCE, description="The number of the last message you have had")] = 0
    limit: Annotated[int, Field(ge=1, le=200)] = 100


class FeedPage(Message):
    """Messages in the order of their numbers, without gaps."""

    events: list[FeedMessage]
    next: Annotated[int, Field(description="Send it as `after` to go on")]
    head: Annotated[int, Field(description="The number of your last message; above `next` there is more now")]


@router.get(
    "/events", response_model=FeedPage, responses=refusals("invalid_request", "unknown_field", "unknown_sequence")
)
async def list_events(client: Listener, query: Annotated[FeedQuery, Query()], services: Serve) -> Response:
    """The messages of your live feed that follow number `after`: the same that `/v1/live` sends, all of them and for good."""
    async with services.database.read() as connection:
        head = await feed.head(connection, client.client_id)
        if query.after > head:
            raise Conflict(f"your last message is number {head}", code="unknown_sequence", field="after")
        found = await feed.page(connection, client.client_id, query.after, query.limit)
    following = found[-1].sequence if found else query.after
    return json_answer(FeedPage(events=found, next=following, head=max(head, following)))
