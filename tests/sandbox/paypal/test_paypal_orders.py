"""The simulated PayPal reserves, takes and gives back money as the real one does, in the words of its contracts."""

from __future__ import annotations

import httpx
import pytest

from tests.sandbox.conftest import eventually, serve
from tests.sandbox.paypal.client import (
    BOOKING_ID,
    PAYMENT_ID,
    VAULTED,
    WALLET,
    PayPalClient,
    authorization_of,
    capture_of,
    issue_of,
    link,
    made,
    money,
    new_key,
    order_body,
    payment,
)

# --------------------------------------------------------------------------------------------------------- tokens


@pytest.mark.parametrize(
    ("credentials", "form", "status", "error"),
    [
        (("client", "wrong secret"), {"grant_type": "client_credentials"}, 401, "invalid_client"),
        (None, {"grant_type": "client_credentials"}, 401, "invalid_client"),
        (("client", "secret"), {"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
def test_gives_no_token_to_others(sandbox, credentials, form, status, error):
    url = f"{sandbox.url}/paypal/v1/oauth2/token"
    answer = httpx.post(url, data=form, auth=credentials)
    assert (answer.status_code, answer.json()["error"]) == (status, error)


@pytest.mark.parametrize("token", ["", "Bearer A21AA9999999999-made-up", "Basic Y2xpZW50OnNlY3JldA=="])
def test_answers_nobody_without_a_token(api, token):
    answer = api.get("/v2/checkout/orders/5O190127TN364715T", headers={"Authorization": token})
    assert (answer.status_code, answer.json()["name"]) == (401, "AUTHENTICATION_FAILURE")


# ---------------------------------------------------------------------------------------------------- the approval


@pytest.mark.parametrize(
    ("source", "status", "rel"), [(None, "CREATED", "approve"), (WALLET, "PAYER_ACTION_REQUIRED", "payer-action")]
)
def test_a_payer_approves_first(sandbox, api, source, status, rel):
    order = made(api.order(source=source))
    path = f"/v2/checkout/orders/{order['id']}"
    assert (order["status"], payment(sandbox)["authorised_minor"]) == (status, 0)
    assert link(order, rel) == f"{sandbox.url}/paypal/checkoutnow?token={order['id']}"
    assert issue_of(api.step(f"{path}/authorize")) == "ORDER_NOT_APPROVED"
    approved = sandbox.control.post(f"/paypal/orders/{order['id']}/approve")
    assert approved.json()["status"] == api.get(path).json()["status"] == "APPROVED"
    assert made(api.step(f"{path}/authorize"))["status"] == "COMPLETED"
    assert sandbox.effects() == ["payment.action_required", "payment.authorised"]
    assert sandbox.control.post(f"/paypal/orders/{order['id']}/approve").status_code == 422


@pytest.mark.parametrize(
    ("decision", "status", "back"),
    [("approve", "APPROVED", "https://example.org/back?"), ("cancel", "VOIDED", "https://example.org/off?a=1&")],
)
def test_the_approval_link_is_a_page(sandbox, api, decision, status, back):
    order = made(api.order(source=WALLET))
    page = httpx.get(link(order, "payer-action"))
    assert (page.status_code, "250.00 EUR" in page.text) == (200, True)
    answer = httpx.post(link(order, "payer-action"), params={"token": order["id"], "decision": decision})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{back}token={order['id']}")
    assert api.get(f"/v2/checkout/orders/{order['id']}").json()["status"] == status


def test_what_the_payer_turned_down_is_not_authorised(sandbox, api):
    order = made(api.order(source=WALLET))
    assert sandbox.control.post(f"/paypal/orders/{order['id']}/decline").json()["status"] == "VOIDED"
    assert issue_of(api.step(f"/v2/checkout/orders/{order['id']}/authorize")) == "ORDER_COMPLETED_OR_VOIDED"
    assert sandbox.effects() == ["payment.action_required", "payment.declined"]
    assert sandbox.control.post("/paypal/orders/NONE/approve").status_code == 404


def test_a_vaulted_payer_may_be_named_when_it_is_authorised(api):
    order = made(api.order(source=None))
    body = {"payment_source": {"token": {"id": "B-123", "type": "BILLING_AGREEMENT"}}}
    assert made(api.step(f"/v2/checkout/orders/{order['id']}/authorize", body))["status"] == "COMPLETED"


# ------------------------------------------------------------------------------------------------------ authorising


def test_reserves_the_amount_of_a_vaulted_payer_at_once(sandbox, api):
    order = made(api.order(key="first-key", invoice="INV-1"))
    assert order["status"] == "APPROVED"
    done = made(api.step(f"/v2/checkout/orders/{order['id']}/authorize"))
    authorization = authorization_of(done)
    assert (authorization["status"], authorization["amount"]) == ("CREATED", money("250.00"))
    assert (authorization["custom_id"], authorization["invoice_id"]) == (PAYMENT_ID, "INV-1")
    assert api.get(link(authorization, "self")).json()["supplementary_data"]["related_ids"]["order_id"] == order["id"]
    (effect,) = sandbox.ledger(vendor="paypal")
    assert (effect["type"], effect["object_id"]) == ("payment.authorised", order["id"])
    assert (effect["amount_minor"], effect["currency"]) == (25_000, "EUR")
    assert effect["metadata"] == {
        "custom_id": PAYMENT_ID,
        "invoice_id": "INV-1",
        "key": "first-key",
        "payment_id": PAYMENT_ID,
        "booking_id": BOOKING_ID,
    }
    books = payment(sandbox)
    assert (books["object_id"], books["status"], books["authorisation_open"]) == (order["id"], "CREATED", True)
    assert (books["authorised_minor"], books["captured_minor"], books["metadata"]) == (25_000, 0, effect["metadata"])


def test_an_order_is_authorised_once_and_by_its_intent(api):
    order = made(api.order())
    path = f"/v2/checkout/orders/{order['id']}"
    made(api.step(f"{path}/authorize"))
    assert issue_of(api.step(f"{path}/authorize")) == "ORDER_ALREADY_AUTHORIZED"
    assert issue_of(api.step(f"{path}/capture")) == "TRANSACTION_REFUSED"
    other = made(api.order(intent="CAPTURE"))
    assert issue_of(api.step(f"/v2/checkout/orders/{other['id']}/authorize")) == "ACTION_DOES_NOT_MATCH_INTENT"


def test_shows_little_unless_all_is_wanted(sandbox, api):
    minimal = {"Prefer": "return=minimal"}
    order = made(api.post("/v2/checkout/orders", json=order_body(), headers=minimal))
    assert set(order) == {"id", "status", "links"}
    sandbox.control.post(f"/paypal/orders/{order['id']}/approve")
    assert set(made(api.post(f"{link(order, 'self')}/authorize", headers=minimal))) == {"id", "status", "links"}
    assert api.get(link(order, "self")).json()["purchase_units"][0]["custom_id"] == PAYMENT_ID


def test_an_invoice_is_paid_once(api):
    made_first, second = made(api.order(invoice="INV-1")), made(api.order(invoice="INV-1"))
    made(api.step(link(made_first, "authorize")))
    assert issue_of(api.step(link(second, "authorize"))) == "DUPLICATE_INVOICE_ID"
    paid_at_once = made(api.order(intent="CAPTURE", invoice="INV-1"))
    assert issue_of(api.step(link(paid_at_once, "capture"))) == "DUPLICATE_INVOICE_ID"


def test_an_order_may_be_captured_at_once(sandbox, api):
    order = made(api.order(intent="CAPTURE"))
    capture = capture_of(made(api.step(link(order, "capture"))))
    assert (capture["status"], capture["amount"], capture["final_capture"]) == ("COMPLETED", money("250.00"), True)
    assert issue_of(api.step(f"/v2/checkout/orders/{order['id']}/capture")) == "ORDER_ALREADY_CAPTURED"
    assert sandbox.effects() == ["payment.authorised", "payment.captured"]
    books = payment(sandbox)
    assert (books["authorised_minor"], books["captured_minor"], books["authorisation_open"]) == (25_000, 25_000, False)


# ------------------------------------------------------------------------------------------------ what is asked badly


@pytest.mark.parametrize(
    ("changes", "status", "issue"),
    [
        ({"value": "10.999"}, 422, "DECIMAL_PRECISION"),
        ({"value": "10.5", "currency": "HUF"}, 422, "DECIMAL_PRECISION"),
        ({"value": "0.00"}, 422, "CANNOT_BE_ZERO_OR_NEGATIVE"),
        ({"value": "1.00", "currency": "KWD"}, 422, "INVALID_CURRENCY_CODE"),
        ({"value": "ten"}, 400, "INVALID_PARAMETER_SYNTAX"),
        ({"currency": "EURO"}, 400, "INVALID_STRING_LENGTH"),
        ({"intent": "SALE"}, 400, "INVALID_PARAMETER_VALUE"),
        ({"invoice": "I" * 128}, 400, "INVALID_STRING_LENGTH"),
    ],
)
def test_an_order_is_refused_with_what_is_wrong(sandbox, api, changes, status, issue):
    assert issue_of(api.order(**changes), status) == issue
    assert sandbox.ledger() == []


@pytest.mark.parametrize(
    ("content", "issue"), [(b"{", "MALFORMED_REQUEST_JSON"), (b'{"intent":"CAPTURE"}', "MISSING_REQUIRED_PARAMETER")]
)
def test_a_body_is_json_of_the_contract(api, content, issue):
    headers = {"Content-Type": "application/json", "PayPal-Request-Id": new_key()}
    assert issue_of(api.post("/v2/checkout/orders", content=content, headers=headers), 400) == issue
    assert api.post("/v2/checkout/orders", content=content, headers={"Content-Type": "text/xml"}).status_code == 415


def test_a_payer_is_named_under_a_key_only(api):
    body = order_body() | {"payment_source": VAULTED}
    assert issue_of(api.post("/v2/checkout/orders", json=body), 400) == "PAYPAL_REQUEST_ID_REQUIRED"


def test_the_parts_of_an_amount_add_up(api):
    body = order_body()
    body["purchase_units"][0]["amount"]["breakdown"] = {"item_total": money("260.00"), "discount": money("9.00")}
    assert issue_of(api.post("/v2/checkout/orders", json=body)) == "AMOUNT_MISMATCH"
    body["purchase_units"][0]["amount"]["breakdown"]["tax_total"] = money("1.00", "USD")
    assert issue_of(api.post("/v2/checkout/orders", json=body)) == "MULTI_CURRENCY_ORDER"
    body["purchase_units"][0]["amount"]["breakdown"] = {"item_total": money("259.00"), "discount": money("9.00")}
    assert made(api.post("/v2/checkout/orders", json=body))["status"] == "CREATED"
    body["purchase_units"] *= 2
    assert issue_of(api.post("/v2/checkout/orders", json=body)) == "UNSUPPORTED_INTENT"


@pytest.mark.parametrize(("currency", "value", "minor"), [("JPY", "5000", 5000), ("HUF", "5000", 500_000)])
def test_some_currencies_have_no_decimals(sandbox, api, currency, value, minor):
    authorization = api.authorised(value=value, currency=currency)
    assert authorization["amount"] == money(value, currency)
    path = f"/v2/payments/authorizations/{authorization['id']}/capture"
    assert issue_of(api.step(path, {"amount": money("10.00", currency)})) == "DECIMALS_NOT_SUPPORTED"
    # The ledger counts minor units of ISO 4217, by which a forint has two decimal places.
    assert sandbox.ledger()[-1]["amount_minor"] == minor


@pytest.mark.parametrize("path", ["checkout/orders/NONE", "payments/authorizations/NONE", "payments/captures/NONE"])
def test_what_does_not_exist_is_not_found(api, path):
    assert issue_of(api.get(f"/v2/{path}"), 404) == "INVALID_RESOURCE_ID"


def test_a_restart_forgets_nothing(tmp_path):
    database = tmp_path / "world.sqlite"
    with serve(seed=7, database=database) as sandbox, PayPalClient(sandbox) as api:
        authorization = api.authorised()
        path = f"/v2/payments/authorizations/{authorization['id']}"
        sandbox.fault(vendor="paypal", path="capture$", action="accept_later", delay_s=0.7)
        capture = made(api.step(f"{path}/capture", key="kept"))
    with serve(seed=7, database=database) as sandbox, PayPalClient(sandbox) as api:
        eventually(lambda: sandbox.effects()[-1] == "payment.captured", "the capture is finished after the restart")
        assert made(api.step(f"{path}/capture", key="kept"))["id"] == capture["id"]
