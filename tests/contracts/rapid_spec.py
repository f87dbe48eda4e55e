"""Rapid's published contract as a judge of requests and answers."""

from __future__ import annotations

from functools import cache
from typing import Any

import httpx
import pytest
import yaml
from openapi_core import OpenAPI
from openapi_schema_validator import OAS30Validator
from referencing import Registry
from referencing.jsonschema import DRAFT4

from tests.contracts import spec

RAPID = "expedia-rapid/rapid-v3.yaml"
_HOST = "https://test.ean.com"
_ROOT = "urn:rapid"


def require() -> RapidContract:
    """The contract, or a skipped test that says why."""
    if not spec.available(RAPID):
        pytest.skip(f"no {RAPID} in {spec.directory()}: set VENDOR_SPECS to the folder of the vendors' specifications")
    return contract()


@cache
def contract() -> RapidContract:
    """The contract, read once per process: that takes seconds."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    document = yaml.load((spec.directory() / RAPID).read_bytes(), Loader=loader)  # noqa: S506 - both are safe loaders
    _drop_empty_content(document)
    for path, parameter, word in (
        # In the vendor's hold-and-resume guide, not in the enumeration.
        ("/properties/availability", "include", "rooms.rates.holdable"),
        # Named in the parameter's own text, not in its enumeration.
        ("/itineraries", "Test", "complete_payment_session"),
    ):
        for operation in document["paths"][path].values():
            for each in operation["parameters"]:
                if each["name"] == parameter:
                    schema = each["schema"].get("items", each["schema"])
                    schema["enum"].append(word)
    return RapidContract(document)


def _drop_empty_content(document: dict[str, Any]) -> None:
    """`content: {}` of a 204 means that there is none; the validator would ask for a body of no type."""
    for path in document["paths"].values():
        for operation in path.values():
            for answer in operation["responses"].values():
                if answer.get("content") == {}:
                    del answer["content"]


class RapidContract:
    """The OpenAPI document. Its checks raise with every violation in the message."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._contract = spec.Contract(OpenAPI.from_dict(document))
        self._registry = Registry().with_resource(_ROOT, DRAFT4.create_resource(document))

    def check(self, response: httpx.Response, prefix: str) -> None:
        """The answer, and where it is a good one the request too. `prefix` is what our path has before `/v3`."""
        response.read()
        path = response.request.url.path.removeprefix(prefix)
        self.check_response(response, path)
        if response.is_success:
            self.check_request(response.request, path)

    def check_request(self, request: httpx.Request, path: str) -> None:
        self._contract.check_request(request, path, _HOST)

    def check_response(self, response: httpx.Response, path: str) -> None:
        self._contract.check_response(response, path, _HOST)
        if path == "/v3/properties/availability" and response.is_success:
            # The answer's type says only `Property`; which one it is hangs on a discriminator no validator follows.
            for property_found in response.json():
                self.check_object("PropertyAvailability", property_found)

    def check_object(self, name: str, body: object) -> None:
        """An object of the contract."""
        validator = OAS30Validator({"$ref": f"{_ROOT}#/components/schemas/{name}"}, registry=self._registry)
        told = "\n".join(
            f"at {list(error.absolute_path)}: {error.message[:600]}" for error in validator.iter_errors(body)
        )
        assert not told, f"this is no {name} of the contract:\n{told}"
