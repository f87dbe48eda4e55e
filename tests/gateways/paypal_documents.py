"""PayPal's documents, as small as its contract and our gateway get along with, and a gateway that talks to a scripted PayPal."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import httpx

from gateways.paypal import PayPalPayments
from gateways.ports import PaymentRequest
from schema.payments import refund_key
from tests.gateways.support import BOOKING_ID, NOW, PAYMENT_ID, PRICE, Answer, Vendor, payment_request

HOST = "https://api-m.sandbox.paypal.com"
TOKEN_PATH = "/v1/oauth2/token"
TOKEN_ASKED = f"POST {TOKEN_PATH}"
ORDER_ID = "5O190127TN364715T"
AUTHORISATION_ID = "0VF52814937998046"
RENEWED_ID = "7XJ44512AB771234C"
CAPTURE_ID = "2GG279541U471931P"
REFUND_ID = "1JU08902781691411"
CREATE = "POST /v2/checkout/orders"
READ = f"GET /v2/checkout/orders/{ORDER_ID}"
AUTHORISE = f"POST /v2/checkout/orders/{ORDER_ID}/authorize"
CAPTURE = f"POST /v2/payments/authorizations/{AUTHORISATION_ID}/capture"
VOID = f"POST /v2/payments/authorizations/{AUTHORISATION_ID}/void"
REAUTHORISE = f"POST /v2/payments/authorizations/{AUTHORISATION_ID}/reauthorize"
REFUND = f"POST /v2/payments/captures/{CAPTURE_ID}/refund"
APPROVAL_URL = "https://www.sandbox.paypal.com/checkoutnow?token=5O190127TN364715T"
RETURN_URL = "https://travel.example/paid"
WEBHOOK_ID = "1JE4291016473214C"
KEY = f"{BOOKING_ID}:authorise:0"
REFUND_KEY = refund_key(PAYMENT_ID, "cancellation-3", 0)
REFUND_MARK = f"{PAYMENT_ID}.refund-cancellation-3.0"
MADE_AT = NOW.replace(microsecond=0)
AMOUNT = {"currency_code": PRICE.currency, "value": PRICE.decimal()}


def gateway(vendor: Vendor, webhook_id: str | None = WEBHOOK_ID, host: str = HOST) -> PayPalPayments:
    return PayPalPayments(
        vendor.http("paypal", host),
        client_id="client",
        client_secret="secret",
        webhook_id=webhook_id,
        return_url=RETURN_URL,
    )


def behind_token(*answers: Answer) -> Vendor:
    """A vendor that is asked for a token first."""
    return Vendor(token(), *answers)


def token(value: str = "first", expires_in: int = 32400) -> httpx.Response:
    return httpx.Response(200, json={"access_token": value, "token_type": "Bearer", "expires_in": expires_in})


def first_request(method: str | None = "paypal", **changes: object) -> PaymentRequest:
    """Of an authorisation whose order does not exist yet."""
    return payment_request(**{"payment_method": method, "provider_reference": None, **changes})


def later_request(step: str = "capture", **changes: object) -> PaymentRequest:
    """Of whatever is done to an order that exists."""
    changes = {"idempotency_key": f"{BOOKING_ID}:{step}:0", "payment_method": "paypal", **changes}
    return payment_request(**{"provider_reference": ORDER_ID, **changes})


def shown(document: object, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json=document)


def paypal_error(status: int, issue: str | None = None, name: str = "UNPROCESSABLE_ENTITY") -> httpx.Response:
    details = [{"issue": issue, "description": "told by PayPal"}] if issue else []
    return httpx.Response(
        status, json={"name": name, "message": "told by PayPal", "debug_id": "90957fca61718", "details": details}
    )


def refused(issue: str) -> httpx.Response:
    return paypal_error(422, issue)


def order(status: str = "COMPLETED", **payments: list[dict[str, Any]]) -> dict[str, Any]:
    unit = {"reference_id": "default", "amount": AMOUNT, "custom_id": PAYMENT_ID, "invoice_id": PAYMENT_ID}
    links = [
        {"href": f"{HOST}/v2/checkout/orders/{ORDER_ID}", "rel": "self", "method": "GET"},
        {"href": APPROVAL_URL, "rel": "payer-action", "method": "GET"},
    ]
    return {
        "id": ORDER_ID,
        "intent": "AUTHORIZE",
        "status": status,
        "purchase_units": [{**unit, **({"payments": payments} if payments else {})}],
        "links": links,
    }


def authorisation(status: str = "CREATED", **changes: object) -> dict[str, Any]:
    return {
        "id": AUTHORISATION_ID,
        "status": status,
        "amount": AMOUNT,
        "custom_id": PAYMENT_ID,
        "create_time": MADE_AT.isoformat(),
        "expiration_time": (MADE_AT + timedelta(days=29)).isoformat(),
        **changes,
    }


def capture(status: str = "COMPLETED", **changes: object) -> dict[str, Any]:
    return {"id": CAPTURE_ID, "status": status, "amount": AMOUNT, "create_time": MADE_AT.isoformat(), **changes}


def refund(status: str = "COMPLETED", **changes: object) -> dict[str, Any]:
    return {"id": REFUND_ID, "status": status, "amount": AMOUNT, "custom_id": REFUND_MARK, **changes}


OF_ORDER: dict[str, Any] = {"supplementary_data": {"related_ids": {"order_id": ORDER_ID}}}
"""What a capture adds that is asked for by its id."""


def events(*refunds: dict[str, Any], made_at: datetime = MADE_AT) -> dict[str, Any]:
    """PayPal's list of what it has told of, which links each refund to its capture."""
    up = {"rel": "up", "method": "GET", "href": f"https://api-m.sandbox.paypal.com/v2/payments/captures/{CAPTURE_ID}"}
    listed = [
        {
            "id": f"WH-{number}",
            "event_type": "PAYMENT.CAPTURE.REFUNDED",
            "create_time": made_at.isoformat(),
            "resource": {**each, "links": [up]},
        }
        for number, each in enumerate(refunds)
    ]
    return {"events": listed, "count": len(listed), "links": []}


def renewed(**changes: object) -> dict[str, Any]:
    """The authorisation that a re-authorisation makes, four days after the original."""
    later = MADE_AT + timedelta(days=4)
    return authorisation(id=RENEWED_ID, create_time=later.isoformat(), **changes)


def authorised(status: str = "CREATED") -> dict[str, Any]:
    return order(authorizations=[authorisation(status)])


def captured(status: str = "COMPLETED", *refunds: dict[str, Any], **changes: object) -> dict[str, Any]:
    return order(
        authorizations=[authorisation("CAPTURED")], captures=[capture(status, **changes)], refunds=list(refunds)
    )
