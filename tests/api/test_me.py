"""How a traveller is told: preferences, devices, and the list of what was told."""

from uuid import uuid4

import pytest

from schema.notifications import notification_id_for
from schema.references import new_id
from store import devices, notifications
from store.database import Database
from store.notifications import NewRow
from tests.api.conftest import Caller, Minting

PREFERENCES = "/v1/me/preferences"
DEVICES = "/v1/me/devices"
WISHES = {
    "language": "ja",
    "channels": ["email", "push"],
    "email": "ada@example.com",
    "phone_number": None,
    "quiet_hours": {"starts": "22:00", "ends": "07:30", "time_zone": "Asia/Tokyo"},
}


async def _put(caller: Caller, body: object, key: str | None = None):
    headers = {"Idempotency-Key": key or f"key-{uuid4()}"}
    return await caller.http.put(PREFERENCES, json=body, headers=headers)


async def test_who_has_said_nothing_has_the_defaults(caller: Caller) -> None:
    answer = await caller.get(PREFERENCES)
    assert answer.json() == {
        "language": "en",
        "channels": ["email", "sms", "push", "live"],
        "email": None,
        "phone_number": None,
        "quiet_hours": None,
    }


async def test_preferences_are_kept_whole(caller: Caller, mint: Minting) -> None:
    assert (await _put(caller, WISHES)).json() == {"version": 0}
    assert (await caller.get(PREFERENCES)).json() == WISHES
    assert (await _put(caller, {"channels": []})).json() == {"version": 1}
    kept = (await caller.get(PREFERENCES)).json()
    assert (kept["channels"], kept["language"], kept["quiet_hours"]) == ([], "en", None)
    assert (await (await mint()).get(PREFERENCES)).json()["language"] == "en"


async def test_a_repeat_does_not_bring_old_preferences_back(caller: Caller) -> None:
    first = await _put(caller, WISHES, "key-of-the-first")
    await _put(caller, {"language": "en"})
    again = await _put(caller, WISHES, "key-of-the-first")
    assert again.json() == first.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    assert (await caller.get(PREFERENCES)).json()["language"] == "en"
    assert (await _put(caller, {}, "key-of-the-first")).json()["code"] == "idempotency_key_reused"


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"language": "fr"}, "invalid_request", "/language"),
        ({"channels": ["fax"]}, "invalid_request", "/channels/0"),
        ({"email": "nobody"}, "invalid_request", "/email"),
        ({"phone_number": "0123"}, "invalid_request", "/phone_number"),
        ({"loudness": 3}, "unknown_field", "/loudness"),
        (
            {"quiet_hours": {"starts": "22:00", "ends": "07:00", "time_zone": "Mars/Olympus"}},
            "unknown_time_zone",
            "/quiet_hours/time_zone",
        ),
        (
            {"quiet_hours": {"starts": "22:00", "ends": "22:00", "time_zone": "UTC"}},
            "invalid_request",
            "/quiet_hours/ends",
        ),
        (
            {"quiet_hours": {"starts": "24:00", "ends": "22:00", "time_zone": "UTC"}},
            "invalid_request",
            "/quiet_hours/starts",
        ),
    ],
)
async def test_preferences_that_cannot_be_kept_are_refused(
    caller: Caller, body: dict[str, object], code: str, field: str
) -> None:
    answer = await _put(caller, body)
    assert answer.status_code == 422
    assert (answer.json()["code"], answer.json()["field"]) == (code, field)


async def test_a_device_is_registered_once_and_removed_for_good(caller: Caller, database: Database) -> None:
    body = {"token": f"token-{uuid4()}", "platform": "android"}
    made = await caller.post(DEVICES, body)
    assert made.status_code == 201
    device_id = made.json()["device_id"]
    assert (await caller.post(DEVICES, body)).json()["device_id"] == device_id
    assert [one["device_id"] for one in (await caller.get(DEVICES)).json()["devices"]] == [device_id]
    assert body["token"] not in made.text + (await caller.get(DEVICES)).text

    assert (await caller.http.delete(f"{DEVICES}/{device_id}")).status_code == 204
    assert (await caller.http.delete(f"{DEVICES}/{device_id}")).json()["code"] == "not_found"
    assert (await caller.get(DEVICES)).json()["devices"] == []
    async with database.read() as connection:
        assert await devices.token_of(connection, device_id) is None


async def test_a_handset_that_changes_hands_leaves_nothing_behind(caller: Caller, mint: Minting) -> None:
    other = await mint()
    body = {"token": f"token-{uuid4()}", "platform": "ios"}
    mine = (await caller.post(DEVICES, body)).json()["device_id"]
    theirs = (await other.post(DEVICES, body)).json()["device_id"]
    assert mine != theirs
    assert (await caller.get(DEVICES)).json()["devices"] == []
    assert (await other.http.delete(f"{DEVICES}/{mine}")).status_code == 404
    assert (await caller.http.delete(f"{DEVICES}/{theirs}")).status_code == 404


async def test_a_client_has_only_so_many_devices(caller: Caller) -> None:
    for _ in range(devices.MAX_DEVICES):
        assert (await caller.post(DEVICES, {"token": str(uuid4()), "platform": "web"})).status_code == 201
    assert (await caller.post(DEVICES, {"token": str(uuid4()), "platform": "web"})).json()["code"] == "too_many_devices"


async def test_what_was_told_is_listed_page_by_page(caller: Caller, database: Database) -> None:
    booking_id = new_id("b")
    async with database.transaction() as connection:
        rows = [
            NewRow(
                notification_id=notification_id_for(booking_id, "booking_confirmed", revision, "email", ""),
                subject=booking_id,
                kind="booking_confirmed",
                revision=revision,
                channel="email",
                client_id=caller.client_id,
                booking_id=booking_id,
                itinerary_id=None,
                disruption_id=None,
                correlation_id="cor",
                state="skipped",
                reason="by_preference",
                language="en",
            )
            for revision in range(3)
        ]
        await notifications.plan(connection, rows)
    first = (await caller.get("/v1/me/notifications?limit=2")).json()
    second = (await caller.get(f"/v1/me/notifications?limit=2&cursor={first['next_cursor']}")).json()
    found = [*first["notifications"], *second["notifications"]]
    assert {one["notification_id"] for one in found} == {row.notification_id for row in rows}
    assert (found[0]["state"], found[0]["reason"]) == ("skipped", "by_preference")
    assert second["next_cursor"] is None
    assert (await caller.get("/v1/me/notifications?cursor=nonsense")).json()["code"] == "malformed_cursor"


@pytest.mark.parametrize("scopes", [["me:write"], ["me:read"]])
async def test_each_scope_opens_its_own_door(mint: Minting, scopes: list[str]) -> None:
    caller = await mint(scopes)
    may_read = "me:read" in scopes
    assert (await caller.get(PREFERENCES)).status_code == (200 if may_read else 403)
    assert (await caller.get("/v1/me/notifications")).status_code == (200 if may_read else 403)
    assert (await _put(caller, {})).status_code == (403 if may_read else 200)
