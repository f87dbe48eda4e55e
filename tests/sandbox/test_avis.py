"""The simulated Avis Budget rents out as the real one does: no idempotency, no look-up by reference, prose for terms."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.contracts import avis_spec
from tests.sandbox.conftest import TLS, RunningSandbox, eventually, serve

REFERENCE = "01JAVISAVISAVISAVISAVISAVI01"
PICKUP = (datetime.now(UTC) + timedelta(days=60)).replace(hour=10, minute=0, second=0, microsecond=0, tzinfo=None)
CREDENTIALS = {"client_id": "travelhub-sandbox", "client_secret": "any"}
PAY_LATER, PAY_NOW = "LL", "PN"


@contextmanager
def avis_client(sandbox: RunningSandbox) -> Iterator[httpx.Client]:
    """A client with a token, whose every answer is held against the contract."""
    with httpx.Client(
        verify=TLS,
        base_url=f"{sandbox.url}/avis",
        headers={"client_id": CREDENTIALS["client_id"]},
        timeout=10,
        event_hooks={"response": [lambda answer: avis_spec.contract().check(answer, "/avis")]},
    ) as client:
        token = client.get("/oauth/token/v2", headers=CREDENTIALS).json()
        client.headers["Authorization"] = f"{token['token_type']} {token['access_token']}"
        yield client


@pytest.fixture
def api(sandbox):
    with avis_client(sandbox) as client:
        yield client


def rental(**changes: str) -> dict[str, str]:
    return {
        "pickup_date": PICKUP.isoformat(),
        "pickup_location": "NCE",
        "dropoff_date": (PICKUP + timedelta(days=3)).isoformat(),
        "dropoff_location": "NCE",
        **changes,
    }


def search(api: httpx.Client, brand: str = "Avis", **changes: str) -> httpx.Response:
    return api.get("/cars/catalog/v2/vehicles", params={"brand": brand, "country_code": "FR", **rental(**changes)})


def quote(api: httpx.Client, sipp: str = "CDMR", rate_code: str = PAY_LATER, brand: str = "Avis") -> httpx.Response:
    body = {
        "product": {"brand": brand},
        "reservation": {**rental(), "vehicle_sipp_code": sipp},
        "rate_totals": {"rate": {"rate_code": rate_code, "country_code": "FR"}},
    }
    return api.post("/cars/catalog/v2/vehicles/rates", json=body)


def voucher(total: float, **changes: object) -> dict[str, object]:
    fixed = {"type": "Voucher", "id": "12345678", "fixed_value": "FixedValue", "electronic_indicator": True}
    return {**fixed, "amount": total, "currency": "EUR", **changes}


def book(api: httpx.Client, quoted: httpx.Response, sipp: str = "CDMR", **changes: object) -> httpx.Response:
    answer = quoted.json()
    priced = answer["reservation"]["rate_totals"]
    rate = {"country_code": "FR"} | {name: priced["rate"][name] for name in ("rate_code", "quote_id")}
    body = {
        "transaction": {"transaction_id": "correlation-1"},
        "product": {"brand": answer["product"]["brand"]},
        "reservation": {**rental(), "vehicle_sipp_code": sipp, "remark": REFERENCE},
        "rate_totals": {"rate": rate},
        "customer": {"contact": {"first_name": "Amélie", "last_name": "Dupont", "email": "amelie@example.org"}},
        "payment_preference": voucher(priced["totals"]["reservation_total"]),
        **changes,
    }
    return api.post("/cars/reservation/v2", json=body)


def number_of(booked: httpx.Response) -> str:
    assert booked.status_code == 201, booked.text
    return booked.json()["reservation"]["confirmation"]["number"]


def view(api: httpx.Client, number: str, last_name: str = "DUPONT") -> httpx.Response:
    query = {"brand": "Avis", "confirmation_number": number, "last_name": last_name}
    return api.get("/cars/reservation/v2", params=query)


def cancel(api: httpx.Client, number: str) -> httpx.Response:
    body = {
        "product": {"brand": "Avis"},
        "reservation": {"confirmation": {"number": number}},
        "customer": {"contact": {"last_name": "Dupont"}},
    }
    return api.put("/cars/reservation/v2", json=body)


def error_of(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    return answer.json()["status"]["errors"][0]["code"]


def test_search_quote_book_view_cancel(sandbox: RunningSandbox, api: httpx.Client):
    offer = next(each for each in search(api).json()["vehicles"] if each["category"]["sipp_code"] == "CDMR")
    quoted = quote(api)
    total = quoted.json()["reservation"]["rate_totals"]["totals"]["reservation_total"]
    assert total == offer["rate_totals"]["pay_later"]["reservation_total"] > 0
    booked = book(api, quoted)
    number = number_of(booked)
    seen = view(api, number).json()["reservation"]
    assert seen == booked.json()["reservation"]
    assert (seen["remark"], seen["payment_preference"]["id"]) == (REFERENCE, "12345678")
    (line,) = sandbox.reservations()
    assert (line["vendor"], line["kind"], line["object_id"], line["status"]) == ("avis", "car", number, "confirmed")
    assert line["metadata"] == {"reference": REFERENCE, "voucher": "12345678"}
    assert line["price_minor"] == round(total * 100)
    assert cancel(api, number).status_code == 200
    assert error_of(cancel(api, number), 404) == error_of(view(api, number), 404) == "14036"
    assert [(each["type"], each["amount_minor"]) for each in sandbox.ledger(vendor="avis")] == [
        ("car.booked", line["price_minor"]),
        ("car.cancelled", line["price_minor"]),
    ]


def test_paying_now_is_cheaper_and_gives_nothing_back(sandbox: RunningSandbox, api: httpx.Client):
    later, now = quote(api), quote(api, rate_code=PAY_NOW)
    totals = [each.json()["reservation"]["rate_totals"]["totals"]["reservation_total"] for each in (later, now)]
    assert totals[1] < totals[0]
    assert "nothing is refunded" in now.json()["reservation"]["disclaimers"][-1]["description"]
    cancel(api, number_of(book(api, now)))
    assert sandbox.ledger()[-1]["amount_minor"] == 0
    (line,) = sandbox.reservations()
    assert (line["status"], line["refunded_minor"]) == ("cancelled", 0)


def test_a_repeat_rents_twice_and_no_reference_finds_either(sandbox: RunningSandbox, api: httpx.Client):
    quoted = quote(api)
    assert number_of(book(api, quoted)) != number_of(book(api, quoted))
    assert sandbox.effects() == ["car.booked", "car.booked"]
    assert error_of(view(api, REFERENCE), 400) == "150004"


def test_only_number_and_name_together_show_a_reservation(api: httpx.Client):
    number = number_of(book(api, quote(api)))
    assert view(api, number, "dupont").status_code == 200
    assert error_of(view(api, number, "Durand"), 400) == "150004"


def test_a_lost_answer_is_still_a_car(sandbox: RunningSandbox, api: httpx.Client):
    quoted = quote(api)
    sandbox.fault(vendor="avis", method="POST", path="/cars/reservation/v2$", action="drop_after", contains=REFERENCE)
    with pytest.raises(httpx.TransportError):
        book(api, quoted)
    assert sandbox.effects() == ["car.booked"]


def test_credentials_and_tokens(sandbox: RunningSandbox, api: httpx.Client):
    wrong = {**CREDENTIALS, "client_secret": "a-wrong-one"}
    assert api.get("/oauth/token/v2", headers=wrong).json()["error"] == "invalid_client"
    assert search(api).status_code == 200
    sandbox.control.post("/reset")
    assert search(api).status_code == 200, "a reset is no reason to lose a token"
    refused = api.get("/cars/locations/v2/keyword", headers={"Authorization": "Bearer 1.x"})
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_grant")
    other_client = api.get("/cars/locations/v2/keyword", headers={"client_id": "somebody-else"})
    assert other_client.status_code == 401


def test_desks_of_a_keyword(api: httpx.Client):
    def codes(keyword: str, brand: str = "ALL") -> set[tuple[str, str]]:
        answer = api.get("/cars/locations/v2/keyword", params={"brand": brand, "keyword": keyword})
        return {(desk["brand"], desk["code"]) for desk in answer.json()["locations"]}

    assert codes("nce") == {("Avis", "NCE"), ("Budget", "NCE"), ("Payless", "NCE")}
    assert ("Budget", "NCE") in codes("Nice", "Budget")
    nowhere = api.get("/cars/locations/v2/keyword", params={"brand": "Avis", "keyword": "Atlantis"})
    assert error_of(nowhere, 404) == "609"


def test_brands_differ_and_the_same_question_has_the_same_answer():
    def prices(api: httpx.Client, brand: str) -> dict[str, float]:
        found = search(api, brand).json()["vehicles"]
        return {each["category"]["sipp_code"]: each["rate_totals"]["pay_later"]["reservation_total"] for each in found}

    with serve(seed=7) as first, serve(seed=8) as other, avis_client(first) as api, avis_client(other) as elsewhere:
        assert prices(api, "Avis") == prices(api, "Avis") != prices(elsewhere, "Avis")
        assert prices(api, "Avis").keys() == prices(api, "Budget").keys() > prices(api, "Payless").keys()
        assert prices(api, "Budget")["CDMR"] != prices(api, "Avis")["CDMR"]


def test_a_search_that_finds_nothing(api: httpx.Client):
    for changes, status, code in (
        ({"pickup_location": "QQQ"}, 400, "203"),
        ({"dropoff_location": "QQQ"}, 400, "205"),
        ({"pickup_date": "2020-01-01T10:00:00"}, 400, "231"),
        ({"dropoff_date": PICKUP.isoformat()}, 400, "232"),
        ({"dropoff_date": (PICKUP + timedelta(days=331)).isoformat()}, 400, "221"),
        ({"vehicle_sipp_codes": "XXXX"}, 404, "500708"),
    ):
        assert error_of(search(api, **changes), status) == code


def test_what_a_booking_must_be(sandbox: RunningSandbox, api: httpx.Client):
    quoted = quote(api)
    total = quoted.json()["reservation"]["rate_totals"]["totals"]["reservation_total"]
    for payment, code in (
        (voucher(total - 1), "14220"),
        (voucher(total, currency="USD"), "14220"),
        (voucher(total, fixed_value="FullCredit"), "300111"),
        (voucher(total, id=REFERENCE), "400"),
        ({"type": "CustomerPaymentCard"}, "300102"),
    ):
        assert error_of(book(api, quoted, payment_preference=payment), 400) == code
    assert error_of(book(api, quoted, customer={"contact": {"last_name": "Dupont"}}), 400) == "400"
    assert error_of(book(api, quoted, unknown="field"), 400) == "400"
    assert error_of(quote(api, sipp="XXXX"), 400) == "14022"
    assert error_of(quote(api, rate_code="ZZ"), 400) == "14528"
    assert sandbox.effects() == []


def test_sold_out_lasts(sandbox: RunningSandbox, api: httpx.Client):
    quoted = quote(api)
    sandbox.fault(vendor="avis", method="POST", path="/cars/reservation/v2$", action="sold_out")
    for _ in range(2):
        assert error_of(book(api, quoted), 404) == "223"
    assert error_of(quote(api), 404) == "223"
    assert "CDMR" not in {each["category"]["sipp_code"] for each in search(api).json()["vehicles"]}
    assert sandbox.effects() == []


def test_the_price_changes_when_quoted_or_booked(sandbox: RunningSandbox, api: httpx.Client):
    def total(quoted: httpx.Response) -> float:
        return quoted.json()["reservation"]["rate_totals"]["totals"]["reservation_total"]

    first = quote(api)
    sandbox.fault(vendor="avis", path="/rates$", action="price_changed", percent=10)
    second = quote(api)
    assert total(second) == pytest.approx(total(first) * 1.1, abs=0.02)
    assert error_of(book(api, first), 400) == "14528", "a quote is dead once its price has changed"
    sandbox.fault(vendor="avis", method="POST", path="/cars/reservation/v2$", action="price_changed", percent=10)
    assert error_of(book(api, second), 400) == "14528"
    number_of(book(api, quote(api)))
    assert sandbox.effects() == ["car.booked"]


def test_a_declined_payment(sandbox: RunningSandbox, api: httpx.Client):
    sandbox.fault(vendor="avis", path="/cars/reservation/v2$", action="decline")
    assert error_of(book(api, quote(api)), 400) == "14220"
    assert sandbox.effects() == []


@pytest.mark.parametrize("denied", [False, True])
def test_a_car_on_request(sandbox: RunningSandbox, api: httpx.Client, denied: bool):
    sandbox.fault(vendor="avis", path="/cars/reservation/v2$", action="accept_later", delay_s=0.7, fail=denied)
    booked = book(api, quote(api))
    category = booked.json()["reservation"]["vehicle"]["category"]
    assert (category["vehicle_status"], category["vehicle_onrequest_status"]) == ("OnRequest", "Pending")
    assert (sandbox.effects(), sandbox.reservations()) == ([], [])
    number = number_of(booked)

    def answered() -> bool:
        status = view(api, number).json()["reservation"]["vehicle"]["category"]["vehicle_onrequest_status"]
        return status == ("Denied" if denied else "Confirmed")

    eventually(answered, "the desk has answered")
    assert sandbox.effects() == ([] if denied else ["car.booked"])


def test_a_request_withdrawn_in_time_never_takes_effect(sandbox: RunningSandbox, api: httpx.Client):
    offers = {
        each["category"]["sipp_code"]: each["category"]["vehicle_status"] for each in search(api).json()["vehicles"]
    }
    assert {status for sipp, status in offers.items() if sipp != "LDAR"} == {"Available"}
    assert offers["LDAR"] == "OnRequest"
    assert cancel(api, number_of(book(api, quote(api, sipp="LDAR"), sipp="LDAR"))).status_code == 200
    assert (sandbox.effects(), sandbox.reservations()) == ([], [])


def test_quotes_expire():
    with serve(seed=7, offer_ttl_s=0.0) as sandbox, avis_client(sandbox) as api:
        assert error_of(book(api, quote(api)), 400) == "14528"


def test_planned_failures_are_in_the_vendors_words(sandbox: RunningSandbox, api: httpx.Client):
    for rule, status, code in (
        ({"action": "refuse"}, 400, "1005"),
        ({"action": "server_error", "status": 500}, 500, "40018"),
        ({"action": "rate_limited", "retry_after_s": 3}, 429, "429"),
        ({"action": "accept_later"}, 501, "501"),
    ):
        sandbox.fault(vendor="avis", path="/vehicles$", **rule)
        assert error_of(search(api), status) == code
    assert search(api).status_code == 200


def test_what_was_reserved_survives_a_restart(tmp_path):
    database = tmp_path / "world.sqlite"
    with serve(seed=7, database=database) as sandbox, avis_client(sandbox) as api:
        sandbox.fault(vendor="avis", path="/cars/reservation/v2$", action="accept_later", delay_s=0.7)
        number = number_of(book(api, quote(api)))
    with serve(seed=7, database=database) as sandbox, avis_client(sandbox) as api:
        eventually(lambda: sandbox.effects() == ["car.booked"], "the desk has answered after the restart")
        assert view(api, number).status_code == 200
