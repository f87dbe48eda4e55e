"""What pydantic and FastAPI found wrong, in our own codes."""

from collections.abc import Sequence
from itertools import pairwise, product
from typing import Final

from pydantic_core import ErrorDetails

from api.problems import MAX_FAULTS, Fault
from schema.errors import REFUSALS

KEY_HEADER: Final = "Idempotency-Key"

_CHOICES: Final = frozenset(product(("payment", "backup_payment"), ("card", "paypal")))
_OUT_OF_RANGE: Final = frozenset(
    {"greater_than", "greater_than_equal", "less_than", "less_than_equal", "int_parsing_size"}
)
_TOO_MANY: Final = frozenset({"too_long", "less_than_equal"})
_NOT_A_CODE: Final = frozenset({"string_too_short", "string_too_long", "string_pattern_mismatch"})
_BY_FIELD: Final = {
    "currency": (_NOT_A_CODE, "unknown_currency"),
    "display_currency": (_NOT_A_CODE, "unknown_currency"),
    "amount_minor": (_OUT_OF_RANGE, "amount_out_of_range"),
    "price_min_minor": (_OUT_OF_RANGE, "amount_out_of_range"),
    "price_max_minor": (_OUT_OF_RANGE, "amount_out_of_range"),
    "travellers": (_TOO_MANY, "too_many_travellers"),
    "offer_id": (_NOT_A_CODE, "unknown_offer"),
    "origin": (_NOT_A_CODE, "unknown_place"),
    "destination": (_NOT_A_CODE, "unknown_place"),
}


def faults_in_body(errors: Sequence[ErrorDetails]) -> list[Fault]:
    """Fields are JSON pointers."""
    return [_in_body(error) for error in errors[:MAX_FAULTS]]


def _in_body(error: ErrorDetails) -> Fault:
    path = [str(part) for part in error["loc"]]
    # A choice of methods puts its own name between a field and what is in it, which no client has sent.
    path = [part for before, part in pairwise(["", *path]) if (before, part) not in _CHOICES]
    named = error.get("ctx", {}).get("field")
    if isinstance(named, str):
        path.append(named)
    if error["type"] == "json_invalid":
        return Fault(code="malformed_json", detail=error["msg"])
    pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)
    return Fault(code=_code(error["type"], path), field=pointer or None, detail=error["msg"])


def _code(error_type: str, path: list[str]) -> str:
    if error_type in REFUSALS:
        return error_type
    if error_type == "extra_forbidden":
        return "unknown_filter" if "filters" in path[:-1] else "unknown_field"
    types, code = _BY_FIELD.get(path[-1] if path else "", (frozenset[str](), ""))
    return code if error_type in types else "invalid_request"


def faults_in_parameters(errors: Sequence[ErrorDetails]) -> list[Fault]:
    """Of the path, the query and the headers; fields are the parameters' names."""
    return [_in_parameter(error) for error in errors[:MAX_FAULTS]]


def _in_parameter(error: ErrorDetails) -> Fault:
    place, *names = [str(part) for part in error["loc"]]
    name = names[-1] if names else place
    if place == "path":
        return Fault(code="malformed_id", field=name, detail="that cannot be an id of ours")
    if place == "header" and name.lower() == KEY_HEADER.lower():
        if error["type"] == "missing":
            return Fault(code="idempotency_key_missing", field=KEY_HEADER, detail="send an Idempotency-Key header")
        return Fault(
            code="idempotency_key_malformed",
            field=KEY_HEADER,
            detail="8 to 255 visible ASCII characters without spaces are expected",
        )
    if error["type"] == "extra_forbidden":
        return Fault(code="unknown_field", field=name, detail="there is no such query parameter")
    if name == "cursor":
        return Fault(code="malformed_cursor", field=name, detail="the cursor is not one of ours")
    return Fault(code="invalid_request", field=name, detail=error["msg"])
