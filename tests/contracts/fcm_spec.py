"""FCM's discovery document as a judge of requests and answers, with its schemas closed: an unknown field is a violation."""

from __future__ import annotations

import json
import re
from functools import cache
from typing import Any

import httpx
import pytest
from jsonschema import Draft4Validator
from referencing import Registry
from referencing.jsonschema import DRAFT4

from tests.contracts import spec

DOCUMENT = "fcm/fcm.v1.discovery.json"
_ROOT = "urn:fcm"
_FCM_CODES = {
    "INVALID_ARGUMENT": 400,
    "THIRD_PARTY_AUTH_ERROR": 401,
    "SENDER_ID_MISMATCH": 403,
    "UNREGISTERED": 404,
    "QUOTA_EXCEEDED": 429,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
}


def available() -> bool:
    """Whether the document can be read. In CI it must."""
    return spec.available(DOCUMENT)


def require() -> None:
    """Skips the test, saying why, where the document is not at hand."""
    if not available():
        pytest.skip(
            f"no {DOCUMENT} in {spec.directory()}: set VENDOR_SPECS to the folder of the vendors' specifications"
        )


def check_request(request: httpx.Request, path: str) -> None:
    """The request as the vendor would judge it; `path` is the vendor's own."""
    method = _send_method()
    assert request.method == method["httpMethod"]
    assert _path_fits(path), f"the contract knows no {path}"
    _validate(json.loads(request.read()), method["request"]["$ref"])


def check_response(response: httpx.Response, path: str) -> None:
    """The answer: the contract's where it is a good one, Google's form of errors where not."""
    document = json.loads(response.read())
    if response.is_success:
        assert _path_fits(path), f"the contract knows no {path}"
        _validate(document, _send_method()["response"]["$ref"])
        return
    error = document["error"]
    assert (error["code"], type(error["message"])) == (response.status_code, str)
    assert re.fullmatch("[A-Z_]+", error["status"])
    for detail in error.get("details", []):
        if detail["@type"].endswith("FcmError") and response.status_code not in (502, 504):
            assert _FCM_CODES[detail["errorCode"]] == response.status_code


def _path_fits(path: str) -> bool:
    pattern = _send_method()["parameters"]["parent"]["pattern"].strip("^$")
    return bool(re.fullmatch(f"/v1/{pattern}/messages:send", path))


def _send_method() -> dict[str, Any]:
    return _document()["resources"]["projects"]["resources"]["messages"]["methods"]["send"]


@cache
def _document() -> dict[str, Any]:
    return json.loads((spec.directory() / DOCUMENT).read_text())


@cache
def _registry() -> Registry:
    schemas = {name: _closed(schema) for name, schema in _document()["schemas"].items()}
    return Registry().with_resource(_ROOT, DRAFT4.create_resource({"schemas": schemas}))


def _closed(node: Any) -> Any:
    """A schema of the document in the words of JSON Schema, with every object closed."""
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("$ref"), str):
        return {"$ref": f"#/schemas/{node['$ref']}"}
    if node.get("type") == "any":
        return {}
    # What else there is in a schema says nothing of validity, and some of it has another meaning in JSON Schema.
    kept = {name: node[name] for name in ("type", "enum", "pattern", "items") if name in node}
    closed = {name: _closed(value) for name, value in kept.items()}
    if "properties" in node:
        closed["properties"] = {name: _closed(schema) for name, schema in node["properties"].items()}
        closed["additionalProperties"] = False
    elif "additionalProperties" in node:
        closed["additionalProperties"] = _closed(node["additionalProperties"])
    return closed


def _validate(value: object, name: str) -> None:
    validator = Draft4Validator({"$ref": f"{_ROOT}#/schemas/{name}"}, registry=_registry())
    told = "\n".join(f"at {list(error.absolute_path)}: {error.message[:600]}" for error in validator.iter_errors(value))
    assert not told, f"not a {name} of the contract:\n{told}"
