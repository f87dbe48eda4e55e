"""A client of the simulated Amadeus whose every answer is held against the contract, and what it asks for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import httpx

from tests.contracts import amadeus_spec
from tests.sandbox.conftest import DEADLINE_S, DEPARTURE, TLS, RunningSandbox

REFERENCE = "01JTESTTESTTESTTESTTESTTES10"
AS_GET = {"X-HTTP-Method-Override": "GET"}
_FORM = {"grant_type": "client_credentials", "client_id": "id", "client_secret": "secret"}


def fetch_token(http: httpx.Client, **changes: str) -> httpx.Response:
    """The answer of the token endpoint."""
    return http.post("/v1/security/oauth2/token", data=_FORM | changes)


def _check(response: httpx.Response) -> None:
    if not amadeus_spec.available():
        return
    path = response.request.url.path.removeprefix("/amadeus")
    amadeus_spec.check_response(response, path)
    if response.is_success:
        amadeus_spec.check_request(response.request, path)


@contextmanager
def amadeus_client(sandbox: RunningSandbox) -> Iterator[httpx.Client]:
    """A client with a token."""
    hooks = {"response": [_check]}
    with httpx.Client(verify=TLS, base_url=f"{sandbox.url}/amadeus", timeout=DEADLINE_S, event_hooks=hooks) as http:
        http.headers["Authorization"] = f"Bearer {fetch_token(http).json()['access_token']}"
        yield http


def send(http: httpx.Client, path: str, body: object) -> httpx.Response:
    """POST in Amadeus's media type; the reading calls with their override."""
    headers = {"Content-Type": amadeus_spec.MEDIA_TYPE, **(AS_GET if "/shopping/" in path else {})}
    return http.post(path, content=json.dumps(body), headers=headers)


def query(**changes: object) -> dict[str, Any]:
    """A search from Paris to New York for one adult; None drops a parameter."""
    asked = {
        "originLocationCode": "CDG",
        "destinationLocationCode": "JFK",
        "departureDate": DEPARTURE.isoformat(),
        "adults": 1,
        **changes,
    }
    return {name: value for name, value in asked.items() if value is not None}


def round_trip_body(**changes: object) -> dict[str, Any]:
    """A search as a body: London to Nice and back, an adult with a child and an infant."""
    days = (DEPARTURE, DEPARTURE + timedelta(days=7))
    ends = (("LON", "NCE"), ("NCE", "LON"))
    return {
        "currencyCode": "EUR",
        "originDestinations": [
            {
                "id": str(number),
                "originLocationCode": origin,
                "destinationLocationCode": destination,
                "departureDateTimeRange": {"date": day.isoformat()},
            }
            for number, ((origin, destination), day) in enumerate(zip(ends, days, strict=True), start=1)
        ],
        "travelers": [
            {"id": "1", "travelerType": "ADULT"},
            {"id": "2", "travelerType": "CHILD"},
            {"id": "3", "travelerType": "HELD_INFANT", "associatedAdultId": "1"},
        ],
        "sources": ["GDS"],
        **changes,
    }


def search(http: httpx.Client, **changes: object) -> list[dict]:
    """The offers of a search by query."""
    answer = http.get("/v2/shopping/flight-offers", params=query(**changes))
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


def price(http: httpx.Client, offer: dict, **parameters: str) -> httpx.Response:
    """The answer of the pricing."""
    path = str(httpx.URL("/v1/shopping/flight-offers/pricing", params=parameters))
    return send(http, path, {"data": {"type": "flight-offers-pricing", "flightOffers": [offer]}})


def priced(http: httpx.Client, offer: dict) -> dict:
    """The offer at its price of now."""
    answer = price(http, offer)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]["flightOffers"][0]


def order_body(offer: dict, **changes: object) -> dict:
    """An order for all travellers of the offer."""
    contact = {
        "emailAddress": "amelie@example.org",
        "phones": [{"deviceType": "MOBILE", "countryCallingCode": "+33", "number": "612345678"}],
    }
    travelers = [
        {
            "id": pricing["travelerId"],
            "dateOfBirth": "1990-04-12",
            "gender": "FEMALE",
            "name": {"firstName": "AMELIE", "lastName": "DUPONT"},
            "contact": contact,
        }
        for pricing in offer["travelerPricings"]
    ]
    remark = {"subType": "GENERAL_MISCELLANEOUS", "text": REFERENCE}
    return {
        "type": "flight-order",
        "flightOffers": [offer],
        "travelers": travelers,
        "remarks": {"general": [remark]},
        "ticketingAgreement": {"option": "CONFIRM"},
        **changes,
    }


def order(http: httpx.Client, offer: dict, **changes: object) -> httpx.Response:
    """The answer to an order of an offer."""
    return send(http, "/v1/booking/flight-orders", {"data": order_body(offer, **changes)})


def booked(http: httpx.Client, **changes: object) -> dict:
    """A made order of the cheapest offer."""
    answer = order(http, priced(http, search(http)[0]), **changes)
    assert answer.status_code == 201, answer.text
    return answer.json()["data"]


def code_of(answer: httpx.Response, status: int) -> int:
    """The code of the one error, whose status must agree with the answer's."""
    (error,) = answer.json()["errors"]
    assert (answer.status_code, error["status"]) == (status, status), answer.text
    return error["code"]
