"""One connection of a trip page and how far its trip has come: the number of the trip's revision, and no message of its client's.

Whoever has less looks at the trip again. So nothing can be missed or come twice, and nothing is told that the page does not show.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import orjson

from api.live.connection import Connection, SendPacket, packet
from api.trip_page import OPEN_AFTER_END
from schema.errors import Unauthenticated
from schema.feed import FeedMessage
from schema.itineraries import STREAM, itinerary_id_for
from schema.links import itinerary_of_link
from schema.settings import Settings
from store import trips
from store.database import Database


class TripConnection:
    """Of the trip `room`, whose link is its right to be here."""

    def __init__(self, room: str, send: SendPacket, end: Callable[[], None]) -> None:
        self.room = room
        self.end = end
        self._send = send
        self._head = 0
        self._wake = asyncio.Event()

    def check(self, head: int, *, say: bool = False) -> None:
        """The trip has come as far as revision `head`. `say`: it is said again, which shows that the line is alive."""
        if head > self._head or say:
            self._head = max(self._head, head)
            self._wake.set()

    async def say(self, event: str, body: dict[str, object]) -> None:
        await self._send(packet(event, orjson.dumps(body)))

    async def run(self, head: int) -> None:
        """Says what the revision is, and what it becomes, until it is cancelled or the page is gone."""
        self._head = max(self._head, head)
        try:
            await self.say("ready", {"sequence": self._head})
            while True:
                await self._wake.wait()
                self._wake.clear()
                await self.say("head", {"sequence": self._head})
        except ConnectionError:
            self.end()


AnyConnection = Connection | TripConnection


def trip_told_of(message: FeedMessage) -> tuple[str, int] | None:
    """The trip that has changed and its new revision, where the message is about one."""
    booking_id, revision = message.data.get("booking_id"), message.data.get("version")
    if not message.type.startswith(f"{STREAM}.") or not isinstance(booking_id, str) or not isinstance(revision, int):
        return None
    return itinerary_id_for(booking_id), revision


async def revisions(database: Database, itinerary_ids: list[str]) -> dict[str, int]:
    """Of the trips whose links are still good."""
    if not itinerary_ids:
        return {}
    async with database.read() as connection:
        return await trips.revisions(connection, itinerary_ids, datetime.now(UTC) - OPEN_AFTER_END)


def trip_opened_by(settings: Settings, link_token: str) -> str:
    """The itinerary of a signed link. Raises Unauthenticated."""
    try:
        if settings.link_secret is not None:
            return itinerary_of_link(settings.link_secret.get_secret_value(), link_token)
    except ValueError:
        pass
    raise Unauthenticated("this link does not open any trip")
