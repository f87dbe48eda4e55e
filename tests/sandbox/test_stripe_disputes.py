"""Disputes at the simulated Stripe: opened by the bank for what was taken, and listed."""

import httpx

from tests.sandbox.conftest import RunningSandbox
from tests.sandbox.test_stripe import authorise, error_of, intent_of, stripe_client


def test_what_was_taken_can_be_disputed_and_is_listed(sandbox: RunningSandbox) -> None:
    with stripe_client(sandbox) as api:
        intent = intent_of(authorise(api))
        path = f"/_sandbox/stripe/payment_intents/{intent['id']}/dispute"
        assert error_of(httpx.post(f"{sandbox.url}{path}"), 400)["type"] == "invalid_request_error"
        api.post(f"/v1/payment_intents/{intent['id']}/capture")
        opened = httpx.post(f"{sandbox.url}{path}").json()
        other = intent_of(authorise(api))
        api.post(f"/v1/payment_intents/{other['id']}/capture")
        httpx.post(f"{sandbox.url}/_sandbox/stripe/payment_intents/{other['id']}/dispute")
        listed = api.get("/v1/disputes", params={"payment_intent": intent["id"]}).json()["data"]
        assert [dispute["id"] for dispute in listed] == [opened["id"]]
        assert len(api.get("/v1/disputes", params={"created[gte]": opened["created"]}).json()["data"]) == 2
        read = api.get(f"/v1/disputes/{opened['id']}").json()
        assert (read["amount"], read["status"]) == (intent["amount"], "needs_response")
        assert error_of(api.get("/v1/disputes/dp_nobody"), 404)["code"] == "resource_missing"
