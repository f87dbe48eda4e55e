"""Itineraries over HTTP: by the clock of each place, each flight as it stands now, and for calendars."""

import re
from datetime import timedelta

import pytest_asyncio
from icalendar import Calendar

from schema.itineraries import itinerary_id_for
from store import itineraries
from tests.api.trip_pages import DEPARTS, a_trip, news
from tests.store.trips import a_booking, confirm


@pytest_asyncio.fixture(loop_scope="session")
async def itinerary_id(caller, database):
    return await a_trip(database, caller.client_id)


async def calendar(caller, itinerary_id):
    answer = await caller.get(f"/v1/itineraries/{itinerary_id}.ics")
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    parsed = Calendar.from_ical(answer.content)
    assert all(not component.errors for component in parsed.walk())
    assert all(len(line) <= 75 for line in answer.content.split(b"\r\n"))
    return parsed, answer.text


async def test_it_shows_each_part_by_the_clock_of_its_place(caller, itinerary_id):
    answer = await caller.get(f"/v1/itineraries/{itinerary_id}")
    shown = answer.json()
    assert (answer.status_code, shown["state"], shown["revision"]) == (200, "active", 0)
    out, car, hotel, back = shown["segments"]
    assert out["starts"] == {"local": "2027-02-01T09:00:00+00:00", "zone": "Europe/London"}
    assert hotel["starts"] == {"local": "2027-02-01T15:00:00+00:00", "zone": "Europe/Lisbon"}
    assert [part["details"]["kind"] for part in (out, car, hotel, back)] == ["flight", "car", "hotel", "flight"]
    assert {part["record_locator"] for part in shown["segments"]} == {"ABC123"}
    assert shown["trip_page"].startswith("http")
    assert f"/trips/{itinerary_id}?" in shown["trip_page"]


async def test_a_list_has_them_page_by_page(caller, database):
    made = set()
    for _ in range(3):
        booking_id = await a_booking(database, caller.client_id)
        await confirm(database, booking_id)
        made.add(itinerary_id_for(booking_id))
    first = (await caller.get("/v1/itineraries?limit=2")).json()
    second = (await caller.get(f"/v1/itineraries?limit=2&cursor={first['next_cursor']}")).json()
    listed = [one["itinerary_id"] for one in first["itineraries"] + second["itineraries"]]
    assert len(listed) == 3
    assert set(listed) == made
    assert second["next_cursor"] is None


async def test_everybody_elses_looks_like_none(mint, itinerary_id):
    stranger = await mint()
    for path in (f"/v1/itineraries/{itinerary_id}", f"/v1/itineraries/{itinerary_id}.ics"):
        answer = await stranger.get(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert (await stranger.get("/v1/itineraries")).json()["itineraries"] == []


async def test_a_flight_is_shown_as_it_stands_now(caller, database, itinerary_id):
    """Newer than what the itinerary was told: nobody has told it anything yet."""
    await news(database, itinerary_id, minutes=50, gate="B32")
    shown = (await caller.get(f"/v1/itineraries/{itinerary_id}")).json()
    departure = shown["segments"][0]["flight"]["departure"]
    assert (shown["revision"], shown["segments"][0]["flight"]["delay_minutes"]) == (0, 50)
    assert (departure["terminal"], departure["gate"]) == ("5", "B32")
    assert departure["estimated"] == {"local": "2027-02-01T09:50:00+00:00", "zone": "Europe/London"}


async def test_nothing_is_sent_again_until_something_changes(caller, database, itinerary_id):
    path = f"/v1/itineraries/{itinerary_id}"
    tag = (await caller.get(path)).headers["etag"]
    assert tag.startswith('"0-')
    for known in (tag, f'"other", W/{tag}', "*"):
        again = await caller.http.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)

    status = await news(database, itinerary_id, minutes=95)
    moved = await caller.http.get(path, headers={"If-None-Match": tag})
    assert moved.status_code == 200
    async with database.transaction() as connection:
        await itineraries.tell_of_flight(connection, itinerary_id, status, ["delayed"])
    told = await caller.http.get(path, headers={"If-None-Match": moved.headers["etag"]})
    assert (told.status_code, told.headers["etag"][:3]) == (200, '"1-')


async def test_a_calendar_takes_it(caller, database, itinerary_id):
    status = await news(database, itinerary_id, minutes=40, gate="A1")
    async with database.transaction() as connection:
        await itineraries.tell_of_flight(connection, itinerary_id, status, ["delayed"])
    parsed, text = await calendar(caller, itinerary_id)
    flight, *others = parsed.events
    assert flight["uid"] == f"{itinerary_id}-1@travelhub"
    assert (flight["sequence"], flight["status"]) == (1, "CONFIRMED")
    assert flight.start == DEPARTS + timedelta(minutes=40)
    assert flight["dtstart"].params["TZID"] == "Europe/London"
    assert re.fullmatch(r"Flight ZZ\d+ LHR-LIS \(40 min late\)", flight["summary"])
    assert flight["location"] == "LHR, terminal 5, gate A1"
    assert "ABC123" in flight["description"]
    assert {zone["tzid"] for zone in parsed.timezones} == {"Europe/London", "Europe/Lisbon"}
    assert len(others) == 3
    assert "Lovelace" not in text
    assert (await calendar(caller, itinerary_id))[1] == text


async def test_what_is_off_is_cancelled_in_the_calendar_too(caller, database, itinerary_id):
    before, _ = await calendar(caller, itinerary_id)
    await news(database, itinerary_id, phase="cancelled")
    after, _ = await calendar(caller, itinerary_id)
    assert [event["uid"] for event in after.events] == [event["uid"] for event in before.events]
    assert [event["status"] for event in after.events] == ["CANCELLED", "CONFIRMED", "CONFIRMED", "CONFIRMED"]
    assert after.events[0]["summary"].endswith("(cancelled)")
