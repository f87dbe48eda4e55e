"""Lists of payments of the past: every range and cursor gives what reading everything and choosing would give."""

import pytest

from tests.sandbox.test_stripe import api, error_of, intent_of

__all__ = ["api"]

BEGIN = 1_700_000_000
CREATED = [BEGIN, BEGIN + 10, BEGIN + 10, BEGIN + 10, BEGIN + 20, BEGIN + 30]
RANGES = [
    {},
    *({f"created[{name}]": BEGIN + 10} for name in ("gt", "gte", "lt", "lte")),
    {"created": BEGIN + 10},
    {"created[gte]": BEGIN + 10, "created[lt]": BEGIN + 30},
    {"created[gte]": BEGIN + 25, "created[lt]": BEGIN + 15},
]


def payment(created: int, **changes: object) -> dict:
    return {"created": created, "amount": 12_300, "currency": "eur", "metadata": {"payment_id": "pay_1"}, **changes}


@pytest.fixture
def ids(sandbox) -> list[str]:
    """Of the payments in CREATED, oldest first."""
    answer = sandbox.control.post("/stripe/past_payments", json={"payments": [payment(at) for at in CREATED]})
    assert answer.status_code == 201, answer.text
    return answer.json()["payment_intents"]


def kept(created: int, bounds: dict[str, int]) -> bool:
    compare = {
        "created": created.__eq__,
        "created[gt]": created.__gt__,
        "created[gte]": created.__ge__,
        "created[lt]": created.__lt__,
        "created[lte]": created.__le__,
    }
    return all(compare[name](bound) for name, bound in bounds.items())


@pytest.mark.parametrize("limit", [1, 2, 10])
@pytest.mark.parametrize("bounds", RANGES)
def test_pages_forwards_and_backwards(api, ids, bounds, limit):
    expected = [one for one, created in zip(ids, CREATED, strict=True) if kept(created, bounds)][::-1]
    for at in range(len(expected) + 1):
        after = {"starting_after": expected[at - 1]} if at else {}
        page = api.get("/v1/payment_intents", params={**bounds, **after, "limit": limit}).json()
        assert [row["id"] for row in page["data"]] == expected[at : at + limit]
        assert page["has_more"] == (len(expected) > at + limit)
    for at, before in enumerate(expected):
        page = api.get("/v1/payment_intents", params={**bounds, "ending_before": before, "limit": limit}).json()
        assert [row["id"] for row in page["data"]] == expected[max(0, at - limit) : at]
        assert page["has_more"] == (at > limit)


def test_a_cursor_out_of_the_range_is_where_the_range_begins_or_ends(api, ids):
    middle = {"created[gte]": BEGIN + 10, "created[lte]": BEGIN + 20}
    newest, oldest = ids[-1], ids[0]
    page = api.get("/v1/payment_intents", params={**middle, "starting_after": newest}).json()
    assert [row["id"] for row in page["data"]] == ids[4:0:-1]
    page = api.get("/v1/payment_intents", params={**middle, "ending_before": oldest}).json()
    assert [row["id"] for row in page["data"]] == ids[4:0:-1]
    assert api.get("/v1/payment_intents", params={**middle, "starting_after": oldest}).json()["data"] == []
    assert api.get("/v1/payment_intents", params={**middle, "ending_before": newest}).json()["data"] == []


def test_payments_of_the_past_are_payments_like_any_other(api, sandbox, ids):
    shown = intent_of(api.get(f"/v1/payment_intents/{ids[1]}", params={"expand[]": "latest_charge"}))
    assert (shown["status"], shown["amount_received"], shown["created"]) == ("succeeded", 12_300, CREATED[1])
    assert shown["latest_charge"]["amount_captured"] == 12_300
    effects = [effect for effect in sandbox.ledger() if effect["object_id"] == ids[1]]
    assert [effect["type"] for effect in effects] == ["payment.authorised", "payment.captured"]
    assert api.post("/v1/refunds", data={"payment_intent": ids[1], "amount": 300}).json()["status"] == "succeeded"
    (booked,) = [entry for entry in sandbox.control.get("/books").json()["payments"] if entry["object_id"] == ids[1]]
    assert (booked["captured_minor"], booked["refunded_minor"]) == (12_300, 300)


@pytest.mark.parametrize("created", [BEGIN + 29, 4_000_000_000], ids=["before others", "in the future"])
def test_the_past_is_told_in_its_order(sandbox, ids, created):
    answer = sandbox.control.post("/stripe/past_payments", json={"payments": [payment(created)]})
    assert error_of(answer, 400)["param"] == "created"


def test_a_payment_of_the_past_that_makes_no_sense(sandbox):
    answer = sandbox.control.post("/stripe/past_payments", json={"payments": [payment(BEGIN, amount=0)]})
    assert answer.status_code == 422
