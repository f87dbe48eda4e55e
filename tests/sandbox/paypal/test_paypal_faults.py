"""PayPal's own ways to fail, planned; and one effect and one object per PayPal-Request-Id whatever happens on the way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.sandbox.conftest import eventually
from tests.sandbox.paypal.client import authorization_of, capture_of, issue_of, link, made, money, payment

KEY = "01JTEST:authorise:1"


# --------------------------------------------------------------------------------------------------- vendor's faults


def test_a_decline_takes_nothing(sandbox, api):
    sandbox.fault(vendor="paypal", path="orders$", action="decline")
    assert issue_of(api.order()) == "INSTRUMENT_DECLINED"
    order = made(api.order())
    sandbox.fault(vendor="paypal", path="authorize$", action="decline")
    assert issue_of(api.step(link(order, "authorize"))) == "PAYER_CANNOT_PAY"
    authorization = authorization_of(made(api.step(link(order, "authorize"))))
    sandbox.fault(vendor="paypal", path="capture$", action="decline", code="TRANSACTION_REFUSED")
    assert issue_of(api.step(link(authorization, "capture"))) == "TRANSACTION_REFUSED"
    assert sandbox.effects() == ["payment.declined", "payment.declined", "payment.authorised", "payment.declined"]
    assert sandbox.ledger()[1]["details"] == {"issue": "PAYER_CANNOT_PAY"}


def test_a_vaulted_payer_may_be_one_who_cannot_pay(api):
    order = made(api.order(intent="CAPTURE", source={"paypal": {"vault_id": "declined"}}))
    assert issue_of(api.step(link(order, "capture"))) == "INSTRUMENT_DECLINED"


@pytest.mark.parametrize("step", ["orders$", "authorize$"])
def test_a_vaulted_payer_may_be_wanted_back(sandbox, api, step):
    sandbox.fault(vendor="paypal", path=step, action="three_d_secure")
    order = made(api.order())
    path = f"/v2/checkout/orders/{order['id']}"
    answer = api.step(f"{path}/authorize")
    assert issue_of(answer) == "PAYER_ACTION_REQUIRED"
    waiting = api.get(path).json()
    assert waiting["status"] == "PAYER_ACTION_REQUIRED"
    assert link(answer.json(), "payer-action") == link(waiting, "payer-action")
    sandbox.control.post(f"/paypal/orders/{order['id']}/approve")
    assert made(api.step(f"{path}/authorize"))["status"] == "COMPLETED"
    assert sandbox.effects() == ["payment.action_required", "payment.authorised"]


@pytest.mark.parametrize(("fail", "status", "effect"), [(False, "CREATED", "authorised"), (True, "DENIED", "declined")])
def test_an_authorisation_may_be_reviewed_first(sandbox, api, fail, status, effect):
    sandbox.fault(vendor="paypal", path="authorize$", action="accept_later", delay_s=0.7, fail=fail)
    authorization = api.authorised()
    assert (authorization["status"], sandbox.effects()) == ("PENDING", [])
    path = link(authorization, "self")
    assert issue_of(api.step(f"{path}/capture")) == "TRANSACTION_REFUSED"
    eventually(lambda: api.get(path).json()["status"] == status, "the review ends")
    assert sandbox.effects() == [f"payment.{effect}"]
    assert payment(sandbox)["authorised_minor"] == (0 if fail else 25_000)
    if fail:
        assert issue_of(api.step(f"{path}/capture")) == "AUTHORIZATION_DENIED"


def test_what_is_voided_during_its_review_was_never_reserved(sandbox, api):
    sandbox.fault(vendor="paypal", path="authorize$", action="accept_later", delay_s=60)
    authorization = api.authorised()
    assert api.post(f"{link(authorization, 'self')}/void").json()["status"] == "VOIDED"
    assert (sandbox.effects(), payment(sandbox)["authorised_minor"]) == ([], 0)


@pytest.mark.parametrize("fail", [False, True])
def test_an_order_is_completed_before_its_capture_is(sandbox, api, fail):
    order = made(api.order(intent="CAPTURE"))
    sandbox.fault(vendor="paypal", path="capture$", action="accept_later", delay_s=0.7, fail=fail)
    answer = made(api.step(link(order, "capture")))
    capture = capture_of(answer)
    assert (answer["status"], capture["status"], sandbox.effects()) == ("COMPLETED", "PENDING", [])
    assert issue_of(api.step(link(capture, "refund"))) == "PENDING_CAPTURE"
    status = "DECLINED" if fail else "COMPLETED"
    eventually(lambda: api.get(link(capture, "self")).json()["status"] == status, "the capture ends")
    assert api.get(link(order, "self")).json()["status"] == "COMPLETED"
    assert sandbox.effects() == (["payment.declined"] if fail else ["payment.authorised", "payment.captured"])
    if fail:
        assert issue_of(api.step(link(capture, "refund"))) == "REFUND_NOT_ALLOWED"


def test_an_authorisation_that_could_not_be_captured_is_gone(sandbox, api):
    authorization = api.authorised()
    sandbox.fault(vendor="paypal", path="capture$", action="accept_later", delay_s=0.7, fail=True)
    capture = made(api.step(link(authorization, "capture")))
    assert (capture["status"], payment(sandbox)["authorisation_open"]) == ("PENDING", True)
    assert issue_of(api.post(link(authorization, "void"))) == "PREVIOUSLY_CAPTURED"
    eventually(lambda: sandbox.effects()[-1] == "payment.declined", "the capture fails")
    assert sandbox.effects() == ["payment.authorised", "payment.voided", "payment.declined"]
    voided = sandbox.ledger()[1]
    assert (voided["amount_minor"], voided["details"]["capture_failed"]) == (25_000, True)
    books = payment(sandbox)
    assert (books["captured_minor"], books["authorisation_open"], books["status"]) == (0, False, "DECLINED")


@pytest.mark.parametrize(
    ("action", "status", "effect"),
    [("refund_pending", "COMPLETED", "refunded"), ("refund_fails", "FAILED", "refund_failed")],
)
def test_a_refund_may_take_its_time(sandbox, api, action, status, effect):
    capture = api.captured()
    sandbox.fault(vendor="paypal", path="refund$", action=action, delay_s=0.7)
    refund = made(api.step(link(capture, "refund"), {"amount": money("100.00")}))
    assert (refund["status"], payment(sandbox)["refund_pending_minor"]) == ("PENDING", 10_000)
    assert issue_of(api.step(link(capture, "refund"), {"amount": money("150.01")})) == "REFUND_AMOUNT_EXCEEDED"
    eventually(lambda: api.get(link(refund, "self")).json()["status"] == status, "the refund ends")
    assert sandbox.effects()[2:] == ["payment.refund_pending", f"payment.{effect}"]
    assert payment(sandbox)["refunded_minor"] == (10_000 if status == "COMPLETED" else 0)
    whole = "PARTIALLY_REFUNDED" if status == "COMPLETED" else "COMPLETED"
    assert api.get(link(capture, "self")).json()["status"] == whole


# ----------------------------------------------------------------------------------------------- faults of all vendors


@pytest.mark.parametrize(
    ("rule", "status", "name"),
    [
        ({"action": "refuse"}, 422, "UNPROCESSABLE_ENTITY"),
        ({"action": "server_error", "status": 500}, 500, "INTERNAL_SERVER_ERROR"),
        ({"action": "server_error", "status": 503}, 503, "SERVICE_UNAVAILABLE"),
        ({"action": "rate_limited", "retry_after_s": 7}, 429, "RATE_LIMIT_REACHED"),
        ({"action": "refund_fails"}, 501, "INTERNAL_SERVER_ERROR"),
    ],
)
def test_fails_in_its_own_words(sandbox, api, rule, status, name):
    sandbox.fault(vendor="paypal", path="orders$", **rule)
    answer = api.order(key=KEY)
    assert (answer.status_code, answer.json()["name"]) == (status, name)
    assert answer.headers.get("retry-after") == ("7" if status == 429 else None)
    assert made(api.order(key=KEY))["status"] == "APPROVED"


def test_sells_no_travel(sandbox):
    rule = {"vendor": "paypal", "action": "sold_out"}
    assert sandbox.control.post("/faults", json=rule).status_code == 422


# ------------------------------------------------------------------------------------------------------- idempotency


def test_a_repeat_is_answered_with_the_latest_state(sandbox, api):
    first, second = api.order(key=KEY), api.order(key=KEY, value="1.00")
    assert (first.status_code, second.status_code) == (201, 200)
    assert second.json() == first.json()
    step = link(first.json(), "authorize")
    made(api.step(step, key=KEY))
    again = api.step(step, key=KEY)
    assert (again.status_code, again.json()["status"]) == (200, "COMPLETED")
    assert api.order(key=KEY).json()["status"] == "COMPLETED"
    capture = link(authorization_of(again.json()), "capture")
    one, other = made(api.step(capture, key=KEY)), made(api.step(capture, key=KEY))
    assert one == other
    refund = link(one, "refund")
    body = {"amount": money("10.00")}
    assert made(api.step(refund, body, key=KEY))["id"] == made(api.step(refund, body, key=KEY))["id"]
    assert sandbox.effects() == ["payment.authorised", "payment.captured", "payment.refunded"]


@pytest.mark.parametrize("action", ["drop_after", "server_error_after"])
def test_what_was_done_unheard_is_found_again(sandbox, api, action):
    authorization = api.authorised()
    sandbox.fault(vendor="paypal", path="capture$", action=action)
    try:
        assert api.step(link(authorization, "capture"), key=KEY).status_code == 503
    except httpx.RemoteProtocolError:
        assert action == "drop_after"
    assert made(api.step(link(authorization, "capture"), key=KEY))["status"] == "COMPLETED"
    assert sandbox.effects() == ["payment.authorised", "payment.captured"]


def test_two_at_once_are_one(sandbox, api):
    authorization = api.authorised()
    rule = sandbox.fault(vendor="paypal", path="capture$", action="delay", delay_s=0.4)
    step = link(authorization, "capture")

    def fired() -> bool:
        return any(each["id"] == rule and each["fired"] for each in sandbox.control.get("/faults").json())

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(api.step, step, key=KEY)
        eventually(fired, "the first request is on its way")
        second = api.step(step, key=KEY)
        assert (issue_of(second, 409), second.json()["name"]) == ("PREVIOUS_REQUEST_IN_PROGRESS", "RESOURCE_CONFLICT")
        assert made(first.result())["status"] == "COMPLETED"
    assert sandbox.effects().count("payment.captured") == 1


def test_a_key_is_forgotten_and_the_invoice_is_not(sandbox, api):
    sandbox.control.put("/paypal/settings", json={"order_keys_s": 0})
    first, second = made(api.order(key=KEY, invoice="INV-1")), made(api.order(key=KEY, invoice="INV-1"))
    assert first["id"] != second["id"]
    made(api.step(link(first, "authorize"), key=KEY))
    assert issue_of(api.step(link(second, "authorize"), key=KEY)) == "DUPLICATE_INVOICE_ID"
    assert sandbox.effects() == ["payment.authorised"]


def test_a_refused_request_may_be_made_again_under_its_key(sandbox, api):
    order = made(api.order())
    sandbox.fault(vendor="paypal", path="authorize$", action="decline")
    assert issue_of(api.step(link(order, "authorize"), key=KEY)) == "PAYER_CANNOT_PAY"
    assert made(api.step(link(order, "authorize"), key=KEY))["status"] == "COMPLETED"


def test_a_key_has_up_to_108_characters(api):
    assert issue_of(api.order(key="k" * 109), 400) == "INVALID_STRING_LENGTH"
