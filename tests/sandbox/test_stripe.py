"""The simulated Stripe takes, keeps and gives back money as the real one does, in the words of its contract."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.contracts import spec, stripe_spec
from tests.sandbox.conftest import TLS, RunningSandbox, eventually, serve

BOOKING = {"metadata[booking]": "01JTESTTESTTESTTESTTESTTEST"}


@pytest.fixture
def api(sandbox):
    """A client of Stripe whose every answer is held against the contract."""
    with stripe_client(sandbox) as client:
        yield client


def stripe_client(sandbox: RunningSandbox, **headers: str) -> httpx.Client:
    return httpx.Client(
        verify=TLS,
        base_url=f"{sandbox.url}/stripe",
        headers={"Authorization": "Bearer sk_test_123", "Stripe-Version": "2026-05-27.dahlia", **headers},
        timeout=10,
        event_hooks={"response": [_check] if spec.available(stripe_spec.STRIPE) else []},
    )


def _check(response: httpx.Response) -> None:
    stripe_spec.contract().check(response, "/stripe")


def authorise(api: httpx.Client, *, amount: int = 25_000, card: str = "pm_card_visa", **changes: str) -> httpx.Response:
    form = {
        "amount": amount,
        "currency": "eur",
        "capture_method": "manual",
        "confirm": "true",
        "payment_method": card,
        "payment_method_types[0]": "card",
        "description": "A trip",
        **BOOKING,
        **changes,
    }
    return api.post("/v1/payment_intents", data=form)


def intent_of(answer: httpx.Response) -> dict:
    assert answer.status_code == 200, answer.text
    return answer.json()


def error_of(answer: httpx.Response, status: int) -> dict:
    assert answer.status_code == status, answer.text
    return answer.json()["error"]


def payment(sandbox: RunningSandbox) -> dict:
    """The one payment in Stripe's books."""
    (found,) = sandbox.control.get("/books").json()["payments"]
    return found


# ------------------------------------------------------------------------------------------------------ authorising


def test_authorises_and_tells_where_the_charge_is(sandbox, api):
    intent = intent_of(authorise(api, **{"expand[]": "latest_charge"}))
    assert (intent["status"], intent["amount_capturable"], intent["amount_received"]) == ("requires_capture", 25_000, 0)
    card = intent["latest_charge"]["payment_method_details"]["card"]
    assert card["capture_before"] == pytest.approx(time.time() + 7 * 24 * 3600, abs=30)
    assert intent["metadata"] == {"booking": BOOKING["metadata[booking]"]}
    assert api.get(f"/v1/payment_intents/{intent['id']}").json()["latest_charge"] == intent["latest_charge"]["id"]
    charge = api.get(f"/v1/charges/{intent['latest_charge']['id']}", params={"expand[]": "refunds"}).json()
    assert (charge["captured"], charge["refunds"]["data"]) == (False, [])
    (effect,) = sandbox.ledger()
    assert (effect["type"], effect["amount_minor"], effect["currency"]) == ("payment.authorised", 25_000, "EUR")
    assert effect["metadata"] == intent["metadata"]
    assert payment(sandbox)["authorisation_open"] is True


def test_is_created_and_confirmed_in_two_steps(sandbox, api):
    form = {"amount": 900, "currency": "usd", "automatic_payment_methods[enabled]": "true"}
    intent = intent_of(api.post("/v1/payment_intents", data=form))
    assert intent["status"] == "requires_payment_method"
    confirm = f"/v1/payment_intents/{intent['id']}/confirm"
    assert "return_url" in error_of(api.post(confirm, data={"payment_method": "pm_card_visa"}), 400)["message"]
    form = {"payment_method": "pm_card_visa", "return_url": "https://example.org/back"}
    intent = intent_of(api.post(confirm, data=form))
    assert (intent["status"], intent["amount_received"]) == ("succeeded", 900)
    assert sandbox.effects() == ["payment.authorised", "payment.captured"]
    assert error_of(api.post(confirm, data=form), 400)["code"] == "payment_intent_unexpected_state"


@pytest.mark.parametrize(
    ("card", "code", "decline_code"),
    [
        ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", None),
    ],
)
def test_a_declined_card_is_a_402_that_carries_the_intent(sandbox, api, card, code, decline_code):
    error = error_of(authorise(api, card=card), 402)
    assert (error["type"], error["code"], error.get("decline_code")) == ("card_error", code, decline_code)
    assert error["payment_intent"]["status"] == "requires_payment_method"
    assert error["payment_intent"]["last_payment_error"]["code"] == code
    assert sandbox.effects() == ["payment.declined"]
    # The intent lives on: another card pays it.
    retry = {"payment_method": "pm_card_visa"}
    intent = intent_of(api.post(f"/v1/payment_intents/{error['payment_intent']['id']}/confirm", data=retry))
    assert intent["status"] == "requires_capture"


def test_a_planned_decline_hits_a_good_card(sandbox, api):
    sandbox.fault(vendor="stripe", path="payment_intents$", action="decline", code="lost_card")
    assert error_of(authorise(api), 402)["decline_code"] == "lost_card"
    assert authorise(api).status_code == 200


# ---------------------------------------------------------------------------------------------------- 3-D Secure


@pytest.mark.parametrize("planned", [False, True])
def test_a_challenged_payment_waits_for_the_customer(sandbox, api, planned):
    if planned:
        sandbox.fault(vendor="stripe", action="three_d_secure")
    card = "pm_card_visa" if planned else "pm_card_threeDSecure2Required"
    intent = intent_of(authorise(api, card=card, return_url="https://example.org/back"))
    assert intent["status"] == "requires_action"
    assert intent["next_action"]["redirect_to_url"]["return_url"] == "https://example.org/back"
    answer = sandbox.control.post(f"/stripe/payment_intents/{intent['id']}/authenticate", json={"succeed": True})
    assert answer.json()["status"] == "requires_capture"
    assert sandbox.effects() == ["payment.action_required", "payment.authorised"]


def test_a_customer_may_fail_3d_secure(sandbox, api):
    intent = intent_of(authorise(api, card="pm_card_authenticationRequired"))
    assert intent["next_action"]["type"] == "use_stripe_sdk"
    path = f"/stripe/payment_intents/{intent['id']}/authenticate"
    assert sandbox.control.post(path, json={"succeed": False}).json()["status"] == "requires_payment_method"
    assert sandbox.effects() == ["payment.action_required", "payment.declined"]
    assert sandbox.control.post(path, json={}).status_code == 400
    failed = api.get(f"/v1/payment_intents/{intent['id']}").json()
    assert failed["last_payment_error"]["code"] == "payment_intent_authentication_failure"


def test_off_session_nobody_is_there_to_authenticate(sandbox, api):
    error = error_of(authorise(api, card="pm_card_authenticationRequired", off_session="true"), 402)
    assert error["code"] == "authentication_required"


# -------------------------------------------------------------------------------------------- capture and cancel


def test_captures_once_and_never_more_than_authorised(sandbox, api):
    intent = intent_of(authorise(api))
    capture = f"/v1/payment_intents/{intent['id']}/capture"
    error = error_of(api.post(capture, data={"amount_to_capture": 25_001}), 400)
    assert (error["code"], error["param"]) == ("amount_too_large", "amount_to_capture")
    captured = intent_of(api.post(capture, data={}))
    assert (captured["status"], captured["amount_received"], captured["amount_capturable"]) == ("succeeded", 25_000, 0)
    error = error_of(api.post(capture, data={}), 400)
    assert error["code"] == "payment_intent_unexpected_state"
    assert "already been captured" in error["message"]
    assert sandbox.effects() == ["payment.authorised", "payment.captured"]


def test_a_partial_capture_releases_the_rest(sandbox, api):
    intent = intent_of(authorise(api))
    form = {"amount_to_capture": 10_000, "expand[]": "latest_charge"}
    captured = intent_of(api.post(f"/v1/payment_intents/{intent['id']}/capture", data=form))
    assert (captured["amount_received"], captured["amount_capturable"]) == (10_000, 0)
    assert captured["latest_charge"]["amount_captured"] == 10_000
    assert sandbox.ledger()[-1]["details"]["released_minor"] == 15_000
    books = payment(sandbox)
    assert (books["authorised_minor"], books["captured_minor"], books["authorisation_open"]) == (25_000, 10_000, False)


def test_cancelling_releases_the_authorisation_once(sandbox, api):
    intent = intent_of(authorise(api))
    cancel = f"/v1/payment_intents/{intent['id']}/cancel"
    cancelled = intent_of(api.post(cancel, data={"cancellation_reason": "requested_by_customer"}))
    assert (cancelled["status"], cancelled["amount_capturable"]) == ("canceled", 0)
    assert error_of(api.post(cancel, data={}), 400)["code"] == "payment_intent_unexpected_state"
    assert error_of(api.post(f"/v1/payment_intents/{intent['id']}/capture", data={}), 400)
    assert sandbox.effects() == ["payment.authorised", "payment.voided"]


def test_what_is_captured_cannot_be_cancelled(api):
    intent = intent_of(authorise(api))
    api.post(f"/v1/payment_intents/{intent['id']}/capture", data={})
    error = error_of(api.post(f"/v1/payment_intents/{intent['id']}/cancel", data={}), 400)
    assert error["payment_intent"]["status"] == "succeeded"


@pytest.mark.parametrize("fail", [False, True])
def test_a_capture_may_take_its_time(sandbox, api, fail):
    intent = intent_of(authorise(api))
    sandbox.fault(vendor="stripe", path="/capture$", action="accept_later", delay_s=0.7, fail=fail)
    capture = f"/v1/payment_intents/{intent['id']}/capture"
    assert intent_of(api.post(capture, data={}))["status"] == "processing"
    assert error_of(api.post(capture, data={}), 400)["code"] == "payment_intent_unexpected_state"

    def settled() -> str | None:
        status = api.get(f"/v1/payment_intents/{intent['id']}").json()["status"]
        return status if status != "processing" else None

    expected = "requires_payment_method" if fail else "succeeded"
    assert eventually(settled, "the capture ends") == expected
    assert ("payment.captured" in sandbox.effects()) is not fail


def test_an_authorisation_lapses(sandbox, api):
    assert sandbox.control.put("/stripe/settings", json={"authorisation_s": 0.05}).status_code == 200
    intent = intent_of(authorise(api))
    voided = eventually(lambda: sandbox.ledger()[1:], "the authorisation lapses")
    assert (voided[0]["type"], voided[0]["details"]["expired"]) == ("payment.voided", True)
    expired = api.get(f"/v1/payment_intents/{intent['id']}").json()
    assert (expired["status"], expired["cancellation_reason"]) == ("canceled", "automatic")


def test_an_authorisation_lapses_across_a_restart(tmp_path):
    database = tmp_path / "world.sqlite"
    with serve(seed=7, database=database) as first, stripe_client(first) as api:
        assert first.control.put("/stripe/settings", json={"authorisation_s": 0.3}).status_code == 200
        intent = intent_of(authorise(api, **{"expand[]": "latest_charge"}))
    with serve(seed=7, database=database) as second, stripe_client(second) as api:
        eventually(lambda: "payment.voided" in second.effects(), "the authorisation lapses after the restart")
        assert api.get(f"/v1/payment_intents/{intent['id']}").json()["status"] == "canceled"


# ------------------------------------------------------------------------------------------------------- refunds


def paid(api: httpx.Client) -> str:
    return intent_of(authorise(api, capture_method="automatic"))["id"]


def test_refunds_never_exceed_what_was_captured(sandbox, api):
    intent = paid(api)
    form = {"payment_intent": intent, "amount": 10_000, "reason": "requested_by_customer", "metadata[item]": "hotel"}
    refund = api.post("/v1/refunds", data=form).json()
    assert (refund["status"], refund["amount"], refund["metadata"]) == ("succeeded", 10_000, {"item": "hotel"})
    error = error_of(api.post("/v1/refunds", data={"payment_intent": intent, "amount": 15_001}), 400)
    assert "greater than unrefunded amount" in error["message"]
    rest = api.post("/v1/refunds", data={"payment_intent": intent}).json()
    assert rest["amount"] == 15_000
    error = error_of(api.post("/v1/refunds", data={"payment_intent": intent, "amount": 1}), 400)
    assert error["code"] == "charge_already_refunded"
    listed = api.get("/v1/refunds", params={"payment_intent": intent}).json()["data"]
    assert [each["id"] for each in listed] == [rest["id"], refund["id"]]
    assert api.get(f"/v1/refunds/{refund['id']}").json() == refund
    effect = sandbox.ledger()[-1]
    assert effect["metadata"]["booking"] == BOOKING["metadata[booking]"]
    assert payment(sandbox)["refunded_minor"] == 25_000


def test_what_is_only_authorised_cannot_be_refunded(api):
    intent = intent_of(authorise(api))["id"]
    assert "successful charge" in error_of(api.post("/v1/refunds", data={"payment_intent": intent}), 400)["message"]


@pytest.mark.parametrize(
    ("action", "status", "last_effect"),
    [("refund_pending", "succeeded", "payment.refunded"), ("refund_fails", "failed", "payment.refund_failed")],
)
def test_a_refund_may_take_its_time(sandbox, api, action, status, last_effect):
    intent = paid(api)
    sandbox.fault(vendor="stripe", path="/refunds$", action=action, delay_s=0.7)
    refund = api.post("/v1/refunds", data={"payment_intent": intent}).json()
    assert refund["status"] == "pending"
    assert payment(sandbox)["refund_pending_minor"] == 25_000

    def ended() -> bool:
        return api.get(f"/v1/refunds/{refund['id']}").json()["status"] == status

    eventually(ended, f"the refund {status}")
    assert sandbox.effects()[2:] == ["payment.refund_pending", last_effect]
    again = api.post("/v1/refunds", data={"payment_intent": intent})
    # A failed refund's money is here again; a succeeded one's is not.
    assert again.status_code == (200 if status == "failed" else 400)


# --------------------------------------------------------------------------------------------- asking, and asking wrong


def test_lists_payments_by_customer_and_time_page_by_page(api):
    ids = [intent_of(authorise(api, customer=f"cus_{number % 2}"))["id"] for number in range(6)]
    first = api.get("/v1/payment_intents", params={"limit": 4}).json()
    assert ([each["id"] for each in first["data"]], first["has_more"]) == (ids[:1:-1], True)
    second = api.get("/v1/payment_intents", params={"limit": 4, "starting_after": ids[2]}).json()
    assert ([each["id"] for each in second["data"]], second["has_more"]) == (ids[1::-1], False)
    back = api.get("/v1/payment_intents", params={"limit": 1, "ending_before": ids[2]}).json()
    assert ([each["id"] for each in back["data"]], back["has_more"]) == ([ids[3]], True)
    of_one = api.get("/v1/payment_intents", params={"customer": "cus_1"}).json()
    assert [each["id"] for each in of_one["data"]] == ids[5::-2]
    assert api.get("/v1/payment_intents", params={"created[gte]": int(time.time()) + 5}).json()["data"] == []
    assert len(api.get("/v1/payment_intents", params={"created[gte]": int(time.time()) - 60}).json()["data"]) == 6


@pytest.mark.parametrize(
    ("changes", "param", "code"),
    [
        ({"amount": ""}, "amount", "parameter_missing"),
        ({"amount": "ten"}, "amount", "parameter_invalid_integer"),
        ({"amount": "12"}, "amount", "amount_too_small"),
        ({"currency": "euro"}, "currency", None),
        ({"capture_method": "later"}, "capture_method", None),
        ({"colour": "blue"}, "colour", "parameter_unknown"),
        ({"payment_method": "pm_card_nobody"}, "payment_method", "resource_missing"),
        ({"metadata[x]": "y" * 501}, "metadata[x]", None),
    ],
)
def test_refuses_a_wrong_parameter_by_its_name(sandbox, api, changes, param, code):
    error = error_of(authorise(api, **changes), 400)
    assert (error["type"], error["param"], error.get("code")) == ("invalid_request_error", param, code)
    assert sandbox.effects() == []


def test_knows_what_it_does_not_have(api):
    for path in ("/v1/payment_intents/pi_none", "/v1/refunds/re_none", "/v1/charges/ch_none", "/v1/events/evt_none"):
        assert error_of(api.get(path), 404)["code"] == "resource_missing"


@pytest.mark.parametrize("authorization", ["", "Basic abc", "Bearer sk_live_123"])
def test_wants_a_test_key(sandbox, authorization):
    with stripe_client(sandbox, Authorization=authorization) as api:
        assert error_of(authorise(api), 401)["type"] == "invalid_request_error"


def test_the_judge_of_these_answers_refuses_bad_ones():
    judge = stripe_spec.require()
    for form in (b"currency=eur", b"amount=ten&currency=eur", b"amount=1&currency=eur&colour=blue"):
        with pytest.raises(AssertionError, match="not as the contract says"):
            judge.check_request("POST", "/v1/payment_intents", form)
    with pytest.raises(AssertionError, match="not as the contract says"):
        judge.check_response("POST", "/v1/refunds", 200, {"object": "refund", "amount": "1"})


def test_refuses_and_limits_in_its_own_words(sandbox, api):
    sandbox.fault(vendor="stripe", action="refuse", code="amount_too_large")
    assert error_of(authorise(api), 400)["code"] == "amount_too_large"
    sandbox.fault(vendor="stripe", action="rate_limited", retry_after_s=3)
    limited = authorise(api)
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "3")
    sandbox.fault(vendor="stripe", action="server_error", status=503)
    assert error_of(authorise(api), 503)["type"] == "api_error"
    assert sandbox.effects() == []
