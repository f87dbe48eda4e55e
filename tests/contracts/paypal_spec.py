"""PayPal's published contracts as judges of requests and answers."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import httpx
import pytest
from openapi_core import OpenAPI

from tests.contracts import spec

ORDERS = "paypal/checkout_orders_v2.json"
PAYMENTS = "paypal/payments_payment_v2.json"
WEBHOOKS = "paypal/notifications_webhooks_v1.json"
HOST = "https://api-m.sandbox.paypal.com"

_CONTRACTS = {"/v2/checkout/": ORDERS, "/v2/payments/": PAYMENTS, "/v1/notifications/": WEBHOOKS}
_UNWRITTEN = (429, 501)
"""Rate limiting is told in a guideline; 501 is the sandbox's own."""


def available() -> bool:
    """Whether all three can be read."""
    return all(spec.available(name) for name in _CONTRACTS.values())


def _writable(node: Any) -> Any:
    """The schemas, with nothing that may only be read."""
    if isinstance(node, list):
        return [_writable(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {key: _writable(value) for key, value in node.items() if key != "readOnly"}


@cache
def contract(name: str) -> spec.Contract:
    """The contract, read once per process."""
    document = json.loads((spec.directory() / name).read_bytes())
    # The validator does not take the pattern that two of them have for an e-mail address for a regular expression.
    document["components"]["schemas"].get("email", {}).pop("pattern", None)
    # openapi-core knows no OAuth 2, and warns of every request that should have a token.
    for path in document["paths"].values():
        for operation in path.values():
            operation.pop("security", None)
    # An event is read only, and yet what a receiver sends to have it verified, as the contract's own example does.
    if name == WEBHOOKS:
        document = _writable(document)
    return spec.Contract(OpenAPI.from_dict(document))


def require() -> None:
    """A skipped test that says why, where the contracts are absent."""
    if not available():
        pytest.skip(f"no contracts of PayPal in {spec.directory()}: set VENDOR_SPECS to their folder")


def check(response: httpx.Response, prefix: str) -> None:
    """The answer, and where it is a good one the request too. `prefix` is what our path has before the contract's. Tokens
    and the transaction search are in none of the contracts."""
    response.read()
    path = response.request.url.path.removeprefix(prefix)
    name = next((name for start, name in _CONTRACTS.items() if path.startswith(start)), None)
    if name is None or response.status_code in _UNWRITTEN:
        return
    judge = contract(name)
    judge.check_response(response, path, HOST)
    if response.is_success:
        judge.check_request(response.request, path, HOST)
