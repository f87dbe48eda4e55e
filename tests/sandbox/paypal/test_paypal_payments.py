"""What follows an authorisation at the simulated PayPal: captured, voided, renewed, expired, given back."""

from __future__ import annotations

import pytest

from tests.sandbox.paypal.client import BOOKING_ID, PAYMENT_ID, capture_of, issue_of, link, made, money, payment


def path_of(authorization: dict) -> str:
    return f"/v2/payments/authorizations/{authorization['id']}"


def refund_path(capture: dict) -> str:
    return f"/v2/payments/captures/{capture['id']}/refund"


def age(sandbox, authorization: dict, days: float) -> None:
    answer = sandbox.control.post(f"/paypal/authorizations/{authorization['id']}/age", json={"days": days})
    assert answer.status_code == 200, answer.text


# --------------------------------------------------------------------------------------------------------- capture


def test_captures_once_and_never_more_than_is_reserved(sandbox, api):
    authorization = api.authorised()
    path = path_of(authorization)
    assert issue_of(api.step(f"{path}/capture", {"amount": money("250.01")})) == "MAX_CAPTURE_AMOUNT_EXCEEDED"
    assert issue_of(api.step(f"{path}/capture", {"amount": money("1.00", "USD")})) == "AUTH_CAPTURE_CURRENCY_MISMATCH"
    capture = made(api.step(f"{path}/capture"))
    assert (capture["status"], capture["amount"], capture["custom_id"]) == ("COMPLETED", money("250.00"), PAYMENT_ID)
    assert capture["supplementary_data"]["related_ids"]["authorization_id"] == authorization["id"]
    assert api.get(path).json()["status"] == "CAPTURED"
    assert issue_of(api.step(f"{path}/capture")) == "AUTHORIZATION_ALREADY_CAPTURED"
    assert issue_of(api.step(f"{path}/void")) == "PREVIOUSLY_CAPTURED"
    assert sandbox.effects() == ["payment.authorised", "payment.captured"]


def test_a_final_partial_capture_releases_the_rest(sandbox, api):
    path = path_of(api.authorised())
    capture = made(api.step(f"{path}/capture", {"amount": money("100.00"), "final_capture": True}))
    assert (capture["amount"], api.get(path).json()["status"]) == (money("100.00"), "CAPTURED")
    assert sandbox.ledger()[-1]["details"]["released_minor"] == 15_000
    books = payment(sandbox)
    assert (books["authorised_minor"], books["captured_minor"], books["authorisation_open"]) == (25_000, 10_000, False)


def test_parts_are_captured_until_all_is(sandbox, api):
    path = path_of(api.authorised(invoice="INV-1"))
    made(api.step(f"{path}/capture", {"amount": money("100.00"), "invoice_id": "INV-1"}))
    assert (api.get(path).json()["status"], payment(sandbox)["authorisation_open"]) == ("PARTIALLY_CAPTURED", True)
    again = {"amount": money("100.00"), "invoice_id": "INV-1"}
    assert issue_of(api.step(f"{path}/capture", again)) == "DUPLICATE_INVOICE_ID"
    assert made(api.step(f"{path}/capture"))["amount"] == money("150.00")
    assert (api.get(path).json()["status"], payment(sandbox)["captured_minor"]) == ("CAPTURED", 25_000)


# ------------------------------------------------------------------------------------------------------------ void


@pytest.mark.parametrize(("prefer", "status"), [("return=minimal", 204), ("return=representation", 200)])
def test_voiding_releases_the_authorisation_once(sandbox, api, prefer, status):
    authorization = api.authorised()
    path = path_of(authorization)
    assert api.post(f"{path}/void", headers={"Prefer": prefer}).status_code == status
    assert api.get(path).json()["status"] == "VOIDED"
    assert issue_of(api.post(f"{path}/void")) == "PREVIOUSLY_VOIDED"
    assert issue_of(api.step(f"{path}/capture")) == "AUTHORIZATION_VOIDED"
    assert sandbox.effects() == ["payment.authorised", "payment.voided"]
    effect = sandbox.ledger()[-1]
    assert (effect["amount_minor"], effect["details"]) == (25_000, {"authorization": authorization["id"]})
    assert (payment(sandbox)["status"], payment(sandbox)["authorisation_open"]) == ("VOIDED", False)
    assert api.get(link(authorization, "up")).json()["status"] == "VOIDED"


def test_what_is_left_of_a_partial_capture_can_be_voided(sandbox, api):
    path = path_of(api.authorised())
    made(api.step(f"{path}/capture", {"amount": money("100.00")}))
    api.post(f"{path}/void")
    assert (sandbox.ledger()[-1]["type"], sandbox.ledger()[-1]["amount_minor"]) == ("payment.voided", 15_000)
    assert payment(sandbox)["captured_minor"] == 10_000


# ------------------------------------------------------------------------------------------------- renewed, expired


def test_is_renewed_once_and_not_before_the_honour_period_is_over(sandbox, api):
    authorization = api.authorised()
    path = path_of(authorization)
    assert issue_of(api.step(f"{path}/reauthorize")) == "REAUTHORIZATION_NOT_SUPPORTED"
    age(sandbox, authorization, 3.01)
    assert issue_of(api.step(f"{path}/reauthorize", {"amount": money("250.01")})) == "TRANSACTION_REFUSED"
    assert issue_of(api.step(f"{path}/reauthorize", {"amount": money("1.00", "USD")})) == "AUTH_CURRENCY_MISMATCH"
    renewed = made(api.step(f"{path}/reauthorize", {"amount": money("200.00")}))
    assert (renewed["status"], renewed["amount"]) == ("CREATED", money("200.00"))
    assert renewed["expiration_time"] == api.get(path).json()["expiration_time"]
    assert issue_of(api.step(f"{path}/reauthorize")) == "REAUTHORIZATION_NOT_SUPPORTED"
    assert issue_of(api.step(f"{path_of(renewed)}/reauthorize")) == "REAUTHORIZATION_NOT_SUPPORTED"
    assert issue_of(api.post(f"{path_of(renewed)}/void")) == "CANNOT_BE_VOIDED"
    assert issue_of(api.step(f"{path_of(renewed)}/capture", {"amount": money("200.01")})) == (
        "MAX_CAPTURE_AMOUNT_EXCEEDED"
    )
    assert made(api.step(f"{path_of(renewed)}/capture"))["amount"] == money("200.00")
    assert api.get(path).json()["status"] == api.get(path_of(renewed)).json()["status"] == "CAPTURED"
    assert issue_of(api.step(f"{path}/capture")) == "AUTHORIZATION_ALREADY_CAPTURED"
    assert sandbox.effects() == ["payment.authorised", "payment.reauthorised", "payment.captured"]
    assert payment(sandbox)["captured_minor"] == 20_000


def test_voiding_the_parent_voids_its_renewal(sandbox, api):
    authorization = api.authorised()
    age(sandbox, authorization, 4)
    renewed = made(api.step(f"{path_of(authorization)}/reauthorize"))
    api.post(f"{path_of(authorization)}/void")
    assert issue_of(api.step(f"{path_of(renewed)}/capture")) == "AUTHORIZATION_VOIDED"
    assert sandbox.effects().count("payment.voided") == 1


def test_expires_after_29_days(sandbox, api):
    authorization = api.authorised()
    age(sandbox, authorization, 28.9)
    assert api.get(path_of(authorization)).json()["status"] == "CREATED"
    age(sandbox, authorization, 0.2)
    assert issue_of(api.step(f"{path_of(authorization)}/capture")) == "AUTHORIZATION_EXPIRED"
    assert issue_of(api.step(f"{path_of(authorization)}/reauthorize")) == "AUTHORIZATION_VOIDED"
    assert issue_of(api.post(f"{path_of(authorization)}/void")) == "PREVIOUSLY_VOIDED"
    assert sandbox.effects() == ["payment.authorised", "payment.voided"]
    assert sandbox.ledger()[-1]["details"]["expired"] is True
    assert payment(sandbox)["authorisation_open"] is False


# ---------------------------------------------------------------------------------------------------------- refunds


def test_gives_back_in_parts_and_never_more_than_was_taken(sandbox, api):
    capture = api.captured()
    refund = made(api.step(refund_path(capture), {"amount": money("100.00"), "custom_id": "mine"}, key="refund-key"))
    assert (refund["status"], refund["amount"], refund["custom_id"]) == ("COMPLETED", money("100.00"), "mine")
    assert api.get(link(capture, "self")).json()["status"] == "PARTIALLY_REFUNDED"
    assert issue_of(api.step(refund_path(capture), {"amount": money("150.01")})) == "REFUND_AMOUNT_EXCEEDED"
    other = {"amount": money("1.00", "USD")}
    assert issue_of(api.step(refund_path(capture), other)) == "REFUND_CAPTURE_CURRENCY_MISMATCH"
    assert made(api.step(refund_path(capture)))["amount"] == money("150.00")
    assert api.get(link(refund, "up")).json()["status"] == "REFUNDED"
    assert issue_of(api.step(refund_path(capture))) == "CAPTURE_FULLY_REFUNDED"
    first, second = sandbox.ledger(contains="payment.refunded")
    assert (first["amount_minor"], second["amount_minor"]) == (10_000, 15_000)
    assert (first["metadata"]["key"], first["metadata"]["payment_id"]) == ("refund-key", PAYMENT_ID)
    assert (first["metadata"]["booking_id"], first["details"]["refund"]) == (BOOKING_ID, refund["id"])
    books = payment(sandbox)
    assert (books["captured_minor"], books["refunded_minor"], books["refund_pending_minor"]) == (25_000, 25_000, 0)


def test_the_invoice_of_a_refund_is_used_once(api):
    capture = api.captured()
    body = {"amount": money("10.00"), "invoice_id": "CREDIT-1"}
    made(api.step(refund_path(capture), body))
    assert issue_of(api.step(refund_path(capture), body)) == "DUPLICATE_INVOICE_ID"


def test_an_order_shows_all_its_payments(api):
    order = made(api.order(intent="CAPTURE"))
    capture = capture_of(made(api.step(link(order, "capture"))))
    refund = made(api.step(refund_path(capture), {"amount": money("1.00")}))
    payments = api.get(link(order, "self")).json()["purchase_units"][0]["payments"]
    assert [each["id"] for each in payments["captures"]] == [capture["id"]]
    assert [each["id"] for each in payments["refunds"]] == [refund["id"]]
