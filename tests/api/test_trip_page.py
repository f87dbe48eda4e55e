"""The trip page over HTTP: complete without a script, opened by its signed link only, and choices taken once."""

import re
from datetime import timedelta
from typing import get_args

import pytest
import pytest_asyncio
from sqlalchemy import update

from api.trip_words import WORDS
from schema.disruptions import DisruptionKind, DisruptionState, disruption_workflow_id_for
from schema.flights import Change
from schema.notifications import Preferences
from schema.tables import itineraries
from store import preferences
from tests.api.conftest import speak
from tests.api.trip_pages import a_trip, address, news, settle, tell
from tests.house.files import ROOT


@pytest_asyncio.fixture(loop_scope="session")
async def browser(app):
    """Somebody without a token."""
    async with speak(app) as http:
        yield http


def fields_of(page: str) -> dict[str, str]:
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))


async def choices(temporal, disruption) -> list[str]:
    handle = temporal.get_workflow_handle(disruption_workflow_id_for(disruption.disruption_id))
    return await handle.query("choices", result_type=list[str])


def test_no_language_lacks_a_word():
    assert WORDS["en"].keys() == WORDS["ja"].keys()
    for key, words in WORDS["en"].items():
        assert set(re.findall(r"\{\w+\}", words)) == set(re.findall(r"\{\w+\}", WORDS["ja"][key])), key


def test_there_are_words_for_all_that_can_become_of_a_flight():
    wanted = {f"d_{kind}" for kind in get_args(DisruptionKind)} | {f"s_{state}" for state in get_args(DisruptionState)}
    wanted |= {f"e_{change}" for change in get_args(Change)}
    assert wanted - WORDS["en"].keys() == set()


async def test_the_link_shows_the_trip_and_nothing_leaves_it(browser, settings, database, itinerary_id):
    status = await news(database, itinerary_id, minutes=50, gate="B32")
    await tell(database, itinerary_id, status, "delayed")
    answer = await browser.get(address(settings, itinerary_id))
    assert answer.status_code == 200
    assert '<html lang="en">' in answer.text
    for shown in ("Trip to Lisbon", "09:50", "Gate B32", "ABC123", "Delayed by 50 min", "is delayed by 50 min"):
        assert shown in answer.text
    assert "Lovelace" not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert not re.search(r"(?:src|href)=\"(?!/|#|data:,\")", answer.text)
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! type=\"module\" src=)", answer.text)


async def test_its_assets_may_be_kept_for_good(browser, settings, itinerary_id):
    page = (await browser.get(address(settings, itinerary_id))).text
    found = re.findall(r'(?:src|href|data-feed)="(/trips/assets/[^"]+)"', page)
    assert [re.sub(r"\.[0-9a-f]{16}\.", ".", path) for path in found] == [
        *("/trips/assets/trip.css", "/trips/assets/trip.js", "/trips/assets/travelhub_live.js")
    ]
    for path in found:
        answer = await browser.get(path)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "public, max-age=31536000, immutable")
        assert answer.content == (ROOT / "api/static" / re.sub(r"\.[0-9a-f]{16}\.", ".", path[14:])).read_bytes()
    assert (await browser.get("/trips/assets/trip.js")).status_code == 404


async def test_only_its_own_link_opens_it(browser, settings, database, caller, itinerary_id):
    other = address(settings, await a_trip(database, caller.client_id))
    token = other.partition("=")[2]
    for path in (
        f"/trips/{itinerary_id}",
        f"/trips/{itinerary_id}?token={token}",
        f"{address(settings, itinerary_id)}x",
        f"/trips/{itinerary_id}?token=%00%ff",
    ):
        answer = await browser.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (403, "text/html; charset=utf-8")
        assert "This link does not work" in answer.text
        assert "Lisbon" not in answer.text
        assert (await browser.get(path.replace("?", "/state?", 1))).status_code == 403
    gone = await browser.get(address(settings, "itn_01JABCDEFGHJKMNPQRSTVWXYZ0"))
    assert (gone.status_code, "There is no such trip" in gone.text) == (404, True)


async def test_long_after_the_trip_the_link_has_expired(browser, settings, database, itinerary_id):
    async with database.transaction() as connection:
        past = update(itineraries).where(itineraries.c.id == itinerary_id)
        await connection.execute(past.values(ends_at=itineraries.c.created_at - timedelta(days=91)))
    answer = await browser.get(address(settings, itinerary_id))
    assert (answer.status_code, "This trip is over" in answer.text) == (403, True)


async def test_it_speaks_the_travellers_language(browser, settings, database, caller, itinerary_id, disruption):
    async with database.transaction() as connection:
        await preferences.put(connection, caller.client_id, Preferences(language="ja"))
    page = (await browser.get(address(settings, itinerary_id))).text
    assert '<html lang="ja">' in page
    for shown in ("便は欠航になりました", "€45.00", "2027年2月1日(月)", "どれも選ばない"):
        assert shown in page


async def test_nothing_is_sent_again_until_something_changes(browser, settings, database, itinerary_id):
    path = address(settings, itinerary_id).replace("?", "/state?", 1)
    first = await browser.get(path)
    again = await browser.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    await news(database, itinerary_id, phase="cancelled")
    changed = await browser.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200
    assert "Cancelled" in changed.json()["regions"]["parts"]


async def test_a_choice_is_taken_once(browser, settings, database, itinerary_id, disruption, temporal):
    here = address(settings, itinerary_id)
    page = (await browser.get(here)).text
    for shown in (
        " is cancelled",
        "€45.00 more to pay",
        "€12.50 back to you",
        "via Madrid",
        "arrive late at Casa",
    ):
        assert shown in page
    form = f"/trips/{itinerary_id}/disruptions/{disruption.disruption_id}/choice"
    fields = fields_of(page) | {"choice": "2"}
    for _ in range(2):  # sent twice, as an impatient finger does
        sent = await browser.post(form, data=fields)
        assert (sent.status_code, sent.headers["location"]) == (303, here)
    assert await choices(temporal, disruption) == ["2 for -1250"]

    other = await browser.post(form, data=fields | {"choice": "1"})
    assert (other.status_code, "cannot be chosen any more" in other.text) == (409, True)
    await settle(database, disruption, "rebooked")
    late = await browser.post(form, data=fields, headers={"Accept": "application/json"})
    assert (late.status_code, "cannot be chosen any more" in late.json()["message"]) == (409, True)
    assert "You are on another flight" in (await browser.get(here)).text


@pytest.mark.parametrize(
    ("changes", "status", "told"),
    [
        ({"token": ""}, 403, "This link does not work"),
        ({"offered": "0" * 16}, 409, "The options have changed"),
        ({"choice": "9"}, 422, "Choose one of the options first"),
        ({"choice": ""}, 422, "Choose one of the options first"),
    ],
)
async def test_what_was_not_offered_is_not_taken(
    changes, status, told, browser, settings, itinerary_id, disruption, temporal
):
    page = (await browser.get(address(settings, itinerary_id))).text
    form = f"/trips/{itinerary_id}/disruptions/{disruption.disruption_id}/choice"
    sent = await browser.post(form, data=fields_of(page) | {"choice": "1"} | changes)
    assert (sent.status_code, told in sent.text) == (status, True)
    assert await choices(temporal, disruption) == []


async def test_the_token_of_one_trip_chooses_for_no_other(
    browser, settings, database, caller, itinerary_id, disruption, temporal
):
    page = (await browser.get(address(settings, itinerary_id))).text
    mine = await a_trip(database, caller.client_id)
    fields = fields_of(page) | {"choice": "1", "token": address(settings, mine).partition("=")[2]}
    sent = await browser.post(f"/trips/{mine}/disruptions/{disruption.disruption_id}/choice", data=fields)
    assert sent.status_code == 409
    assert await choices(temporal, disruption) == []
