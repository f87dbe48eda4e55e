"""PayPal's webhooks: asked about as they came, refused unless PayPal says they are its own, and whose payment they name."""

from __future__ import annotations

import httpx
import orjson
import pytest

from schema.errors import Malformed, NotFound, OutcomeUnclear, VendorUnavailable
from tests.gateways.paypal_documents import (
    AMOUNT,
    REFUND_MARK,
    TOKEN_ASKED,
    WEBHOOK_ID,
    authorisation,
    behind_token,
    gateway,
    order,
    paypal_error,
    refund,
    shown,
)
from tests.gateways.support import BOOKING_ID, LOST, NOT_CONNECTED, PAYMENT_ID, Vendor

VERIFY = "POST /v1/notifications/verify-webhook-signature"
SUCCESS = shown({"verification_status": "SUCCESS"})
FAILURE = shown({"verification_status": "FAILURE"})
HEADERS = {
    "PayPal-Auth-Algo": "SHA256withRSA",
    "PayPal-Cert-Url": "https://api.sandbox.paypal.com/v1/notifications/certs/CERT-360caa42",
    "PayPal-Transmission-Id": "69cd13f0-d67a-11e5-baa3-778b53f4ae55",
    "PayPal-Transmission-Sig": "lmI95Jx3Y9nhR5SJWlHVIWpg4AgFk7n9bCHSRxbrd8A9zrhdu2rMyFrmz",
    "PayPal-Transmission-Time": "2026-11-22T10:00:00Z",
}


def event(resource: object, kind: str = "PAYMENT.CAPTURE.COMPLETED") -> bytes:
    # As no library would write it: spaces, and an amount whose digits must stay as they are.
    written = orjson.dumps(resource).decode()
    return f'{{ "id" : "WH-1", "event_type":"{kind}",\n  "weight": 1.50, "resource": {written} }}'.encode()


CAPTURED = event({"id": "2GG279541U471931P", "custom_id": PAYMENT_ID, "amount": AMOUNT})


async def read(body: bytes = CAPTURED, answer: object = SUCCESS, **changes: str):
    return await gateway(behind_token(answer)).read_webhook({**HEADERS, **changes}, body)


@pytest.mark.parametrize(
    "resource",
    [
        authorisation(),
        order("APPROVED"),
        refund(custom_id=REFUND_MARK),
    ],
)
async def test_a_webhook_says_which_payment_it_is_about(resource):
    told = await read(event(resource, "SOMETHING.HAPPENED"))
    assert (told.event_id, told.type) == ("WH-1", "SOMETHING.HAPPENED")
    assert (told.payment_id, told.booking_id) == (PAYMENT_ID, BOOKING_ID)


@pytest.mark.parametrize("resource", [{}, {"custom_id": "somebody-elses"}, {"purchase_units": []}])
async def test_a_webhook_about_something_else_names_nothing_of_ours(resource):
    told = await read(event(resource))
    assert (told.payment_id, told.booking_id) == (None, None)


async def test_paypal_is_asked_about_the_very_bytes():
    vendor = behind_token(SUCCESS)
    await gateway(vendor).read_webhook({name.lower(): value for name, value in HEADERS.items()}, CAPTURED)
    assert vendor.asked() == [TOKEN_ASKED, VERIFY]
    question = vendor.requests[-1].content
    assert question.endswith(b',"webhook_event":' + CAPTURED + b"}")
    asked = orjson.loads(question)
    assert asked.pop("webhook_event") == orjson.loads(CAPTURED)
    assert asked == {
        "auth_algo": HEADERS["PayPal-Auth-Algo"],
        "cert_url": HEADERS["PayPal-Cert-Url"],
        "transmission_id": HEADERS["PayPal-Transmission-Id"],
        "transmission_sig": HEADERS["PayPal-Transmission-Sig"],
        "transmission_time": HEADERS["PayPal-Transmission-Time"],
        "webhook_id": WEBHOOK_ID,
    }


@pytest.mark.parametrize(
    "answer", [FAILURE, shown({"verification_status": "A_NEW_STATUS"}), paypal_error(400, "INVALID_PARAMETER_SYNTAX")]
)
async def test_what_paypal_does_not_vouch_for_is_refused(answer):
    with pytest.raises(Malformed) as caught:
        await read(answer=answer)
    assert caught.value.problem_code == "invalid_signature"


@pytest.mark.parametrize("name", HEADERS)
async def test_a_webhook_without_a_header_is_refused_unasked(name):
    vendor = Vendor()
    given = {header: value for header, value in HEADERS.items() if header != name}
    with pytest.raises(Malformed) as caught:
        await gateway(vendor).read_webhook(given, CAPTURED)
    assert (caught.value.problem_code, vendor.requests) == ("invalid_signature", [])


@pytest.mark.parametrize(
    ("cert_url", "good"),
    [
        ("https://api.paypal.com/v1/notifications/certs/CERT-1", True),
        ("https://api-m.sandbox.paypal.com/cert", True),
        ("http://api.paypal.com/cert", False),
        ("https://paypal.com.evil.example/cert", False),
        ("https://evilpaypal.com/cert", False),
        ("https://api.paypal.com@evil.example/cert", False),
        ("https://evil.example/api.paypal.com", False),
        ("https://[", False),
        ("nonsense", False),
    ],
)
async def test_a_certificate_is_paypals(cert_url, good):
    if good:
        assert (await read(**{"PayPal-Cert-Url": cert_url})).event_id == "WH-1"
    else:
        with pytest.raises(Malformed) as caught:
            await gateway(Vendor()).read_webhook({**HEADERS, "PayPal-Cert-Url": cert_url}, CAPTURED)
        assert caught.value.problem_code == "invalid_signature"


async def test_a_certificate_may_be_where_paypal_is_played():
    provider = gateway(behind_token(SUCCESS), host="http://127.0.0.1:9/paypal")
    told = await provider.read_webhook({**HEADERS, "PayPal-Cert-Url": "http://127.0.0.1:9/certs/1"}, CAPTURED)
    assert told.event_id == "WH-1"
    with pytest.raises(Malformed):
        await provider.read_webhook({**HEADERS, "PayPal-Cert-Url": "http://127.0.0.1:99/certs/1"}, CAPTURED)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"id":"WH-1"},"webhook_id":{}',
        b'{"id":"WH-1","event_type":"X"}',
        event({"purchase_units": 1}),
    ],
)
async def test_a_body_that_is_no_event_is_refused(body):
    with pytest.raises(Malformed) as caught:
        await read(body)
    assert caught.value.problem_code == "malformed_json"


@pytest.mark.parametrize(
    ("answer", "error"),
    [(httpx.Response(503), VendorUnavailable), (NOT_CONNECTED, VendorUnavailable), (LOST, OutcomeUnclear)],
)
async def test_while_paypal_cannot_be_asked_nothing_is_decided(answer, error):
    with pytest.raises(error):
        await read(answer=answer)


async def test_without_a_subscription_no_webhooks_are_taken():
    with pytest.raises(NotFound):
        await gateway(Vendor(), webhook_id=None).read_webhook(HEADERS, CAPTURED)
