"""FCM's messages and Google's token endpoint, as the discovery document and Google's own library want them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from google.auth import crypt, jwt

from tests.contracts import fcm_spec
from tests.sandbox.conftest import DEADLINE_S, TLS, RunningSandbox

_SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
_PATH = "/v1/projects/travelhub-sandbox/messages:send"


def _check(response: httpx.Response) -> None:
    response.read()
    path = response.request.url.path.removeprefix("/fcm")
    if path == "/token" or not fcm_spec.available():
        return
    fcm_spec.check_response(response, path)
    if response.is_success:
        fcm_spec.check_request(response.request, path)


def account_of(sandbox: RunningSandbox) -> dict[str, Any]:
    return sandbox.control.get("/fcm/service_account").json()


def grant(account: dict[str, Any], **claims: object) -> httpx.Response:
    """The answer to an assertion that Google's own library signed."""
    now = int(time.time())
    asserted = {
        "iss": account["client_email"],
        "scope": _SCOPE,
        "aud": account["token_uri"],
        "iat": now,
        "exp": now + 3600,
        **claims,
    }
    signed = jwt.encode(crypt.RSASigner.from_service_account_info(account), asserted).decode()
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": signed}
    return httpx.post(account["token_uri"], data=form, timeout=DEADLINE_S)


@pytest.fixture
def api(sandbox: RunningSandbox) -> Iterator[httpx.Client]:
    answer = grant(account_of(sandbox)).json()
    headers = {"Authorization": f"{answer['token_type']} {answer['access_token']}"}
    with httpx.Client(
        verify=TLS,
        base_url=f"{sandbox.url}/fcm",
        headers=headers,
        timeout=DEADLINE_S,
        event_hooks={"response": [_check]},
    ) as http:
        yield http


def message(**changes: object) -> dict[str, Any]:
    return {
        "token": "device-1",
        "notification": {"title": "Late", "body": "Your flight is late."},
        "data": {"notification_id": "n1"},
        "android": {"collapseKey": "trip-1", "priority": "HIGH"},
        "apns": {"headers": {"apns-collapse-id": "trip-1"}},
        **changes,
    }


def send(api: httpx.Client, **changes: object) -> httpx.Response:
    return api.post(_PATH, json={"message": message(**changes)})


def code_of(answer: httpx.Response) -> tuple[int, str]:
    details = answer.json()["error"]["details"]
    return answer.status_code, next(each["errorCode"] for each in details if "errorCode" in each)


@pytest.mark.contract
def test_a_message_is_sent_and_kept_with_its_data_and_collapse_key(sandbox: RunningSandbox, api: httpx.Client):
    fcm_spec.require()
    answer = send(api)
    assert answer.status_code == 200
    (kept,) = sandbox.control.get("/fcm/messages").json()
    assert kept["name"] == answer.json()["name"]
    assert (kept["message"]["notification"]["title"], kept["collapse_key"]) == ("Late", "trip-1")
    (effect,) = sandbox.ledger(vendor="fcm")
    assert (effect["type"], effect["metadata"]) == ("push.sent", {"notification_id": "n1"})
    (notice,) = sandbox.control.get("/books").json()["notices"]
    assert (notice["kind"], notice["to"]) == ("push", ["device-1"])


def test_a_dry_run_sends_nothing(sandbox: RunningSandbox, api: httpx.Client):
    assert api.post(_PATH, json={"message": message(), "validateOnly": True}).status_code == 200
    assert sandbox.effects() == []


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ("unregistered-1", (404, "UNREGISTERED")),
        ("mismatch-1", (403, "SENDER_ID_MISMATCH")),
        ("invalid-1", (400, "INVALID_ARGUMENT")),
        ("thirdparty-1", (401, "THIRD_PARTY_AUTH_ERROR")),
    ],
)
def test_some_devices_cannot_be_reached(sandbox: RunningSandbox, api: httpx.Client, device: str, expected: tuple):
    assert code_of(send(api, token=device)) == expected
    assert sandbox.effects() == []


def test_a_device_can_be_unregistered(sandbox: RunningSandbox, api: httpx.Client):
    assert send(api).status_code == 200
    assert sandbox.control.delete("/fcm/tokens/device-1").status_code == 204
    assert code_of(send(api)) == (404, "UNREGISTERED")
    assert send(api, token="device-2").status_code == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"token": None},
        {"topic": "everybody"},
        {"data": {"count": 1}},
        {"data": {"google.key": "x"}},
        {"data": {"text": "x" * 4096}},
        {"notification": {"heading": "x"}},
        {"colour": "red"},
    ],
)
def test_a_message_that_is_none_is_refused(sandbox: RunningSandbox, api: httpx.Client, changes: dict):
    assert code_of(send(api, **changes)) == (400, "INVALID_ARGUMENT")
    assert sandbox.effects() == []


def test_faults_are_worded_as_fcm_words_them(sandbox: RunningSandbox, api: httpx.Client):
    for rule, expected in (
        ({"action": "refuse", "code": "UNREGISTERED"}, (404, "UNREGISTERED")),
        ({"action": "server_error", "status": 500}, (500, "INTERNAL")),
        ({"action": "server_error", "status": 503}, (503, "UNAVAILABLE")),
        ({"action": "rate_limited", "retry_after_s": 60}, (429, "QUOTA_EXCEEDED")),
    ):
        sandbox.fault(vendor="fcm", path="messages:send$", **rule)
        answer = send(api)
        assert code_of(answer) == expected
    assert answer.headers["Retry-After"] == "60"
    assert sandbox.effects() == []


def test_a_bearer_is_given_for_an_assertion_of_the_account_alone(sandbox: RunningSandbox):
    account = account_of(sandbox)
    now = int(time.time())
    for claims in (
        {"iss": "somebody@else.example"},
        {"aud": "https://example.org/elsewhere"},
        {"scope": "https://www.googleapis.com/auth/drive"},
        {"iat": now - 7200, "exp": now - 3600},
        {"exp": now + 7200},
    ):
        assert grant(account, **claims).status_code == 400, claims
    stranger = {**account, "private_key": _another_key()}
    assert grant(stranger).json()["error"] == "invalid_grant"
    form = {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "a.b.c"}
    assert httpx.post(account["token_uri"], data=form).json()["error"] == "invalid_grant"
    assert grant(account).status_code == 200


def _another_key() -> str:
    from sandbox.vendors.signing_keys import rsa_private_pem  # noqa: PLC0415 - takes a moment, which only this test needs

    return rsa_private_pem(2)


def test_a_bearer_dies_and_none_may_send_without_one(sandbox: RunningSandbox):
    url = f"{sandbox.url}/fcm{_PATH}"
    sandbox.control.put("/fcm/settings", json={"token_s": 0.001})
    dead = grant(account_of(sandbox)).json()["access_token"]
    for headers in ({}, {"Authorization": f"Bearer {dead}"}, {"Authorization": "Bearer ya29.none"}):
        answer = httpx.post(url, content=json.dumps({"message": message()}), headers=headers)
        assert (answer.status_code, answer.json()["error"]["status"]) == (401, "UNAUTHENTICATED")
    assert sandbox.effects() == []
