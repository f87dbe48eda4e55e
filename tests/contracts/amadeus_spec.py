"""Amadeus's published contracts as judges of requests and answers: one Swagger 2.0 document for each resource.

Stricter than Swagger where that costs the vendor nothing: a field that the contract does not know is a violation, in
requests and in answers, for no object of these contracts says that it is closed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import date, datetime
from functools import cache
from typing import Any

import httpx
import pytest
from jsonschema import Draft4Validator, FormatChecker
from referencing import Registry
from referencing.jsonschema import DRAFT4

from tests.contracts import spec

HOST = "https://test.api.amadeus.com"
MEDIA_TYPE = "application/vnd.amadeus+json"
_TOKEN = "/v1/security/oauth2/token"
_DOCUMENTS = {
    # Longest path first: pricing is below the search.
    "/v1/shopping/flight-offers/pricing": "amadeus/FlightOffersPrice_v1.json",
    "/v2/shopping/flight-offers": "amadeus/FlightOffersSearch_v2.json",
    "/v1/booking/flight-orders/": "amadeus/FlightOrderManagement_v1.json",
    "/v1/booking/flight-orders": "amadeus/FlightCreateOrders_v1.json",
    "/v2/schedule/flights": "amadeus/OnDemandFlightStatus_v2.json",
    "/v1/reference-data/locations": "amadeus/AirportCitySearch_v1.json",
    _TOKEN: "amadeus/Authorizaton_v1.json",
}
_ROOT = "urn:amadeus"
_FORMATS = FormatChecker(formats=())
_RULES = ("type", "enum", "pattern", "format", "minimum", "maximum")
_TYPED: dict[str, Callable[[str], object]] = {
    "string": str,
    "integer": lambda text: int(text) if re.fullmatch(r"-?\d+", text) else text,
    "boolean": lambda text: {"true": True, "false": False}.get(text, text),
}


@_FORMATS.checks("date", raises=ValueError)
def _is_date(value: object) -> bool:
    return not isinstance(value, str) or bool(date.fromisoformat(value))


@_FORMATS.checks("date-time", raises=ValueError)
def _is_date_time(value: object) -> bool:
    # Local times without a zone, as the contract's own examples have them.
    return not isinstance(value, str) or ("T" in value and bool(datetime.fromisoformat(value)))


def document_of(path: str) -> str:
    """Which document speaks of a path of the vendor, version included."""
    for start, name in _DOCUMENTS.items():
        if path.startswith(start):
            return name
    raise AssertionError(f"no contract of Amadeus knows {path}")


def available() -> bool:
    """Whether the contracts can be read. In CI they must."""
    return all(spec.available(name) for name in _DOCUMENTS.values())


def require() -> None:
    """Skips the test, saying why, where the contracts are not at hand."""
    for name in _DOCUMENTS.values():
        if not spec.available(name):
            pytest.skip(
                f"no {name} in {spec.directory()}: set VENDOR_SPECS to the folder of the vendors' specifications"
            )


def check_request(request: httpx.Request, path: str) -> None:
    """The request as the vendor would judge it. `path` is the vendor's own, without what our base URL puts before it."""
    if path == _TOKEN:
        spec.contract(document_of(path)).check_request(request, path, HOST)
    else:
        _contract(document_of(path)).check_request(request, path)


def check_response(response: httpx.Response, path: str) -> None:
    """The answer as the contract promises it; `path` as in `check_request`."""
    response.read()
    if path == _TOKEN:
        spec.contract(document_of(path)).check_response(response, path, HOST)
    else:
        _contract(document_of(path)).check_response(response, path)


@cache
def _contract(name: str) -> _Contract:
    # A slip in the vendor's pattern of fare bases, which Python warns of.
    return _Contract(json.loads((spec.directory() / name).read_text().replace('"[[A-Z0-9]', '"[A-Z0-9]')))


class _Contract:
    """One Swagger 2.0 document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self._answers = _registry(_closed(document, document, with_read_only=True))
        # What only the vendor says is to a request like any other field that is not there.
        self._requests = _registry(_closed(document, document, with_read_only=False))

    def check_request(self, request: httpx.Request, path: str) -> None:
        what = f"{request.method} {path}"
        pointer, operation = self._operation(request.method, path)
        body = request.read()
        known: set[str] = set()
        for number, listed in enumerate(operation.get("parameters", [])):
            parameter = _resolved(listed, self._document)
            if parameter["in"] == "query":
                known.add(parameter["name"])
                _check_text(request.url.params.get(parameter["name"]), parameter, what)
            elif parameter["in"] == "header":
                _check_text(request.headers.get(parameter["name"]), parameter, what)
            elif parameter["in"] == "body":
                assert request.headers.get("content-type") == MEDIA_TYPE, f"{what} is not {MEDIA_TYPE}"
                _validate(json.loads(body), f"{pointer}/parameters/{number}/schema", self._requests, what)
        unknown = sorted(set(request.url.params) - known)
        assert not unknown, f"{what}: the contract knows no parameters {unknown}"

    def check_response(self, response: httpx.Response, path: str) -> None:
        what = f"{response.status_code} to {response.request.method} {path}"
        pointer, operation = self._operation(response.request.method, path)
        status = str(response.status_code) if str(response.status_code) in operation["responses"] else "default"
        answer = operation["responses"][status]
        if "schema" not in _resolved(answer, self._document):
            assert not response.content, f"{what} has a body"
            return
        assert response.headers.get("content-type") == MEDIA_TYPE, f"{what} is not {MEDIA_TYPE}"
        place = answer.get("$ref", f"{pointer}/responses/{status}")
        _validate(response.json(), f"{place}/schema", self._answers, what)

    def _operation(self, method: str, path: str) -> tuple[str, dict[str, Any]]:
        """The operation, and where in the document it is."""
        below = path.removeprefix(self._document["basePath"])
        for template, operations in self._document["paths"].items():
            if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", template), below) and method.lower() in operations:
                escaped = template.replace("/", "~1").replace("{", "%7B").replace("}", "%7D")
                return f"#/paths/{escaped}/{method.lower()}", operations[method.lower()]
        raise AssertionError(f"the contract knows no {method} {path}")


def _registry(document: dict[str, Any]) -> Registry:
    return Registry().with_resource(_ROOT, DRAFT4.create_resource(document))


def _resolved(node: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """What a reference within the document refers to."""
    while "$ref" in node:
        _, section, name = node["$ref"].split("/")
        node = document[section][name]
    return node


def _closed(node: Any, document: dict[str, Any], *, with_read_only: bool) -> Any:
    """The document with every object closed. What `allOf` adds up becomes one object, or each part would refuse the others."""
    if isinstance(node, list):
        return [_closed(item, document, with_read_only=with_read_only) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("$ref"), str):
        return {"$ref": node["$ref"]}
    schema = _added_up(node, document)
    closed = {name: _closed(value, document, with_read_only=with_read_only) for name, value in schema.items()}
    if isinstance(schema.get("properties"), dict):
        closed["properties"] = {
            name: _closed(value, document, with_read_only=with_read_only)
            for name, value in schema["properties"].items()
            if with_read_only or not value.get("readOnly")
        }
        closed.setdefault("additionalProperties", False)
    return closed


def _added_up(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """The schema with the parts of its `allOf` in it."""
    if not isinstance(schema.get("allOf"), list):
        return schema
    whole: dict[str, Any] = {"type": "object", "properties": {}, "required": []}
    for part in [{**schema, "allOf": None}, *schema["allOf"]]:
        found = _added_up(_resolved(part, document), document)
        whole["properties"] |= found.get("properties", {})
        whole["required"] += found.get("required", [])
    if not whole["required"]:
        del whole["required"]
    return whole


def _check_text(value: str | None, parameter: dict[str, Any], what: str) -> None:
    """A parameter of the query or the headers."""
    if value is None:
        assert not parameter.get("required"), f"{what}: {parameter['name']} is missing"
        return
    items = value.split(",") if parameter["type"] == "array" else [value]
    schema = parameter["items"] if parameter["type"] == "array" else parameter
    rules = {name: rule for name, rule in schema.items() if name in _RULES}
    for item in items:
        typed = _TYPED[schema["type"]](item)
        told = [error.message for error in Draft4Validator(rules, format_checker=_FORMATS).iter_errors(typed)]
        assert not told, f"{what}: {parameter['name']}: {told}"


def _validate(value: object, place: str, registry: Registry, what: str) -> None:
    validator = Draft4Validator({"$ref": f"{_ROOT}{place}"}, registry=registry, format_checker=_FORMATS)
    told = "\n".join(f"at {list(error.absolute_path)}: {error.message[:600]}" for error in validator.iter_errors(value))
    assert not told, f"{what} is not as the contract says:\n{told}"
