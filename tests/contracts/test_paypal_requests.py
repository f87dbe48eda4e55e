"""Every request that the PayPal gateway sends is one that PayPal's contracts allow.

The vendor here only gives the answers that make the gateway send its next request; the contracts judge what was sent.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

import httpx
import pytest
from openapi_schema_validator import OAS30Validator
from referencing import Registry
from referencing.jsonschema import DRAFT4

from gateways.paypal import PayPalPayments
from schema.money import Money
from tests.contracts import paypal_spec, spec
from tests.gateways.paypal_documents import (
    OF_ORDER,
    ORDER_ID,
    REFUND_ID,
    REFUND_KEY,
    TOKEN_PATH,
    authorisation,
    authorised,
    behind_token,
    capture,
    captured,
    events,
    first_request,
    gateway,
    later_request,
    order,
    refund,
    renewed,
    shown,
)
from tests.gateways.support import NOW, PAYMENT_ID, Vendor
from tests.gateways.test_paypal_webhooks import CAPTURED, HEADERS, SUCCESS

pytestmark = pytest.mark.contract

Paid = Callable[[PayPalPayments], Awaitable[object]]
DOCUMENTS = {
    "/v2/checkout/": "paypal/checkout_orders_v2.json",
    "/v2/payments/": "paypal/payments_payment_v2.json",
    "/v1/notifications/": "paypal/notifications_webhooks_v1.json",
}
_ROOT = "urn:paypal"
FORINTS = Money(amount_minor=50000, currency="HUF")
LONG = first_request(description="Trip to " + "Llanfairpwllgwyngyll " * 10)

CASES: dict[str, tuple[Vendor, Paid, int]] = {
    "authorise": (behind_token(shown(order("PAYER_ACTION_REQUIRED"), 201)), lambda p: p.authorise(LONG), 1),
    "authorise in whole units": (
        behind_token(shown(order("CREATED"), 201)),
        lambda p: p.authorise(first_request(amount=FORINTS)),
        1,
    ),
    "authorise what is approved": (
        behind_token(shown(order("APPROVED")), shown(authorised(), 201)),
        lambda p: p.authorise(first_request()),
        2,
    ),
    "authorise a vaulted payer": (
        behind_token(shown(order("CREATED"), 201), shown(authorised(), 201)),
        lambda p: p.authorise(first_request("vault:8kk8451t")),
        2,
    ),
    "authorise a known order": (
        behind_token(shown(order("APPROVED")), shown(authorised(), 201)),
        lambda p: p.authorise(first_request(provider_reference=ORDER_ID)),
        2,
    ),
    "capture": (
        behind_token(shown(authorised()), shown(capture(), 201)),
        lambda p: p.capture(later_request()),
        2,
    ),
    "reauthorise": (
        behind_token(shown(authorised()), shown(renewed(), 201)),
        lambda p: p.reauthorise(later_request("reauthorise")),
        2,
    ),
    "void": (
        behind_token(shown(authorised()), shown(authorisation("VOIDED"))),
        lambda p: p.void(later_request("void")),
        2,
    ),
    "refund": (
        behind_token(shown(captured()), shown(refund(), 201)),
        lambda p: p.refund(later_request("refund", idempotency_key=REFUND_KEY)),
        2,
    ),
    "get": (behind_token(shown(authorised())), lambda p: p.get(ORDER_ID, "trip-1"), 1),
    "get a refund": (behind_token(shown(refund())), lambda p: p.get_refund(REFUND_ID, "trip-1"), 1),
    "find a refund": (
        behind_token(shown(captured("REFUNDED", refund()))),
        lambda p: p.find_refund(ORDER_ID, REFUND_KEY, "trip-1"),
        1,
    ),
    "list refunds": (
        behind_token(shown(events(refund())), shown(capture(**OF_ORDER)), shown(captured("REFUNDED", refund()))),
        lambda p: p.list_refunds(NOW, None, "trip-1"),
        3,
    ),
    "list a payment's refunds": (
        behind_token(shown(captured("REFUNDED", refund()))),
        lambda p: p.list_refunds(NOW, None, "trip-1", of_payment=ORDER_ID),
        1,
    ),
    "read a webhook": (behind_token(SUCCESS), lambda p: p.read_webhook(HEADERS, CAPTURED), 1),
}


@pytest.mark.parametrize(
    ("vendor", "operation", "requests"), [pytest.param(*case, id=name) for name, case in CASES.items()]
)
async def test_paypal(vendor, operation, requests):
    paypal_spec.require()
    await operation(gateway(vendor))
    token, *sent = vendor.requests
    assert token.url.path == TOKEN_PATH
    assert len(sent) == requests
    for request in sent:
        _judge(request)
        assert request.headers["authorization"] == "Bearer first"
        if request.method == "POST" and not request.url.path.startswith("/v1/"):
            assert request.headers["prefer"] == "return=representation"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"intent": "CAPTURED"}, "CAPTURED"),
        ({"costum_id": PAYMENT_ID}, "costum_id"),
        ({"status": "CREATED"}, "status"),
        ({"purchase_units": [{"amount": {"currency_code": "EUR", "value": 1}}]}, "not of type"),
    ],
)
async def test_the_judge_sees_what_is_wrong(changes, told):
    paypal_spec.require()
    vendor = behind_token(shown(order("PAYER_ACTION_REQUIRED"), 201))
    await gateway(vendor).authorise(first_request())
    sent = vendor.requests[-1]
    content = json.dumps({**json.loads(sent.content), **changes}).encode()
    headers = {name: value for name, value in sent.headers.items() if name != "content-length"}
    with pytest.raises(AssertionError, match=told):
        _judge(httpx.Request("POST", sent.url, headers=headers, content=content))


def _judge(request: httpx.Request) -> None:
    """By the contract, and stricter, for its objects are open: no fields and none of PayPal's headers that it does not know, and
    no fields that are PayPal's to write. openapi-core cannot judge here: one of the patterns is no Python."""
    path = request.url.path
    what = f"{request.method} {path}"
    document, registry = _contract(next(name for start, name in DOCUMENTS.items() if path.startswith(start)))
    operation = next(
        operations[request.method.lower()]
        for template, operations in document["paths"].items()
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path)
    )
    headers = {
        one["name"].lower(): one for one in (_resolved(one, document) for one in operation.get("parameters", []))
    }
    for name, value in request.headers.items():
        if name in headers:
            _validate(value, headers[name]["schema"], registry, f"{what}: {name}")
        assert name in headers or not name.startswith("paypal-"), f"{what}: the contract knows no {name}"
    for name in request.url.params:
        assert name in headers, f"{what}: the contract knows no parameter {name}"
    if request.content:
        schema = _resolved(operation["requestBody"], document)["content"]["application/json"]["schema"]
        body = json.loads(request.content)
        _validate(body, schema, registry, what)
        # An event is PayPal's to write, and ours to hand back as it came.
        body.pop("webhook_event", None)
        _check_fields(body, schema, document, what)


@cache
def _contract(name: str) -> tuple[dict[str, Any], Registry[Any]]:
    document = json.loads((spec.directory() / name).read_bytes())
    return document, Registry().with_resource(_ROOT, DRAFT4.create_resource(document))


def _validate(value: Any, schema: dict[str, Any], registry: Registry[Any], what: str) -> None:
    absolute = json.loads(json.dumps(schema).replace('"#/', f'"{_ROOT}#/'))
    errors = list(OAS30Validator(absolute, registry=registry).iter_errors(value))
    told = "\n".join(f"at {list(error.absolute_path)}: {error.message[:600]}" for error in errors)
    assert not errors, f"{what} is not as the contract says:\n{told}"


def _check_fields(value: Any, schema: dict[str, Any], document: dict[str, Any], what: str) -> None:
    if isinstance(value, list):
        for item in value:
            _check_fields(item, _resolved(schema, document)["items"], document, what)
    elif isinstance(value, dict):
        known = _writable(schema, document)
        for name, nested in value.items():
            assert name in known, f"{what}: the contract knows no {name}, or it is PayPal's to write"
            _check_fields(nested, known[name], document, f"{what}.{name}")


def _writable(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """The properties of an object that a request may have, with those that its `allOf` adds."""
    schema = _resolved(schema, document)
    known = {name: one for name, one in schema.get("properties", {}).items() if not one.get("readOnly")}
    for part in schema.get("allOf", []):
        known |= _writable(part, document)
    return known


def _resolved(node: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """What a reference within the document refers to."""
    while "$ref" in node:
        _, section, kind, name = node["$ref"].split("/")
        node = document[section][kind][name]
    return node
