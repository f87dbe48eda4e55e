"""What was missed is made good, from Valkey or from the books, and followed without a seam by what is live."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from clients.travelhub_live import LiveFeed
from sandbox.stack import Stack
from schema.settings import Settings
from store import feed as feed_store
from tests.api.waiting import until
from tests.live.conftest import Api, Listener, Listening
from tests.live.hearing import hear, packets, raw
from tests.saga.waiting import eventually


@pytest.mark.parametrize("kept", [True, False])
async def test_what_was_missed_comes_first(
    kept: bool,
    api: Api,
    listener: Listening,
    relay: None,
    empty_valkey: Callable[[], Awaitable[None]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """More than a page of it; where Valkey has it all, the books are not asked."""
    pages: list[int] = []
    read = feed_store.page

    async def counted(connection, client_id, after, limit):
        pages.append(after)
        return await read(connection, client_id, after, limit)

    who = await listener()
    await who.happens(449)
    await eventually(who.all_published)
    if not kept:
        await empty_valkey()
    monkeypatch.setattr("store.feed.page", counted)
    async with LiveFeed(api.url, who.token, 20) as feed:
        assert await hear(feed, 450) == list(range(21, 451))
        await who.happens(2)
        assert await hear(feed, 452) == [451, 452]
    assert pages == ([] if kept else [20, 220, 420])


async def test_who_does_not_say_where_it_was_hears_what_happens_from_now_on(
    api: Api, listener: Listening, relay: None
) -> None:
    who = await listener()
    await who.happens(4)
    await eventually(who.all_published)
    async with raw(api.url, {"token": who.token}) as line:
        heard = packets(line)
        assert (await anext(heard))[0] == "welcome"
        assert await anext(heard) == ("ready", {"sequence": 5})
        assert await anext(heard) == ("head", {"sequence": 5})
        await who.happens(1)
        event, message = await anext(heard)
        while event == "head":
            event, message = await anext(heard)
        assert (event, message["sequence"], message["type"]) == ("message", 6, "notice.test")


async def test_back_fill_and_live_have_no_seam(api: Api, listener: Listening, relay: None) -> None:
    """Many connect at once while there is news all the time."""
    who = await listener()
    await who.happens(199)
    await eventually(who.all_published)

    async def news() -> None:
        for _ in range(60):
            await who.happens(2)

    async def listen(last: int) -> None:
        async with raw(api.url, {"token": who.token, "last": last}) as line:
            heard: list[int] = []
            async for event, body in packets(line):
                if event == "message":
                    heard.append(body["sequence"])
                    if heard[-1] == 320:
                        break
            assert heard == list(range(last + 1, 321))

    async with asyncio.timeout(100), asyncio.TaskGroup() as group:
        group.create_task(news())
        for last in range(0, 200, 10):
            group.create_task(listen(last))
            await asyncio.sleep(0.02)  # spread over the time in which there is news


async def test_what_nobody_told_is_found_in_the_books(
    api: Api, listener: Listening, number_only: Callable[[Listener], Awaitable[None]]
) -> None:
    """A relay that dies between numbering and telling, and no other that takes over."""
    who = await listener()
    async with LiveFeed(api.url, who.token) as feed:
        hearing = asyncio.create_task(hear(feed, 1, within_s=5))
        await until(lambda: feed.state == "live")
        await number_only(who)
        assert await hearing == [1]


async def test_it_works_while_valkey_is_away(api: Api, listener: Listening, relay: None, servers: Stack) -> None:
    who = await listener()
    async with LiveFeed(api.url, who.token, 0) as feed:
        await hear(feed, 1)
        await servers.stop("valkey")
        try:
            await who.happens(5)
            assert await hear(feed, 6) == [2, 3, 4, 5, 6]
        finally:
            await servers.start("valkey")
        await eventually(who.all_published)
        await who.happens(1)
        assert await hear(feed, 7) == [7]


async def test_pages_are_the_same_messages(api: Api, listener: Listening, relay: None) -> None:
    who = await listener()
    await who.happens(4)
    await eventually(who.all_published)
    async with raw(api.url, {"token": who.token, "last": 0}) as line:
        told = []
        async for event, body in packets(line):
            if event == "message":
                told.append(body)
            if len(told) == 5:
                break
    first = (await api.get(who, "/v1/me/events?limit=3")).json()
    rest = (await api.get(who, f"/v1/me/events?after={first['next']}")).json()
    assert first["events"] + rest["events"] == told
    assert (first["next"], first["head"], rest["next"], rest["head"]) == (3, 5, 5, 5)
    beyond = await api.get(who, "/v1/me/events?after=6")
    assert (beyond.status_code, beyond.json()["code"]) == (409, "unknown_sequence")
    assert (await api.get(who, "/v1/me/events?after=5")).json() == {"events": [], "next": 5, "head": 5}


async def test_after_ten_tries_it_polls(api: Api, listener: Listening, relay: None, settings: Settings) -> None:
    """Here the process admits no connection, but answers requests."""
    api.app.state.services.live.leaving = True
    who = await listener()
    async with LiveFeed(api.url, who.token, 0, ladder_s=[0.01] * 10, poll_every_s=0.1) as feed:
        assert await hear(feed, 1) == [1]
        assert feed.state == "polling"
        await who.happens(3)
        assert await hear(feed, 4) == [2, 3, 4]
