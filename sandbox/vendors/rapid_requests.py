"""`CreateItineraryRequest`: what a booking must say, and what Rapid answers when it does not."""

from __future__ import annotations

import re
from typing import Final, cast

import orjson

from sandbox.vendors.rapid_protocol import RapidError, invalid
from sandbox.world import JsonObject

_REFERENCE_LENGTHS: Final = range(3, 29)
_REFERENCE_FORBIDDEN: Final = re.compile(r"[<>()&]")
_EMAIL: Final = re.compile(r"^[^@\s]+@[^@\s.]+(\.[^@\s.]+)+$")
_PAYMENT_TYPES: Final = frozenset({"corporate_card", "customer_card", "virtual_card", "affiliate_collect"})
_METADATA_LENGTH_MAX: Final = 256


def booking_request(body: bytes, rooms: int) -> JsonObject:
    """The parsed body for so many rooms; raises what the contract answers to a bad one."""
    try:
        request = cast(object, orjson.loads(body))
    except orjson.JSONDecodeError:
        raise invalid("request_body.invalid", "The request body is not valid JSON.") from None
    if not isinstance(request, dict):
        raise invalid("request_body.invalid", "The request body is not a JSON object.")
    asked = cast(JsonObject, request)
    _check_reference(asked.get("affiliate_reference_id"))
    if not isinstance(asked.get("hold", False), bool):
        raise _wrong("hold", asked["hold"])
    email = asked.get("email")
    if not isinstance(email, str) or not _EMAIL.match(email):
        raise _wrong("email", email)
    phone = _object(asked, "phone")
    for name in ("country_code", "number"):
        _text(phone, name, "phone.")
    guests = asked.get("rooms")
    if not isinstance(guests, list) or len(cast("list[object]", guests)) != rooms:
        raise invalid("rooms.invalid", f"This link books {rooms} room(s).", ("rooms", "body", ""))
    for guest in cast("list[JsonObject]", guests):
        for name in ("given_name", "family_name"):
            _text(guest, name, "rooms.")
    _check_payments(asked.get("payments"))
    metadata = asked.get("affiliate_metadata", "")
    if not isinstance(metadata, str) or len(metadata) > _METADATA_LENGTH_MAX:
        raise _wrong("affiliate_metadata", metadata)
    return asked


def _check_reference(reference: object) -> None:
    if reference is None:
        return
    if (
        not isinstance(reference, str)
        or len(reference) not in _REFERENCE_LENGTHS
        or _REFERENCE_FORBIDDEN.search(reference)
    ):
        raise _wrong("affiliate_reference_id", reference)


def _check_payments(payments: object) -> None:
    if not isinstance(payments, list) or not payments:
        raise invalid("payments.required", "Payments is required.", ("payments", "body", ""))
    for payment in cast("list[JsonObject]", payments):
        if payment.get("type") not in _PAYMENT_TYPES:
            raise _wrong("type", payment.get("type"), "payments.")
        contact = _object(payment, "billing_contact")
        for name in ("given_name", "family_name"):
            _text(contact, name, "payments.billing_contact.")
        country = _object(contact, "address").get("country_code")
        if not isinstance(country, str) or len(country) != 2:
            raise _wrong("country_code", country, "address.")


def _object(parent: JsonObject, name: str) -> JsonObject:
    value = parent.get(name)
    if not isinstance(value, dict):
        raise invalid(f"{name}.required", f"{name} is required.", (name, "body", ""))
    return cast(JsonObject, value)


def _text(parent: JsonObject, name: str, within: str) -> None:
    value = parent.get(name)
    if not isinstance(value, str) or not value:
        raise invalid(f"{within}{name}.required", f"{within}{name} is required.", (f"{within}{name}", "body", ""))


def _wrong(name: str, value: object, within: str = "") -> RapidError:
    return invalid(f"{within}{name}.invalid", f"{name} is invalid.", (name, "body", str(value)))
