"""The trip page in a real browser: live, through a lost network, with and without script, on a phone, and to a screen reader."""

import re
from contextlib import AsyncExitStack
from types import SimpleNamespace

import pytest
import pytest_asyncio
from playwright.async_api import expect

from api.app import create_app
from schema.disruptions import disruption_workflow_id_for
from schema.settings import LiveSettings
from store.valkey import Valkey
from tests.api.browsing import browser_started
from tests.api.live import served
from tests.api.trip_pages import address, news, settle, tell
from tests.api.waiting import until
from tests.live.proxy import proxying
from workers.relay import relaying

pytestmark = pytest.mark.timeout(240)
PHONE = {"width": 360, "height": 740}
SOON_MS = 30_000


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def browser():
    async with browser_started() as started:
        yield started


@pytest_asyncio.fixture(loop_scope="session")
async def site(settings, vendors, monkeypatch):
    """It lets no WebSocket through: what is seen was asked for."""
    monkeypatch.setattr("api.trip_page.POLL_MS", 200)
    app = create_app(settings, vendors)
    async with served(app) as port:
        app.state.services.live.leaving = True
        yield f"http://127.0.0.1:{port}"


@pytest_asyncio.fixture(loop_scope="session")
async def told_site(site, settings, database, vendors, monkeypatch):
    """Two API processes behind a proxy that knows the first, and a relay. Nothing is asked for: what is seen was told."""
    monkeypatch.setattr("api.trip_page.POLL_MS", 3_600_000)
    monkeypatch.setattr("api.trip_page.LIVE_POLL_MS", 3_600_000)
    live = LiveSettings(look_every_s=600, drain_notice_s=0)
    applications = [create_app(settings.model_copy(update={"live": live}), vendors) for _ in range(2)]
    valkey = Valkey(str(settings.valkey_url))
    async with AsyncExitStack() as opened:
        await opened.enter_async_context(relaying(settings, database, valkey))
        ports = [await opened.enter_async_context(served(app)) for app in applications]
        proxy = await opened.enter_async_context(proxying(ports[0]))
        yield SimpleNamespace(proxy=proxy, ports=ports, live=[app.state.services.live for app in applications])
    await valkey.aclose()


@pytest_asyncio.fixture(loop_scope="session")
async def opened(browser, site, settings, itinerary_id):
    """Opens the page; fails when the browser had anything to complain about, such as a breach of the page's own policy."""
    contexts, complaints = [], []

    async def go(at=site, **options):
        context = await browser.new_context(**{"viewport": PHONE, **options})
        contexts.append(context)
        page = await context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto(at + address(settings, itinerary_id))
        return page

    yield go
    for context in contexts:
        await context.close()
    # Requests and connections that fail are what the tests of a lost network are about.
    expected = re.compile("ERR_|status of 409|^WebSocket connection to ")
    assert [text for text in complaints if not expected.search(text)] == []


async def test_what_is_told_appears_at_once_and_is_announced_through_cuts(opened, told_site, database, itinerary_id):
    page = await opened(at=told_site.proxy.url)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Trip to Lisbon")
    await until(lambda: told_site.live[0].connections == 1, within_s=30)
    status = await news(database, itinerary_id, minutes=75, gate="C7")
    await tell(database, itinerary_id, status, "delayed")
    await expect(page.locator("#parts")).to_contain_text("Delayed by 1 h 15 min", timeout=SOON_MS)
    await expect(page.locator("#parts")).to_contain_text("Gate C7")
    await expect(page.locator("#news")).to_contain_text("is delayed by 1 h 15 min")
    assert await page.locator("#news").get_attribute("aria-live") == "polite"

    # Its process goes away, and something happens before it is connected to the other one.
    told_site.proxy.ports = []
    told_site.proxy.cut(1)
    await until(lambda: told_site.live[0].connections == 0, within_s=30)
    await tell(database, itinerary_id, await news(database, itinerary_id, minutes=100), "delayed")
    told_site.proxy.ports = told_site.ports[1:]
    await expect(page.locator("#parts")).to_contain_text("Delayed by 1 h 40 min", timeout=SOON_MS)
    await until(lambda: told_site.live[1].connections == 1, within_s=30)

    await page.context.set_offline(True)
    told_site.proxy.cut(1)
    await expect(page.get_by_role("status")).to_contain_text("You are offline", timeout=SOON_MS)
    await tell(database, itinerary_id, await news(database, itinerary_id, phase="cancelled"), "cancelled")
    await expect(page.locator("#parts")).not_to_contain_text("Cancelled")
    await page.context.set_offline(False)
    await expect(page.locator("#parts")).to_contain_text("Cancelled", timeout=SOON_MS)
    await expect(page.locator("#news")).to_contain_text("is cancelled")
    await expect(page.get_by_role("status")).to_contain_text("Back online")


async def test_without_a_network_it_says_so_and_catches_up_after(opened, database, itinerary_id):
    page = await opened()
    told = page.get_by_role("status")
    await page.context.set_offline(True)
    await expect(told).to_contain_text(
        re.compile(r"You are offline\. This is how things stood \d+ (s|min) ago"), timeout=SOON_MS
    )
    await news(database, itinerary_id, phase="cancelled")
    await expect(page.locator("#parts")).not_to_contain_text("Cancelled")
    await page.context.set_offline(False)
    await expect(page.locator("#parts")).to_contain_text("Cancelled", timeout=SOON_MS)
    await expect(told).to_contain_text("Back online")


async def test_a_server_that_is_away_is_told_apart_from_being_offline(opened):
    page = await opened()
    await page.route("**/state?*", lambda route: route.abort())
    await expect(page.get_by_role("status")).to_contain_text("We cannot be reached right now", timeout=SOON_MS)
    await page.unroute("**/state?*")
    await expect(page.get_by_role("status")).to_contain_text("Back online", timeout=SOON_MS)
    await expect(page.get_by_role("status")).to_be_hidden(timeout=SOON_MS)  # it has said so, and takes no room


@pytest.mark.parametrize("script", [True, False])
async def test_a_choice_is_made(script, opened, database, disruption, temporal):
    page = await opened(java_script_enabled=script)
    await page.get_by_role("radio", name=re.compile("via Madrid")).check()
    await page.get_by_role("button", name="Confirm my choice").click()
    if script:
        await expect(page.get_by_role("alert")).to_have_text("Thank you. We have your choice.", timeout=SOON_MS)
    else:
        await page.wait_for_load_state()
    handle = temporal.get_workflow_handle(disruption_workflow_id_for(disruption.disruption_id))
    assert await handle.query("choices", result_type=list[str]) == ["2 for -1250"]

    await settle(database, disruption, "rebooked")
    if not script:
        await page.reload()
    await expect(page.locator("#disruptions")).to_contain_text("You are on another flight.", timeout=SOON_MS)
    await expect(page.get_by_role("button")).to_have_count(0)


async def test_what_was_picked_survives_an_update_and_a_lost_network(opened, database, itinerary_id, disruption):
    page = await opened()
    picked = page.get_by_role("radio", name=re.compile("Take none of these"))
    await picked.check()
    await news(database, itinerary_id, minutes=40)
    await expect(page.locator("#parts")).to_contain_text("Delayed by 40 min", timeout=SOON_MS)
    await expect(picked).to_be_checked()
    await expect(picked).to_be_focused()

    await page.context.set_offline(True)
    await page.get_by_role("button", name="Confirm my choice").click()
    await expect(page.get_by_role("alert")).to_contain_text("could not be sent. Nothing was changed", timeout=SOON_MS)
    await expect(picked).to_be_checked()


@pytest.mark.parametrize("width", [320, 360, 640])
async def test_nothing_is_cut_off_and_all_can_be_touched(width, opened, disruption):
    """320 px is also what a window of 640 px shows at 200 % zoom."""
    page = await opened(viewport={"width": width, "height": 740})
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    for target in await page.locator("label.choice, button").all():
        assert (await target.bounding_box())["height"] >= 44


async def test_a_screen_reader_finds_its_way(opened, disruption):
    page = await opened()
    tree = await page.locator("body").aria_snapshot()
    for part in (
        'link "Skip to your trip"',
        "main:",
        'heading "Trip to Lisbon" [level=1]',
        'heading "Changes that need your attention" [level=2]',
        'group "How do you want to go on?"',
        'heading "Itinerary" [level=2]',
        'heading "What has happened" [level=2]',
        'button "Confirm my choice"',
    ):
        assert part in tree, tree
    assert len(re.findall(r"- radio ", tree)) == 4
    assert await page.locator("html").get_attribute("lang") == "en"
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to your trip")).to_be_focused()
