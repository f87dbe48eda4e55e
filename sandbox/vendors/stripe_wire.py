"""How Stripe speaks: form bodies in, JSON errors out. Messages and codes follow Stripe's error reference and answers
quoted in public issue threads; the shape of an error is `api_errors` of the published contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeAlias, cast
from urllib.parse import parse_qsl

import orjson
from starlette.responses import Response

from sandbox.world import JsonObject

API_VERSION: Final = "2026-05-27.dahlia"
"""The version of the published contract these answers follow."""

_METADATA_KEYS_MAX: Final = 50
_METADATA_KEY_LENGTH_MAX: Final = 40
_METADATA_VALUE_LENGTH_MAX: Final = 500

FormValue: TypeAlias = "str | dict[str, FormValue]"
Kind: TypeAlias = "str | frozenset[str]"
"""What a parameter may be: `integer`, `boolean`, `string`, `object`, `list`, or one of a set of words."""


class StripeError(Exception):
    """An answer other than 200. `executed` is False for what Stripe refuses before a request starts to run:
    those answers are not kept for the request's Idempotency-Key."""

    def __init__(self, status: int, error_type: str, message: str, *, executed: bool = True, **details: object) -> None:
        super().__init__(message)
        self.status = status
        self.executed = executed
        error: JsonObject = {"message": message, "type": error_type}
        error.update((name, value) for name, value in details.items() if value is not None)
        code = error.get("code")
        if isinstance(code, str):
            error["doc_url"] = f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}"
        self.body = orjson.dumps({"error": error})


def invalid(message: str, *, param: str | None = None, code: str | None = None, executed: bool = False) -> StripeError:
    """400 invalid_request_error; by default one of the parameters' validation, which comes before execution."""
    return StripeError(400, "invalid_request_error", message, executed=executed, param=param, code=code)


def missing(resource: str, object_id: str, param: str, *, status: int = 404) -> StripeError:
    """No object has this id: 404 where the path names it, 400 where a parameter does."""
    return StripeError(
        status, "invalid_request_error", f"No such {resource}: '{object_id}'", code="resource_missing", param=param
    )


def json_response(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """An answer with Stripe's content type."""
    return Response(body, status, headers, media_type="application/json")


def decode_form(body: bytes) -> dict[str, FormValue]:
    """`a[b]=1&c[]=2&c[]=3` as nested dictionaries of strings; `[]` counts up. Lists become lists in `checked`, which
    alone knows whether `x[0]` is the first of a list or the key "0" of a mapping."""
    tree: dict[str, FormValue] = {}
    for name, value in parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True):
        head, bracket, rest = name.partition("[")
        if not bracket:
            tree[name] = value
            continue
        node = tree
        key = head
        for part in rest.removesuffix("]").split("]["):
            child = node.get(key)
            if not isinstance(child, dict):
                child = node[key] = {}
            node = child
            key = part or str(len(node))
        node[key] = value
    return tree


class Parameters:
    """Checked parameters of one request, read by type."""

    def __init__(self, values: dict[str, object]) -> None:
        self._values = values

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str) -> str | None:
        value = self._values.get(name)
        return value or None if isinstance(value, str) else None

    def integer(self, name: str) -> int | None:
        return cast("int | None", self._values.get(name))

    def flag(self, name: str) -> bool:
        return bool(self._values.get(name, False))

    def mapping(self, name: str) -> dict[str, FormValue]:
        value = self._values.get(name)
        return cast("dict[str, FormValue]", value) if isinstance(value, dict) else {}

    def strings(self, name: str) -> list[str]:
        return cast("list[str]", self._values.get(name, []))

    def metadata(self) -> dict[str, str]:
        return {name: value for name, value in self.mapping("metadata").items() if isinstance(value, str) and value}


def checked(form: Mapping[str, FormValue], allowed: Mapping[str, Kind], required: tuple[str, ...] = ()) -> Parameters:
    """The form as typed parameters; raises what Stripe answers to an unknown, missing or malformed one."""
    for name in required:
        if form.get(name, "") == "":
            raise invalid(f"Missing required param: {name}.", param=name, code="parameter_missing")
    values: dict[str, object] = {}
    for name, value in form.items():
        kind = allowed.get(name)
        if kind is None:
            raise invalid(f"Received unknown parameter: {name}", param=name, code="parameter_unknown")
        values[name] = _typed(name, value, kind)
    _check_metadata(form.get("metadata"))
    return Parameters(values)


def _typed(name: str, value: FormValue, kind: Kind) -> object:
    if isinstance(kind, frozenset):
        if value not in kind:
            raise invalid(f"Invalid {name}: must be one of {', '.join(sorted(kind))}", param=name)
        return value
    if kind == "object":
        # The empty string unsets: Stripe's way to send "no metadata" in a form.
        return value if isinstance(value, dict) else {}
    if kind == "list":
        if not isinstance(value, dict):
            raise invalid("Invalid array", param=name)
        return [item for item in value.values() if isinstance(item, str)]
    if not isinstance(value, str):
        # `created` may be a moment or a range; `off_session` a flag or a word: their readers look.
        if kind == "any":
            return value
        raise invalid(f"Invalid {kind}: expected a single value", param=name)
    if kind == "integer":
        if not value.removeprefix("-").isdecimal():
            raise invalid(f"Invalid integer: {value}", param=name, code="parameter_invalid_integer")
        return int(value)
    if kind == "boolean":
        if value not in ("true", "false"):
            raise invalid(f"Invalid boolean: {value}", param=name)
        return value == "true"
    return value


def _check_metadata(metadata: FormValue | None) -> None:
    if not isinstance(metadata, dict):
        return
    if len(metadata) > _METADATA_KEYS_MAX:
        raise invalid(f"Metadata can only have up to {_METADATA_KEYS_MAX} keys.", param="metadata")
    for key, value in metadata.items():
        if len(key) > _METADATA_KEY_LENGTH_MAX or not isinstance(value, str) or len(value) > _METADATA_VALUE_LENGTH_MAX:
            raise invalid(
                f"Metadata keys have up to {_METADATA_KEY_LENGTH_MAX} characters, "
                f"values are strings of up to {_METADATA_VALUE_LENGTH_MAX}.",
                param=f"metadata[{key}]",
            )
