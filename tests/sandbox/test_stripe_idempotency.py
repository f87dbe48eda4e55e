"""One Idempotency-Key has one effect and one answer, whatever happens on the way, as Stripe documents it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.sandbox.conftest import RunningSandbox, eventually, serve
from tests.sandbox.test_stripe import authorise, error_of, intent_of, stripe_client

KEY = "01JTEST:authorise:1"


@pytest.fixture
def keyed(sandbox):
    """A client that sends the same key with every POST."""
    with stripe_client(sandbox, **{"Idempotency-Key": KEY}) as client:
        yield client


def replayed(answer: httpx.Response) -> bool:
    return answer.headers.get("idempotent-replayed") == "true"


def authorised(sandbox: RunningSandbox) -> int:
    return sandbox.effects().count("payment.authorised")


def test_the_same_request_is_answered_the_same_and_done_once(sandbox, keyed):
    first, second = authorise(keyed), authorise(keyed)
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert (replayed(first), replayed(second)) == (False, True)
    assert authorised(sandbox) == 1


def test_the_order_of_parameters_says_nothing(keyed):
    form = [("amount", "900"), ("currency", "eur"), ("metadata[a]", "1"), ("metadata[b]", "2")]
    urlencoded = {"Content-Type": "application/x-www-form-urlencoded"}
    bodies = ["&".join(f"{name}={value}" for name, value in pairs) for pairs in (form, form[::-1])]
    first, second = (keyed.post("/v1/payment_intents", content=body, headers=urlencoded) for body in bodies)
    assert replayed(second)
    assert second.json()["id"] == first.json()["id"]


def test_a_decline_is_replayed_too(sandbox, keyed):
    first = authorise(keyed, card="pm_card_visa_chargeDeclined")
    second = authorise(keyed, card="pm_card_visa_chargeDeclined")
    assert (second.status_code, second.content, replayed(second)) == (402, first.content, True)
    assert sandbox.effects() == ["payment.declined"]


def test_other_parameters_or_another_endpoint_are_an_error(sandbox, keyed):
    intent = intent_of(authorise(keyed))
    assert "same parameters" in error_of(authorise(keyed, amount=1_000), 400)["message"]
    error = error_of(keyed.post(f"/v1/payment_intents/{intent['id']}/capture", data={}), 400)
    assert (error["type"], "same endpoint" in error["message"]) == ("idempotency_error", True)
    assert replayed(authorise(keyed))
    assert sandbox.effects() == ["payment.authorised"]


def test_what_fails_validation_does_not_use_the_key_up(sandbox, keyed):
    assert error_of(authorise(keyed, currency=""), 400)["param"] == "currency"
    answer = authorise(keyed)
    assert (answer.status_code, replayed(answer)) == (200, False)


def test_a_refused_or_limited_request_does_not_use_the_key_up(sandbox, keyed):
    for action in ("refuse", "rate_limited"):
        sandbox.fault(vendor="stripe", action=action)
        assert authorise(keyed).status_code in (400, 429)
    assert authorise(keyed).status_code == 200


def test_a_state_that_does_not_allow_it_is_kept(api, sandbox):
    intent = intent_of(authorise(api))
    capture = f"/v1/payment_intents/{intent['id']}/capture"
    too_much = {"amount_to_capture": 99_000}
    for expected in (False, True):
        answer = api.post(capture, data=too_much, headers={"Idempotency-Key": "capture"})
        assert (answer.status_code, replayed(answer)) == (400, expected)


@pytest.fixture
def api(sandbox):
    with stripe_client(sandbox) as client:
        yield client


def test_a_500_is_the_answer_for_good(sandbox, keyed):
    sandbox.fault(vendor="stripe", action="server_error", status=500)
    first, second = authorise(keyed), authorise(keyed)
    assert (first.status_code, second.status_code, second.content) == (500, 500, first.content)
    assert replayed(second)
    assert sandbox.effects() == []


def test_a_proxys_503_is_not(sandbox, keyed):
    sandbox.fault(vendor="stripe", action="server_error", status=503)
    assert authorise(keyed).status_code == 503
    answer = authorise(keyed)
    assert (answer.status_code, replayed(answer)) == (200, False)


def test_after_a_500_that_hid_an_effect_the_key_finds_it(sandbox, keyed):
    sandbox.fault(vendor="stripe", action="server_error_after", status=500)
    assert authorise(keyed).status_code == 500
    answer = authorise(keyed)
    assert (answer.status_code, replayed(answer), answer.json()["status"]) == (200, True, "requires_capture")
    assert authorised(sandbox) == 1


def test_after_a_dropped_connection_the_key_finds_the_effect(sandbox, keyed):
    sandbox.fault(vendor="stripe", action="drop_after")
    with pytest.raises(httpx.TransportError):
        authorise(keyed)
    answer = authorise(keyed)
    assert (answer.status_code, replayed(answer)) == (200, True)
    assert authorised(sandbox) == 1


def test_while_the_effect_is_on_its_way_the_key_is_in_use(sandbox, keyed):
    sandbox.fault(vendor="stripe", action="drop_then_effect", delay_s=0.5)
    with pytest.raises(httpx.TransportError):
        authorise(keyed)
    assert error_of(authorise(keyed), 409)["code"] == "idempotency_key_in_use"
    answer = eventually(lambda: (again := authorise(keyed)).status_code == 200 and again, "the effect is made")
    assert replayed(answer)
    assert authorised(sandbox) == 1


def test_two_at_once_conflict(sandbox):
    rule = sandbox.fault(vendor="stripe", action="delay", delay_s=0.5)

    def fired() -> bool:
        return any(each["id"] == rule and each["fired"] for each in sandbox.control.get("/faults").json())

    headers = {"Idempotency-Key": KEY}
    with stripe_client(sandbox, **headers) as one, stripe_client(sandbox, **headers) as other:
        with ThreadPoolExecutor(1) as pool:
            slow = pool.submit(authorise, one)
            eventually(fired, "the first request is running")
            error = error_of(authorise(other), 409)
        assert (error["type"], error["code"]) == ("idempotency_error", "idempotency_key_in_use")
        assert slow.result().status_code == 200
        # The conflict was not kept: the key finds what the first request did.
        assert replayed(authorise(other))
    assert authorised(sandbox) == 1


def test_keys_survive_a_restart(tmp_path):
    headers = {"Idempotency-Key": KEY}
    with serve(seed=7, database=tmp_path / "world") as sandbox, stripe_client(sandbox, **headers) as api:
        first = authorise(api)
    with serve(seed=7, database=tmp_path / "world") as sandbox, stripe_client(sandbox, **headers) as api:
        second = authorise(api)
        assert replayed(second)
        assert second.content == first.content
        assert authorised(sandbox) == 1
