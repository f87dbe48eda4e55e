"""Where hotels are: regions and polygons that lead to property ids, and the content that gives an id a name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

import orjson

from sandbox.vendors.rapid_content import (
    airport_of_region,
    airports_of_code,
    airports_within,
    content_document,
    hotel,
    properties_in_polygon,
    region_document,
)
from sandbox.vendors.rapid_protocol import RapidError, invalid
from sandbox.world import JsonObject

_REGIONS_MAX: Final = 100
_PROPERTIES_MAX: Final = 250


def contents(seed: int, query: Mapping[str, list[str]]) -> JsonObject:
    """GET /properties/content by property_id; `include` names top-level fields."""
    _require(query, "language", "supply_source", "property_id")
    if len(query["property_id"]) > _PROPERTIES_MAX:
        raise invalid("property_id.above_maximum", "At most 250 property ids.", ("property_id", "querystring", ""))
    include = set(query.get("include", [])) | {"property_id"}
    found: JsonObject = {}
    for property_id in query["property_id"]:
        place = hotel(seed, property_id)
        if place is not None:
            document = content_document(place)
            narrowed = {name: value for name, value in document.items() if name in include}
            found[property_id] = narrowed if "include" in query else document
    return found


def regions(query: Mapping[str, list[str]]) -> list[JsonObject]:
    """GET /regions by `iata_location_code` (airport or metropolitan) or by `area=radius_km,latitude,longitude`.
    Of Expedia's regions only the airports are simulated."""
    _require(query, "language", "include")
    include = set(query["include"])
    limit = query.get("limit", [str(_REGIONS_MAX)])[0]
    if not limit.isdecimal():
        raise _wrong("limit", limit)
    if "iata_location_code" in query:
        found = airports_of_code(query["iata_location_code"][0])
    elif "area" in query:
        found = airports_within(*_area(query["area"][0]))
    else:
        raise invalid("area.required", "Ask by iata_location_code or area.", ("area", "querystring", ""))
    return [region_document(airport, include) for airport in found[: min(int(limit), _REGIONS_MAX)]]


def region(region_id: str, query: Mapping[str, list[str]]) -> JsonObject:
    """GET /regions/{region_id}."""
    _require(query, "language", "include")
    airport = airport_of_region(region_id)
    if airport is None:
        raise RapidError(404, "resource_not_found", "Region was not found with provided request.")
    return region_document(airport, set(query["include"]))


def properties_in(seed: int, body: bytes) -> JsonObject:
    """POST /properties/geography: the properties within a GeoJSON polygon."""
    try:
        asked = cast(JsonObject, orjson.loads(body))
        (ring,) = cast("list[list[list[float]]]", asked["coordinates"])
        corners = [(float(longitude), float(latitude)) for longitude, latitude in ring]
    except (ValueError, TypeError, KeyError):
        raise invalid(
            "coordinates.invalid", "A single GeoJSON polygon is required.", ("coordinates", "body", "")
        ) from None
    if asked.get("type") != "Polygon" or len(corners) < 3:
        raise invalid("type.invalid", "A single GeoJSON polygon is required.", ("type", "body", str(asked.get("type"))))
    return {property_id: {"property_id": property_id} for property_id in properties_in_polygon(seed, corners)}


def _area(text: str) -> tuple[float, float, float]:
    try:
        radius_km, latitude, longitude = (float(part) for part in text.split(","))
    except ValueError:
        raise _wrong("area", text) from None
    return radius_km, latitude, longitude


def _require(query: Mapping[str, list[str]], *names: str) -> None:
    for name in names:
        if not any(query.get(name, ())):
            raise invalid(f"{name}.required", f"{name} is required.", (name, "querystring", ""))


def _wrong(name: str, value: str) -> RapidError:
    return invalid(f"{name}.invalid", f"{name} is invalid.", (name, "querystring", value))
