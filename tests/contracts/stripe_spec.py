"""Stripe's published contract as a judge of requests and answers.

openapi-core cannot decode Stripe's form bodies, so requests are decoded here, along their schema and apart from the
sandbox's own decoder, and judged with the plain schema validator.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from openapi_schema_validator import OAS30Validator
from referencing import Registry
from referencing.jsonschema import DRAFT4

from tests.contracts import spec

STRIPE = "stripe/stripe-payments-trimmed.openapi.json"
_ROOT = "urn:stripe"


def require() -> StripeContract:
    """The contract, or a skipped test that says why."""
    if not spec.available(STRIPE):
        pytest.skip(f"no {STRIPE} in {spec.directory()}: set VENDOR_SPECS to the folder of the vendors' specifications")
    return contract()


@cache
def contract() -> StripeContract:
    """The contract, read once per process."""
    document = _nullable(json.loads((spec.directory() / STRIPE).read_bytes()))
    return StripeContract(document, Registry().with_resource(_ROOT, DRAFT4.create_resource(document)))


@dataclass(frozen=True)
class StripeContract:
    """The OpenAPI document. Its checks raise with every violation in the message."""

    document: dict[str, Any]
    registry: Registry[Any]

    def check(self, response: httpx.Response, prefix: str) -> None:
        """The answer, and where it is a good one the request too. `prefix` is what our path has before `/v1`."""
        response.read()
        request = response.request
        path = request.url.path.removeprefix(prefix)
        self.check_response(request.method, path, response.status_code, response.json())
        if response.is_success:
            form = request.content if request.method == "POST" else request.url.query
            self.check_request(request.method, path, form)

    def check_request(self, method: str, path: str, form: bytes) -> None:
        """A request's form body or query."""
        operation = self._operation(method, path)
        if method == "POST":
            schema = operation["requestBody"]["content"]["application/x-www-form-urlencoded"]["schema"]
        else:
            parameters = [each for each in operation["parameters"] if each["in"] == "query"]
            properties = {each["name"]: each["schema"] for each in parameters}
            schema = {"type": "object", "properties": properties, "additionalProperties": False}
        self._validate(_decoded(form, schema), schema, f"the request {method} {path}")

    def check_response(self, method: str, path: str, status: int, body: object) -> None:
        """An answer's body."""
        responses = self._operation(method, path)["responses"]
        answer = responses.get(str(status)) or responses["default"]
        self._validate(body, answer["content"]["application/json"]["schema"], f"the answer {status} to {method} {path}")

    def check_object(self, name: str, body: object) -> None:
        """An object of the contract, like those in events."""
        self._validate(body, {"$ref": f"#/components/schemas/{name}"}, name)

    def _operation(self, method: str, path: str) -> dict[str, Any]:
        templates = sorted(self.document["paths"], key=lambda template: template.count("{"))
        for template in templates:
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
                return self.document["paths"][template][method.lower()]
        raise AssertionError(f"the contract knows no {path}")

    def _validate(self, value: object, schema: dict[str, Any], what: str) -> None:
        absolute = json.loads(json.dumps(schema).replace('"#/', f'"{_ROOT}#/'))
        errors = list(OAS30Validator(absolute, registry=self.registry).iter_errors(value))
        told = "\n".join(f"at {list(error.absolute_path)}: {error.message[:600]}" for error in errors)
        assert not errors, f"{what} is not as the contract says:\n{told}"


def _nullable(node: Any) -> Any:
    """Stripe writes `nullable` beside `anyOf` and `enum`, and means that null is one of them; strictly read, as the
    validator does, it is not."""
    if isinstance(node, list):
        return [_nullable(item) for item in node]
    if not isinstance(node, dict):
        return node
    schema = {name: _nullable(value) for name, value in node.items()}
    if schema.get("nullable") is True:
        if "anyOf" in schema:
            schema["anyOf"] = [*schema["anyOf"], {"enum": [None]}]
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    return schema


def _decoded(form: bytes, schema: dict[str, Any]) -> Any:
    """A form as the JSON its schema speaks of."""
    tree: dict[str, Any] = {}
    for name, value in parse_qsl(form.decode(), keep_blank_values=True):
        steps = re.findall(r"[^\[\]]+|(?<=\[)(?=\])", name)
        node = tree
        for step in steps[:-1]:
            node = node.setdefault(step, {})
        node[steps[-1] or str(len(node))] = value
    return _shaped(tree, schema)


def _shaped(value: Any, schema: dict[str, Any]) -> Any:
    """Texts become numbers and flags, numbered mappings become lists, where the schema has such."""
    choices = schema.get("anyOf", [schema])
    if isinstance(value, dict):
        lists = [each for each in choices if each.get("type") == "array"]
        if lists:
            return [_shaped(item, lists[0]["items"]) for item in value.values()]
        objects = [each for each in choices if each.get("type") == "object"]
        properties = objects[0].get("properties", {}) if objects else {}
        return {name: _shaped(item, properties.get(name, {})) for name, item in value.items()}
    types = {each.get("type") for each in choices}
    if "integer" in types and re.fullmatch(r"-?\d+", value):
        return int(value)
    if "boolean" in types and value in ("true", "false"):
        return value == "true"
    return value
