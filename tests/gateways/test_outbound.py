"""What bounds a gateway's calls: asked before each, told after each, sent again only where that is allowed."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from gateways import duffel_wire, rapid_wire
from gateways.http import Answer, LostAnswer, MayRepeat, VendorHttp, repeat_when_busy, retried_by_caller
from gateways.registry import build_vendors
from gateways.traffic import Unbounded
from schema.errors import (
    CircuitOpen,
    CredentialsRefused,
    RateLimited,
    TravelHubError,
    VendorContractBroken,
    VendorUnavailable,
)
from schema.settings import OutboundSettings
from store.traffic import SharedTraffic
from store.valkey import Valkey
from tests.gateways.conftest import settings_for
from tests.gateways.support import LOST, NOT_CONNECTED

OK = httpx.Response(200, json={})
BUSY = httpx.Response(503, json={})
Scripted = httpx.Response | Exception


class Told(Unbounded):
    """Grants a number of retries, and keeps what it was asked and told."""

    def __init__(self, retries: int = 100, refusal: VendorUnavailable | None = None) -> None:
        self.retries = retries
        self.refusal = refusal
        self.admitted: list[tuple[str, str]] = []
        self.ended: list[str] = []

    async def admit(self, vendor, priority, wait_at_most_s) -> None:
        assert wait_at_most_s > 0
        if self.refusal is not None:
            raise self.refusal
        self.admitted.append((vendor, priority))

    async def record(self, vendor, ended) -> None:
        self.ended.append(ended)

    async def may_retry(self, vendor) -> bool:
        self.retries -= 1
        return self.retries >= 0


class Outbound:
    """A client whose vendor gives these answers, the last one for ever."""

    def __init__(
        self, *answers: Scripted, traffic: Told | None = None, may_repeat: MayRepeat = repeat_when_busy
    ) -> None:
        self.answers = list(answers)
        self.requests = 0
        self.traffic = traffic or Told()
        self.http = VendorHttp(
            "v",
            "http://v",
            booking_timeout_s=5,
            read_timeout_s=5,
            traffic=self.traffic,
            may_repeat=may_repeat,
            transport=httpx.MockTransport(self._answer),
        )

    async def send(self, kind: str = "searching") -> Answer:
        call = getattr(self.http, kind)("search", "trip-1")
        return await self.http.send(call, "POST", "/search", headers={}, content=b"{}")

    def _answer(self, _request: httpx.Request) -> httpx.Response:
        answer = self.answers[min(self.requests, len(self.answers) - 1)]
        self.requests += 1
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between attempts, which take no time here."""
    waited: list[float] = []
    here, really_sleep = threading.get_ident(), asyncio.sleep

    async def sleep(seconds: float) -> None:
        if threading.get_ident() != here:
            await really_sleep(seconds)  # a server of other tests, in a thread of its own
        else:
            waited.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return waited


@pytest.mark.parametrize("fault", [NOT_CONNECTED, LOST, BUSY, httpx.Response(429, json={})])
async def test_a_search_is_sent_again(fault, pauses):
    outbound = Outbound(fault, fault, OK)
    assert (await outbound.send()).status == 200
    assert outbound.requests == 3
    assert outbound.traffic.admitted == [("v", "search")] * 3
    assert len(outbound.traffic.ended) == 3


@pytest.mark.parametrize("kind", ["pricing", "booking"])
@pytest.mark.parametrize("fault", [NOT_CONNECTED, LOST, BUSY, httpx.Response(429, json={})])
async def test_what_belongs_to_a_saga_is_sent_once(kind, fault, pauses):
    outbound = Outbound(fault, OK)
    with pytest.raises(TravelHubError):
        (await outbound.send(kind)).no_server_error()
    assert outbound.requests == 1
    assert outbound.traffic.admitted == [("v", "booking")]
    assert outbound.traffic.retries == 100


async def test_a_search_for_a_saga_is_sent_once_too(pauses):
    outbound = Outbound(BUSY, OK)
    with retried_by_caller():
        assert (await outbound.send()).status == 503
    assert outbound.requests == 1
    assert (await outbound.send()).status == 200, "others' searches are sent again as ever"


@pytest.mark.parametrize(("fault", "raises"), [(NOT_CONNECTED, VendorUnavailable), (LOST, LostAnswer), (BUSY, None)])
async def test_after_five_attempts_it_is_as_the_last_one_was(fault, raises, pauses):
    outbound = Outbound(fault)
    if raises is None:
        assert (await outbound.send()).status == 503
    else:
        with pytest.raises(raises):
            await outbound.send()
    assert outbound.requests == 5
    for pause_s, around_s in zip(pauses, (0.1, 0.2, 0.4, 0.8), strict=True):
        assert around_s * 0.75 <= pause_s <= around_s * 1.25
    assert len({round(pause_s / 2**n, 6) for n, pause_s in enumerate(pauses)}) == 4, "each has a jitter of its own"


@pytest.mark.parametrize(
    ("rule", "repeated", "never"),
    [
        (duffel_wire.may_repeat, {429, 503, 504}, {400, 401, 404, 408, 422, 500, 502}),
        (rapid_wire.may_repeat, {429, 503}, {400, 401, 404, 408, 410, 500, 504}),
    ],
)
async def test_what_each_vendor_lets_be_sent_again(rule, repeated, never, pauses):
    for status in repeated | never:
        outbound = Outbound(httpx.Response(status, json={}), OK, may_repeat=rule)
        assert (await outbound.send()).status == (200 if status in repeated else status)


@pytest.mark.parametrize(
    ("headers", "least_s", "most_s"),
    [
        (lambda: {"retry-after": "2"}, 2, 2),
        (lambda: {"retry-after": format_datetime(datetime.now(UTC) + timedelta(seconds=4), usegmt=True)}, 2.9, 4),
        (lambda: {"retry-after": "0"}, 0.075, 0.125),
    ],
)
async def test_retry_after_is_obeyed(headers, least_s, most_s, pauses):
    outbound = Outbound(httpx.Response(429, headers=headers()), OK)
    await outbound.send()
    assert least_s <= pauses[0] <= most_s


async def test_a_retry_after_beyond_the_deadline_ends_it_at_once(pauses):
    outbound = Outbound(httpx.Response(429, headers={"retry-after": "60"}), OK)
    with pytest.raises(RateLimited) as caught:
        await outbound.send()
    assert caught.value.retry_after_s == 60
    assert (outbound.requests, pauses, outbound.traffic.retries) == (1, [], 100)


async def test_without_budget_nothing_is_sent_again(pauses):
    outbound = Outbound(BUSY, OK, traffic=Told(retries=0))
    assert (await outbound.send()).status == 503
    assert outbound.requests == 1


async def test_what_is_not_admitted_is_not_sent_and_not_told(pauses):
    outbound = Outbound(OK, traffic=Told(refusal=CircuitOpen("v", "open", retry_after_s=3)))
    with pytest.raises(CircuitOpen):
        await outbound.send()
    assert (outbound.requests, outbound.traffic.ended, pauses) == (0, [], [])


@pytest.mark.parametrize(
    ("answer", "ended"),
    [
        (OK, "answered"),
        (httpx.Response(204), "answered"),
        (httpx.Response(404, json={}), "answered"),
        (httpx.Response(422, text="no"), "failed"),
        (httpx.Response(200, text=" <html>"), "failed"),
        (httpx.Response(500, json={}), "failed"),
        (httpx.Response(429, json={}), "limited"),
        (NOT_CONNECTED, "failed"),
        (LOST, "failed"),
        (httpx.DecodingError("not gzip"), "failed"),
    ],
)
async def test_how_a_call_ended_is_told(answer, ended):
    try:
        outbound = Outbound(answer)
        await outbound.send("booking")
    except (VendorUnavailable, LostAnswer, VendorContractBroken):
        pass
    assert outbound.traffic.ended == [ended]


@pytest.mark.parametrize(("timeout_s", "ended"), [(5, "abandoned"), (0.9, "failed")])
async def test_a_cancelled_call_is_told_too(timeout_s, ended):
    """Given up early it says nothing; at the end of its time, that the vendor did not answer."""
    sent = asyncio.Event()

    async def never(_request: httpx.Request) -> httpx.Response:
        sent.set()
        await asyncio.Event().wait()
        raise AssertionError

    traffic = Told()
    client = VendorHttp(
        "v",
        "http://v",
        booking_timeout_s=timeout_s,
        read_timeout_s=timeout_s,
        traffic=traffic,
        transport=httpx.MockTransport(never),
    )
    call = client.searching("search", "trip-1")
    sending = asyncio.create_task(client.send(call, "GET", "/", headers={}))
    await sent.wait()
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    assert traffic.ended == [ended]
    assert len(traffic.admitted) == 1


async def test_each_supplier_has_a_harmless_call(vendors, sandbox):
    before = sandbox.ledger()
    for supplier in vendors.suppliers():
        await supplier.check("check-1")
    assert sandbox.ledger() == before


@pytest.mark.parametrize("code", ["duffel", "duffel_cars", "expedia_rapid"])
@pytest.mark.parametrize(
    ("fault", "raises"),
    [
        ({"action": "server_error", "status": 503}, VendorUnavailable),
        ({"action": "rate_limited"}, RateLimited),
        ({"action": "drop_before"}, LostAnswer),
    ],
)
async def test_a_check_tells_what_is_wrong(code, fault, raises, vendors, sandbox):
    sandbox.fault(vendor=vendors.supplier(code).vendor, **fault)
    with pytest.raises(raises):
        await vendors.supplier(code).check("check-1")


@pytest.mark.parametrize("code", ["duffel", "duffel_cars", "expedia_rapid"])
async def test_a_check_tells_that_the_vendor_does_not_know_us(code, sandbox):
    strangers = build_vendors(settings_for(sandbox.url, duffel_token="no_such_token", rapid_secret="wrong"))
    with pytest.raises(CredentialsRefused):
        await strangers.supplier(code).check("check-1")
    await strangers.aclose()


async def test_a_supplier_that_fails_is_left_alone(sandbox):
    """The whole of it: faults over real HTTP open the circuit, and then the vendor is not called."""
    valkey = Valkey("redis://127.0.0.1:9/0")
    traffic = SharedTraffic(valkey, OutboundSettings(circuit_min_calls=3))
    vendors = build_vendors(settings_for(sandbox.url), traffic)
    fault = sandbox.fault(vendor="duffel", action="server_error", status=500, times=None)
    for _ in range(3):
        with pytest.raises(VendorUnavailable):
            await vendors.supplier("duffel").check("check-1")
    for code in ("duffel", "duffel_cars"):
        with pytest.raises(CircuitOpen):
            await vendors.supplier(code).check("check-1")
    assert next(rule["fired"] for rule in sandbox.control.get("/faults").json() if rule["id"] == fault) == 3
    await vendors.supplier("expedia_rapid").check("check-1")
    for one in (vendors, traffic, valkey):
        await one.aclose()
