"""What the tests of the simulated PayPal share: a client whose every answer is judged, and the steps of a payment."""

from __future__ import annotations

import itertools
from typing import Self

import httpx

from tests.contracts import paypal_spec
from tests.sandbox.conftest import RunningSandbox

BOOKING_ID = "01JTESTTESTTESTTESTTESTTES"
PAYMENT_ID = f"pay_{BOOKING_ID}1"
WHOLE = {"Prefer": "return=representation"}
VAULTED = {"paypal": {"vault_id": "auto-approve"}}
WALLET = {
    "paypal": {
        "email_address": "buyer@example.com",
        "experience_context": {"return_url": "https://example.org/back", "cancel_url": "https://example.org/off?a=1"},
    }
}

_keys = itertools.count(1)


class PayPalClient(httpx.Client):
    """A client with a token. Posts prefer the whole representation."""

    def __init__(self, sandbox: RunningSandbox) -> None:
        hooks = [lambda response: paypal_spec.check(response, "/paypal")] if paypal_spec.available() else []
        super().__init__(base_url=f"{sandbox.url}/paypal", timeout=10, event_hooks={"response": hooks}, headers=WHOLE)

    def __enter__(self) -> Self:
        super().__enter__()
        answer = self.post("/v1/oauth2/token", data={"grant_type": "client_credentials"}, auth=("client", "secret"))
        self.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return self

    def order(self, *, key: str | None = None, source: dict | None = VAULTED, **changes: object) -> httpx.Response:
        """Ask for an order."""
        body = order_body(**changes) | ({"payment_source": source} if source else {})
        return self.post("/v2/checkout/orders", json=body, headers={"PayPal-Request-Id": key or new_key()})

    def step(self, path: str, body: dict | None = None, *, key: str | None = None) -> httpx.Response:
        """One POST under a key of its own."""
        return self.post(path, json=body or {}, headers={"PayPal-Request-Id": key or new_key()})

    def authorised(self, **changes: object) -> dict:
        """A new authorisation."""
        order = made(self.order(**changes))
        return authorization_of(made(self.step(f"/v2/checkout/orders/{order['id']}/authorize")))

    def captured(self, body: dict | None = None, **changes: object) -> dict:
        """A new capture of a new authorisation."""
        authorization = self.authorised(**changes)
        return made(self.step(f"/v2/payments/authorizations/{authorization['id']}/capture", body))


def new_key() -> str:
    return f"{BOOKING_ID}:step:{next(_keys)}"


def money(value: str, currency: str = "EUR") -> dict:
    return {"currency_code": currency, "value": value}


def order_body(
    *, intent: str = "AUTHORIZE", value: str = "250.00", currency: str = "EUR", invoice: str | None = None
) -> dict:
    """An order of one purchase unit that carries our ids."""
    unit: dict = {"amount": money(value, currency), "custom_id": PAYMENT_ID, "description": "A trip"}
    if invoice:
        unit["invoice_id"] = invoice
    return {"intent": intent, "purchase_units": [unit]}


def made(answer: httpx.Response) -> dict:
    assert answer.status_code == 201, answer.text
    return answer.json()


def authorization_of(order: dict) -> dict:
    return order["purchase_units"][0]["payments"]["authorizations"][-1]


def capture_of(order: dict) -> dict:
    return order["purchase_units"][0]["payments"]["captures"][-1]


def issue_of(answer: httpx.Response, status: int = 422) -> str:
    assert answer.status_code == status, answer.text
    return answer.json()["details"][0]["issue"]


def link(document: dict, rel: str) -> str:
    (href,) = [each["href"] for each in document["links"] if each["rel"] == rel]
    return href


def payment(sandbox: RunningSandbox) -> dict:
    """The one payment in PayPal's books."""
    (found,) = sandbox.control.get("/books").json()["payments"]
    return found
