"""Who may listen, to what, and for how long."""

import asyncio

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from api.auth import Tokens
from clients.travelhub_live import FeedRefused, LiveFeed
from schema.settings import Settings
from tests.api.waiting import until
from tests.live.conftest import Api, Listening, serving
from tests.live.hearing import hear, packets, raw


@pytest.mark.parametrize(
    ("hello", "code"),
    [
        ({}, "unauthenticated"),
        ({"last": 3}, "unauthenticated"),
        ("Bearer me", "unauthenticated"),
        ({"token": "of nobody"}, "unauthenticated"),
        ({"token": "RIGHT", "last": "3"}, "invalid_request"),
        ({"token": "RIGHT", "last": -1}, "invalid_request"),
        ({"token": "RIGHT", "last": 2**63}, "invalid_request"),
        ({"token": "RIGHT", "last": 1}, "unknown_sequence"),
        ({"token": "WRONG SCOPE"}, "missing_scope"),
    ],
)
async def test_who_is_refused(hello: object, code: str, api: Api, listener: Listening) -> None:
    tokens = {"RIGHT": (await listener()).token, "WRONG SCOPE": (await listener(("bookings:read", "me:write"))).token}
    if isinstance(hello, dict) and hello.get("token") in tokens:
        hello = hello | {"token": tokens[hello["token"]]}
    async with raw(api.url, hello) as line:
        event, body = await anext(packets(line))
        assert (event, body["data"]) == ("refused", {"code": code})
        assert body["message"]
    assert api.connections == 0


async def test_the_client_says_why_it_is_refused(api: Api, listener: Listening) -> None:
    who = await listener(("bookings:read",))
    async with LiveFeed(api.url, who.token) as feed:
        with pytest.raises(FeedRefused, match="missing_scope"):
            await hear(feed, 1)


@pytest.mark.parametrize("hello", [None, {}])
async def test_who_says_nothing_or_is_refused_is_disconnected(hello: object, settings: Settings) -> None:
    async with serving(settings, connect_within_s=0.5) as api, raw(api.url, hello) as line:
        async with asyncio.timeout(30):
            assert [event async for event, _ in packets(line)] == ([] if hello is None else ["refused"])


async def test_a_server_that_is_slow_does_not_hold_it_against_its_clients(
    settings: Settings, listener: Listening, relay: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    look_up = Tokens.client

    async def slowly(tokens: Tokens, token: str) -> object:
        await asyncio.sleep(1)  # longer than a client may be silent
        return await look_up(tokens, token)

    monkeypatch.setattr(Tokens, "client", slowly)
    who = await listener()
    async with serving(settings, connect_within_s=0.5) as api, raw(api.url, {"token": who.token}) as line:
        heard = packets(line)
        assert (await anext(heard))[0] == "welcome"
        await who.happens(1)
        async for event, _ in heard:
            if event == "message":
                return
    pytest.fail("it was disconnected")


async def test_one_hears_only_what_is_ones_own(api: Api, listener: Listening, relay: None) -> None:
    mine, theirs = await listener(), await listener()
    async with LiveFeed(api.url, mine.token, 0) as feed, LiveFeed(api.url, theirs.token, 0) as other:
        assert (await hear(feed, 1), await hear(other, 1)) == ([1], [1])
        await theirs.happens(3)
        await mine.happens(1)
        async with asyncio.timeout(10):
            heard = [message async for message in _first(feed, 1)]
            others = [message async for message in _first(other, 3)]
    assert [(message["sequence"], message["data"]["booking_id"]) for message in heard] == [(2, mine.booking_id)]
    assert {message["data"]["booking_id"] for message in others} == {theirs.booking_id}
    for who, count in ((mine, 2), (theirs, 4)):
        page = (await api.get(who, "/v1/me/events")).json()
        assert {event["data"]["booking_id"] for event in page["events"]} == {who.booking_id}
        assert (page["next"], page["head"]) == (count, count)


async def _first(feed: LiveFeed, count: int):
    async for message in feed:
        yield message
        count -= 1
        if count == 0:
            return


async def test_a_disabled_token_ends_the_connection(api: Api, listener: Listening, relay: None) -> None:
    who = await listener()
    async with LiveFeed(api.url, who.token, 0) as feed:
        await hear(feed, 1)
        await until(lambda: api.connections == 1)
        await who.loses_its_token()
        await until(lambda: api.connections == 0)
        with pytest.raises(FeedRefused, match="unauthenticated"):
            await hear(feed, 2)


async def test_a_client_has_so_many_connections_at_most(settings: Settings, listener: Listening) -> None:
    async with serving(settings, max_connections_per_client=2) as api:
        who, other = await listener(), await listener()
        hello = {"token": who.token}
        async with raw(api.url, hello) as one, raw(api.url, hello) as two, raw(api.url, hello) as three:
            events = [(await anext(packets(line)))[0] for line in (one, two, three)]
            assert sorted(events) == ["refused", "welcome", "welcome"]
            async with raw(api.url, {"token": other.token}) as line:
                assert (await anext(packets(line)))[0] == "welcome"
        await until(lambda: api.connections == 0)
        async with raw(api.url, hello) as line:
            assert (await anext(packets(line)))[0] == "welcome"


async def test_a_process_has_so_many_connections_at_most(settings: Settings, listener: Listening) -> None:
    async with serving(settings, max_connections=1) as api, raw(api.url):
        with pytest.raises(InvalidStatus):
            async with raw(api.url):
                pass


async def test_who_does_not_read_is_disconnected_and_gets_the_rest_later(
    settings: Settings, listener: Listening, relay: None
) -> None:
    who = await listener()
    async with serving(settings, slow_after_s=1) as api:
        async with raw(api.url, {"token": who.token, "last": 0}, max_queue=1):
            await until(lambda: api.connections == 1)
            await who.happens(150, size_bytes=100_000)
            await until(lambda: api.connections == 0, within_s=30)
        async with LiveFeed(api.url, who.token, 0) as feed:
            assert await hear(feed, 151) == list(range(1, 152))


async def test_it_is_a_websocket(api: Api) -> None:
    async with httpx.AsyncClient(base_url=api.url) as http:
        for path in ("/v1/live/?EIO=4&transport=polling", "/v1/live/"):
            answer = await http.get(path)
            assert (answer.status_code, answer.json()["code"]) == (426, "websocket_required")
            assert answer.headers["upgrade"] == "websocket"
