"""Where a client's events may go: checked when it says so, and on the very address that is connected to."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from pydantic import SecretStr

from gateways import callback_targets, callbacks
from gateways.callback_targets import ForbiddenTarget, check_url, is_public
from gateways.callbacks import Callback, CallbackSender
from tests.relay.consumer import Consumer, consuming

PRIVATE = [
    *("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.1", "224.0.0.1"),
    *("240.0.0.1", "255.255.255.255", "168.63.129.16", "::1", "::", "fe80::1", "fd00:ec2::254", "ff02::1"),
    *(
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "64:ff9b::a00:1",
        "2002:7f00:1::1",
        "::127.0.0.1",
        "not an address",
    ),
]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.215.14", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_public_ones_are(address: str) -> None:
    assert is_public(address)


def _stands_for(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    async def resolve(host: str, port: int) -> list[str]:
        return list(addresses)

    monkeypatch.setattr(callback_targets, "resolve", resolve)
    monkeypatch.setattr(callbacks, "resolve", resolve)


@pytest.mark.parametrize(
    "url",
    [
        *("http://example.com/", "ftp://example.com/", "https://", "https://user:pass@example.com/", "example.com"),
        *("https://example.com/#part", "https://example.com:99999/", "https://[::1", "//example.com/"),
    ],
)
async def test_what_is_no_https_address_is_refused(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _stands_for(monkeypatch, "8.8.8.8")
    with pytest.raises(ForbiddenTarget):
        await check_url(url, allow_private=False)
    await check_url("https://example.com/", allow_private=False)


@pytest.mark.parametrize("url", ["https://127.0.0.1/", "https://[::1]/", "https://2130706433/", "https://localhost/"])
async def test_an_address_inside_is_refused_however_it_is_written(url: str) -> None:
    with pytest.raises(ForbiddenTarget):
        await check_url(url, allow_private=False)


async def test_one_address_inside_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    _stands_for(monkeypatch, "8.8.8.8", "10.0.0.1")
    with pytest.raises(ForbiddenTarget):
        await check_url("https://example.com/", allow_private=False)


@pytest_asyncio.fixture
async def consumer() -> AsyncIterator[Consumer]:
    async with consuming() as opened:
        yield opened


def _sender(*, allow_private: bool) -> CallbackSender:
    return CallbackSender(timeout_s=2, concurrency=4, allow_private=allow_private)


def _to(url: str) -> Callback:
    return Callback(message_id="msg_1", url=url, body=b'{"data":{"version":0}}', secrets=(SecretStr("whsec_c2VjcmV0"),))


async def test_a_name_that_has_moved_inside_is_not_connected_to(
    consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stands_for(monkeypatch, "8.8.8.8")
    await check_url(f"https://example.com:{consumer.port}/", allow_private=False)
    _stands_for(monkeypatch, "127.0.0.1")
    sender = _sender(allow_private=False)
    answer = await sender.send(_to(consumer.url("example.com")))
    await sender.aclose()
    assert (answer.status, answer.error, consumer.got) == (None, "forbidden_address", [])


async def test_the_connection_goes_to_the_address_that_was_checked_under_its_own_name(
    consumer: Consumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The network itself would not find the name."""
    _stands_for(monkeypatch, "127.0.0.1")
    sender = _sender(allow_private=True)
    answer = await sender.send(_to(consumer.url("hooks.invalid")))
    await sender.aclose()
    assert answer.status == 200
    assert consumer.got[0].headers["host"] == f"hooks.invalid:{consumer.port}"


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/", "http://no-such-host.invalid/"])
async def test_what_keeps_it_from_an_answer_is_told(url: str) -> None:
    sender = _sender(allow_private=True)
    answer = await sender.send(_to(url))
    await sender.aclose()
    assert (answer.status, answer.error) == (None, "not_connected")
