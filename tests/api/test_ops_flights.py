"""Operations: how a watched flight stands, and where its monitor is seen."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from schema.flights import FlightId, FlightNews, FlightPoint, FlightPolicy
from store import flights
from store.database import Database
from store.flights import PlannedFlight
from tests.api.conftest import Caller, Minting


async def test_a_flight_is_shown_with_its_monitor(caller: Caller, database: Database) -> None:
    departs_at = datetime(2031, 5, 1, 10, tzinfo=UTC)
    number = str(uuid4().int % 9000 + 1000)
    flight = FlightId(carrier="ZX", number=number, on=departs_at.date(), origin="LHR")
    planned = PlannedFlight(
        flight=flight, destination="LIS", departs_at=departs_at, arrives_at=departs_at + timedelta(hours=3)
    )
    news = FlightNews(
        flight=flight,
        source="amadeus",
        said_at=datetime.now(UTC),
        departure=FlightPoint(airport="LHR", estimated=departs_at + timedelta(minutes=45)),
    )
    async with database.transaction() as connection:
        await flights.watch(connection, planned)
        await flights.take_news(connection, news, FlightPolicy())

    answer = await caller.get(f"/v1/ops/flights/{flight.key}")

    assert answer.status_code == 200
    shown = answer.json()
    assert (shown["status"]["delay_minutes"], shown["status"]["revision"], shown["told_revision"]) == (45, 1, 0)
    assert (shown["itineraries"], shown["polled_at"], shown["next_poll_at"]) == (0, None, None)
    assert shown["workflow_url"].endswith(f"/namespaces/default/workflows/flight-{flight.key}")


async def test_what_is_no_flight_of_ours(caller: Caller, mint: Minting) -> None:
    unknown = await caller.get("/v1/ops/flights/ZX9-2031-05-01-LHR")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not_found")
    malformed = await caller.get("/v1/ops/flights/nonsense")
    assert (malformed.status_code, malformed.json()["code"]) == (404, "malformed_id")
    stranger = await mint(["bookings:read"])
    refused = await stranger.get("/v1/ops/flights/ZX9-2031-05-01-LHR")
    assert (refused.status_code, refused.json()["code"]) == (403, "missing_scope")
