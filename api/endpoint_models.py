"""What clients send about their webhook endpoints."""

from typing import Annotated

from pydantic import AfterValidator, Field

from schema.endpoints import EventPattern
from schema.model import ClientMessage

ENDPOINT_ID_PATTERN = "^we_[0-7][0-9A-HJKMNP-TV-Z]{25}$"
DELIVERY_ID_PATTERN = "^msg_[0-9a-f]{32}$"


def _each_once(patterns: list[str]) -> list[str]:
    return list(dict.fromkeys(patterns))


Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2000,
        pattern=r"^[!-~]+$",
        description="https, on the public internet; redirects are not followed",
        examples=["https://example.com/travelhub-events"],
    ),
]
EventTypes = Annotated[list[EventPattern], Field(min_length=1, max_length=50), AfterValidator(_each_once)]
Description = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*$")]


class EndpointRequest(ClientMessage):
    """Where events are to be sent, and which."""

    url: Url
    event_types: EventTypes = ["*"]
    description: Description | None = None


class EndpointChange(ClientMessage):
    """What is not named stays as it is."""

    url: Url | None = None
    event_types: EventTypes | None = None
    enabled: Annotated[bool, Field(strict=True)] | None = None
    """False gives up what is not delivered yet; it can be replayed. True after the endpoint was disabled: patience begins anew."""


class NothingMore(ClientMessage):
    """The path says it all: send `{}`."""


class DeliveriesQuery(ClientMessage):
    limit: Annotated[int, Field(ge=1, le=100)] = 20
