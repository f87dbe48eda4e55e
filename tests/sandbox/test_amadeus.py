"""Amadeus as the sandbox plays it: tokens, search, pricing, places. Every answer is checked against the contract by the
client's hook."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise

import httpx
import pytest

from tests.sandbox.amadeus_client import (
    amadeus_client,
    code_of,
    fetch_token,
    price,
    priced,
    query,
    round_trip_body,
    search,
    send,
)
from tests.sandbox.conftest import DEPARTURE, RunningSandbox, eventually, search_flights, serve

OFFERS = "/v2/shopping/flight-offers"
CENT = Decimal("0.01")


@pytest.fixture
def api(sandbox):
    with amadeus_client(sandbox) as http:
        yield http


@pytest.fixture(scope="module")
def reader():
    """A client for tests that only read: one sandbox serves them all."""
    with serve(seed=7) as running, amadeus_client(running) as http:
        yield http


# ------------------------------------------------------------------------------------------------------ at the door


def test_a_token_is_asked_for_in_the_form_and_lives_half_an_hour(reader: httpx.Client):
    token = fetch_token(reader).json()
    assert (token["token_type"], token["expires_in"], token["state"]) == ("Bearer", 1799, "approved")
    refused = fetch_token(reader, client_secret="wrong")
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    refused = fetch_token(reader, grant_type="password")
    assert (refused.status_code, refused.json()["error"]) == (401, "unsupported_grant_type")


def test_nothing_is_told_without_a_living_token(sandbox: RunningSandbox, api: httpx.Client):
    def asked(authorization: str | None) -> httpx.Response:
        headers = {} if authorization is None else {"Authorization": authorization}
        return httpx.get(f"{sandbox.url}/amadeus{OFFERS}", headers=headers)

    assert code_of(asked(None), 401) == 38191
    assert code_of(asked("Basic abc"), 401) == 38191
    assert code_of(asked("Bearer nobody"), 401) == 38190
    assert sandbox.control.put("/amadeus/settings", json={"token_s": 0.05}).status_code == 200
    short = f"Bearer {fetch_token(api).json()['access_token']}"
    eventually(lambda: code_of_or_none(asked(short)) == 38192, "the token expires")
    assert sandbox.control.put("/amadeus/settings", json={"colour": "red"}).status_code == 422


def code_of_or_none(answer: httpx.Response) -> int | None:
    return answer.json()["errors"][0]["code"] if answer.status_code == 401 else None


# ----------------------------------------------------------------------------------------------------------- search


def test_offers_are_plausible_and_cheapest_first(reader: httpx.Client):
    offers = search(reader)
    assert [offer["id"] for offer in offers] == [str(number) for number in range(1, len(offers) + 1)]
    totals = [Decimal(offer["price"]["grandTotal"]) for offer in offers]
    assert totals == sorted(totals)
    assert 100 < totals[0] < totals[-1] < 3000
    assert {offer["pricingOptions"]["refundableFare"] for offer in offers} == {True, False}
    segment_ids: dict[str, str] = {}
    for offer in offers:
        segments = offer["itineraries"][0]["segments"]
        assert (segments[0]["departure"]["iataCode"], segments[-1]["arrival"]["iataCode"]) == ("CDG", "JFK")
        assert segments[0]["departure"]["at"].startswith(DEPARTURE.isoformat())
        for earlier, later in pairwise(segments):
            assert earlier["arrival"]["iataCode"] == later["departure"]["iataCode"]
        for segment in segments:
            name = f"{segment['carrierCode']}{segment['number']}{segment['departure']['at']}"
            assert segment_ids.setdefault(segment["id"], name) == name
        (pricing,) = offer["travelerPricings"]
        assert pricing["price"]["total"] == offer["price"]["total"] == offer["price"]["grandTotal"]
        assert pricing["fareDetailsBySegment"][0]["cabin"] == "ECONOMY"


def test_it_sells_the_other_suppliers_flights_at_prices_of_its_own(sandbox: RunningSandbox, api: httpx.Client):
    # A few days, for which supplier is cheaper on one of them is for the dice.
    ratios = [ratio for day in range(4) for ratio in _ratios(sandbox, api, DEPARTURE + timedelta(days=day))]
    assert min(ratios) < 1 < max(ratios)
    assert Decimal("0.969") < min(ratios) < max(ratios) < Decimal("1.061")
    assert not any("ZZ" in offer["validatingAirlineCodes"] for offer in search(api))


def _ratios(sandbox: RunningSandbox, api: httpx.Client, departure: date) -> list[Decimal]:
    """What each offer of a round trip costs, in what the same flights cost elsewhere."""
    there = {"origin": "CDG", "destination": "JFK", "departure_date": departure.isoformat()}
    back = {"origin": "JFK", "destination": "CDG", "departure_date": (departure + timedelta(days=7)).isoformat()}
    elsewhere = {}
    for offer in search_flights(sandbox, slices=[there, back])["offers"]:
        key = (tuple(part["comparison_key"] for part in offer["slices"]), offer["slices"][0]["fare_brand_name"].upper())
        elsewhere[key] = Decimal(offer["total_amount"])
    ratios = []
    for offer in search(api, departureDate=there["departure_date"], returnDate=back["departure_date"]):
        flights = tuple(
            "-".join(f"{segment['carrierCode']}{segment['number']}" for segment in itinerary["segments"])
            for itinerary in offer["itineraries"]
        )
        brand = offer["travelerPricings"][0]["fareDetailsBySegment"][0]["brandedFare"]
        ratios.append(Decimal(offer["price"]["grandTotal"]) / elsewhere[flights, brand])
    assert 0 < len(ratios) < len(elsewhere)
    return ratios


def test_the_query_is_honoured(reader: httpx.Client):
    every = search(reader)
    assert len(search(reader, max=3)) == 3
    assert {len(offer["itineraries"][0]["segments"]) for offer in every} == {1, 2}
    assert {len(offer["itineraries"][0]["segments"]) for offer in search(reader, nonStop="true")} == {1}
    assert {
        code for offer in search(reader, includedAirlineCodes="AF") for code in offer["validatingAirlineCodes"]
    } == {"AF"}
    assert "AF" not in {offer["validatingAirlineCodes"][0] for offer in search(reader, excludedAirlineCodes="AF")}
    ceiling = int(Decimal(every[1]["price"]["total"])) + 1
    assert len(search(reader, maxPrice=ceiling)) == 2
    business = search(reader, travelClass="BUSINESS")
    assert Decimal(business[0]["price"]["total"]) > 2 * Decimal(every[0]["price"]["total"])
    in_dollars = search(reader, currencyCode="USD")[0]["price"]
    assert in_dollars["currency"] == "USD"
    assert Decimal(in_dollars["total"]) == pytest.approx(
        Decimal(every[0]["price"]["total"]) * Decimal("1.09"), abs=CENT
    )


def test_a_family_by_a_body_with_filters(reader: httpx.Client):
    options = {"pricingOptions": {"includedCheckedBagsOnly": True, "refundableFare": True}}
    restrictions = {"cabinRestrictions": [{"cabin": "BUSINESS", "originDestinationIds": ["1", "2"]}]}
    criteria = {"maxFlightOffers": 5, "flightFilters": restrictions, **options}
    answer = send(reader, OFFERS, round_trip_body(searchCriteria=criteria)).json()
    assert answer["meta"]["count"] == len(answer["data"]) > 1
    for offer in answer["data"]:
        assert len(offer["itineraries"]) == 2
        assert offer["pricingOptions"]["refundableFare"]
        adult, child, infant = offer["travelerPricings"]
        assert infant["associatedAdultId"] == adult["travelerId"]
        shares = [Decimal(each["price"]["total"]) for each in (adult, child, infant)]
        assert sum(shares) == Decimal(offer["price"]["grandTotal"])
        assert shares[0] > shares[1] > shares[2] > 0
        for details in child["fareDetailsBySegment"]:
            assert (details["cabin"], details["includedCheckedBags"]["quantity"] > 0) == ("BUSINESS", True)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"originLocationCode": None}, 32171),
        ({"originLocationCode": "cdg"}, 477),
        ({"originLocationCode": "XXX"}, 4926),
        ({"destinationLocationCode": "CDG"}, 4926),
        ({"departureDate": "2020-01-01"}, 425),
        ({"departureDate": "2030-02-30"}, 477),
        ({"returnDate": (DEPARTURE - timedelta(days=1)).isoformat()}, 425),
        ({"adults": None}, 32171),
        ({"adults": 0}, 477),
        ({"adults": 9, "children": 1}, 10661),
        ({"infants": 2}, 4926),
        ({"travelClass": "CARGO"}, 477),
        ({"currencyCode": "XTS"}, 4926),
        ({"includedAirlineCodes": "AF", "excludedAirlineCodes": "LH"}, 2668),
        ({"colour": "red"}, 477),
    ],
)
def test_a_search_that_makes_no_sense(reader: httpx.Client, change: dict, code: int):
    assert code_of(reader.get(OFFERS, params=query(**change)), 400) == code


def test_a_body_that_makes_no_sense(reader: httpx.Client):
    assert code_of(send(reader, OFFERS, [1]), 400) == 477
    assert code_of(send(reader, OFFERS, round_trip_body(sources=["NDC"])), 400) == 477
    assert code_of(send(reader, OFFERS, round_trip_body(travelers=[])), 400) == 32171
    assert code_of(reader.post(OFFERS, json=round_trip_body()), 400) == 32171


# ---------------------------------------------------------------------------------------------------------- pricing


def test_pricing_confirms_the_offer_and_says_what_the_order_needs(reader: httpx.Client):
    offer = next(each for each in search(reader) if each["pricingOptions"]["refundableFare"])
    answer = price(reader, offer, include="detailed-fare-rules").json()
    (confirmed,) = answer["data"]["flightOffers"]
    assert confirmed["price"]["grandTotal"] == offer["price"]["grandTotal"]
    assert confirmed["price"]["billingCurrency"] == "EUR"
    assert confirmed["itineraries"] == offer["itineraries"]
    (needs,) = answer["data"]["bookingRequirements"]["travelerRequirements"]
    assert (needs["travelerId"], needs["genderRequired"]) == ("1", True)
    notes = [rule["fareNotes"] for rule in answer["included"]["detailed-fare-rules"].values()]
    assert all(Decimal(note["maxPenaltyAmount"]) < Decimal(offer["price"]["total"]) for note in notes)
    # What the client says of the price is not believed.
    forged = {**offer, "price": {**offer["price"], "grandTotal": "1.00"}}
    assert priced(reader, forged)["price"] == confirmed["price"]


def test_pricing_refuses_what_nobody_sells(reader: httpx.Client):
    offer = search(reader)[0]
    changed = {**offer, "itineraries": [{"segments": [{**offer["itineraries"][0]["segments"][0], "number": "1"}]}]}
    assert code_of(price(reader, changed), 400) == 4926
    assert code_of(price(reader, offer, include="lunch"), 400) == 477
    assert code_of(price(reader, {"type": "flight-offer", "id": "1"}), 400) == 32171


def test_sold_out_and_dearer_last(sandbox: RunningSandbox, api: httpx.Client):
    first, second, *_ = search(api)
    sandbox.fault(vendor="amadeus", path="/pricing$", action="sold_out")
    sandbox.fault(vendor="amadeus", path="/pricing$", action="price_changed", percent=8)
    refused = price(api, first)
    assert (code_of(refused, 400), refused.json()["errors"][0]["title"]) == (34651, "SEGMENT SELL FAILURE")
    dearer = Decimal(priced(api, second)["price"]["grandTotal"])
    assert dearer == pytest.approx(Decimal(second["price"]["grandTotal"]) * Decimal("1.08"), abs=CENT)
    assert code_of(price(api, first), 400) == 34651
    assert Decimal(priced(api, second)["price"]["grandTotal"]) == dearer
    assert first["price"]["total"] not in [each["price"]["total"] for each in search(api)]


def test_planned_failures_in_its_own_words(sandbox: RunningSandbox, api: httpx.Client):
    def asked(**rule: object) -> httpx.Response:
        sandbox.fault(vendor="amadeus", path=OFFERS, **rule)
        return api.get(OFFERS, params=query())

    assert code_of(asked(action="refuse"), 400) == 4926
    assert code_of(asked(action="server_error", status=500), 500) == 38189
    assert code_of(asked(action="server_error", status=503), 503) == 141
    limited = asked(action="rate_limited", retry_after_s=3)
    assert (code_of(limited, 429), limited.headers["retry-after"]) == (38194, "3")
    spent = asked(action="rate_limited", code="38195")
    assert (code_of(spent, 429), "retry-after" in spent.headers) == (38195, False)
    assert code_of(asked(action="accept_later"), 501) == 141


# ----------------------------------------------------------------------------------------------------------- places


def test_places_are_found_by_code_and_by_name(reader: httpx.Client):
    def found(**asked: object) -> list[tuple[str, str]]:
        answer = reader.get("/v1/reference-data/locations", params={"subType": "AIRPORT,CITY", **asked}).json()
        return [(place["subType"], place["iataCode"]) for place in answer["data"]]

    assert found(keyword="PAR")[0] == ("CITY", "PAR")
    assert ("AIRPORT", "CDG") in found(keyword="paris", countryCode="FR", **{"page[limit]": 50})
    assert all(kind == "CITY" for kind, _ in found(subType="CITY", keyword="LON"))
    first, second = (found(keyword="San", **{"page[limit]": 5, "page[offset]": offset}) for offset in (0, 5))
    assert len(first) == len(second) == 5
    assert not set(first) & set(second)
    answer = reader.get("/v1/reference-data/locations", params={"subType": "PLANET", "keyword": "MARS"})
    assert code_of(answer, 400) == 572
