"""Amadeus's search for airports and cities."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from starlette.responses import Response

from sandbox.content import Airport, City, airport_of, airports
from sandbox.vendors.amadeus_http import arguments, ok, refused
from sandbox.vendors.calls import Call
from sandbox.world import JsonObject

_PARAMETERS: Final = ("subType", "keyword", "countryCode", "page[limit]", "page[offset]", "sort", "view")
_URL: Final = "https://test.api.amadeus.com/v1/reference-data/locations"


def find_locations(call: Call) -> Response:
    """GET /v1/reference-data/locations: those whose code is the keyword first, then those whose name begins with it."""
    query = arguments(call, *_PARAMETERS)
    kinds, keyword = query.get("subType", ""), query.get("keyword", "").upper()
    for name, value in (("subType", kinds), ("keyword", keyword)):
        if not value:
            raise refused(32171, f"{name} is missing.", parameter=name)
    if not {"AIRPORT", "CITY"}.issuperset(kinds.split(",")):
        raise refused(572, "AIRPORT, CITY or both.", parameter="subType")
    country = query.get("countryCode")
    found = [
        place
        for place in _places()
        if ("CITY" if isinstance(place, City) else "AIRPORT") in kinds.split(",")
        and country in (None, place.country)
        and (place.code == keyword or any(name.upper().startswith(keyword) for name in _names(place)))
    ]
    found.sort(key=lambda place: (place.code != keyword, place.code))
    limit, offset = _number(query, "page[limit]", 10), _number(query, "page[offset]", 0)
    now = call.world.now()
    return ok(
        {
            "meta": {"count": len(found), "links": {"self": f"{_URL}?{urlencode(dict(query))}"}},
            "data": [_document(place, now) for place in found[offset : offset + limit]],
        }
    )


@lru_cache(maxsize=1)
def _places() -> tuple[Airport | City, ...]:
    """Every airport, and every city: of several airports, or named by its only one."""
    cities = {airport.city.code: airport.city for airport in airports().values() if airport.city}
    single = (airport for airport in airports().values() if airport.city is None)
    alone = {each.code: City(each.code, each.city_name, each.country, (each.code,)) for each in single}
    return (*airports().values(), *(alone | cities).values())


def _names(place: Airport | City) -> Iterator[str]:
    yield place.name
    if isinstance(place, Airport):
        yield place.city.name if place.city else place.city_name


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not text.isdecimal():
        raise refused(477, f"{name} must be a number.", parameter=name)
    return int(text)


def _document(place: Airport | City, now: datetime) -> JsonObject:
    airport = airport_of(place)
    is_city = isinstance(place, City)
    city_name = (airport.city.name if airport.city else airport.city_name).upper()
    name = city_name if is_city else place.name.upper()
    location_id = f"{'C' if is_city else 'A'}{place.code}"
    offset = f"{now.astimezone(ZoneInfo(airport.time_zone)):%z}"
    return {
        "type": "location",
        "subType": "CITY" if is_city else "AIRPORT",
        "name": name,
        "detailedName": f"{city_name}/{place.country}:{name}",
        "id": location_id,
        "self": {"href": f"{_URL}/{location_id}", "methods": ["GET"]},
        "timeZoneOffset": f"{offset[:3]}:{offset[3:]}",
        "iataCode": place.code,
        "geoCode": {"latitude": airport.latitude, "longitude": airport.longitude},
        "address": {
            "cityName": city_name,
            "cityCode": airport.city.code if airport.city else airport.code,
            "countryCode": place.country,
        },
    }
