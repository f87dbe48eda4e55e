"""One look at a trip, as its page: the regions that change while it is open, and a version that names what they say."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from markupsafe import Markup
from sqlalchemy.ext.asyncio import AsyncConnection

from api.reading_itineraries import read_itinerary
from api.trip_disruptions import shown_disruptions
from api.trip_rendering import render
from api.trip_timeline import timeline_of
from api.trip_view import Tone, part_of, title_of
from schema.disruptions import Disruption
from schema.itineraries import Itinerary, ItineraryState
from schema.links import itinerary_of_link
from schema.model import Message
from schema.notifications import Language
from store import disruptions, preferences, trips

POLL_MS: Final = 5_000
"""Between two looks of an open page that hears nothing."""
LIVE_POLL_MS: Final = 30_000
"""While it hears of every revision of its trip; small news of a flight are not one."""
OPEN_AFTER_END: Final = timedelta(days=90)
"""So long a link is good after its trip."""
_TONES: Final[dict[ItineraryState, Tone]] = {"active": "good", "cancelled": "off", "completed": "off"}


class TripClosed(Exception):
    """There is no page to show: the words that say so, and the status."""

    def __init__(self, word: Literal["bad_link", "expired", "gone"], status: int, language: Language = "en") -> None:
        super().__init__(word)
        self.word = word
        self.status = status
        self.language: Language = language


class Trip(Message):
    """What was read for one look."""

    itinerary: Itinerary
    language: Language
    disruptions: list[Disruption]
    title: str
    regions: dict[str, str]
    """HTML, by the id of the element that it fills."""
    news: str
    """The last thing that has happened, in words."""

    @property
    def version(self) -> str:
        """Must merge: every look at the same state. Must not merge: anything that a traveller would see."""
        said = "\0".join(f"{name}\0{html}" for name, html in sorted(self.regions.items()))
        return f"{self.itinerary.revision}-{hashlib.sha256(said.encode()).hexdigest()[:16]}"


async def look(connection: AsyncConnection, itinerary_id: str, token: str, secret: str | None) -> Trip:
    """The trip that the token opens. Raises TripClosed."""
    if secret is None or not _opens(secret, token, itinerary_id):
        raise TripClosed("bad_link", 403)
    itinerary = await read_itinerary(connection, itinerary_id)
    if itinerary is None:
        raise TripClosed("gone", 404)
    language = (await preferences.get(connection, itinerary.client_id)).language
    if itinerary.ends_at + OPEN_AFTER_END < datetime.now(UTC):
        raise TripClosed("expired", 403, language)
    found = await disruptions.of_itinerary(connection, itinerary_id)
    timeline = timeline_of(itinerary, await trips.events_of(connection, itinerary), language)
    regions = {
        "summary": render(
            "trip_summary.html.j2",
            language,
            state=itinerary.state,
            tone=_TONES[itinerary.state],
            booking_id=itinerary.booking_id,
        ),
        "disruptions": render(
            "trip_disruptions.html.j2",
            language,
            disruptions=shown_disruptions(itinerary, found, language),
            choice_url=f"/trips/{itinerary_id}/disruptions/",
            token=token,
        ),
        "parts": render(
            "trip_parts.html.j2", language, parts=[part_of(segment, language) for segment in itinerary.segments]
        ),
        "timeline": render("trip_timeline.html.j2", language, timeline=timeline),
    }
    return Trip(
        itinerary=itinerary,
        language=language,
        disruptions=found,
        title=title_of(itinerary, language),
        regions=regions,
        news=" ".join(timeline[0].lines) if timeline else "",
    )


def page_of(trip: Trip, token: str, answer: str | None = None) -> str:
    """The whole document; `answer`: what came of a choice that was sent without a script."""
    return render(
        "trip_page.html.j2",
        trip.language,
        title=trip.title,
        regions={name: Markup(html) for name, html in trip.regions.items()},  # noqa: S704  # rendered by templates that escape
        version=trip.version,
        state_url=f"/trips/{trip.itinerary.itinerary_id}/state?token={token}",
        poll_ms=POLL_MS,
        live_poll_ms=LIVE_POLL_MS,
        answer=answer,
    )


def _opens(secret: str, token: str, itinerary_id: str) -> bool:
    try:
        return itinerary_of_link(secret, token) == itinerary_id
    except ValueError:
        return False
