"""The body of POST /itineraries: who stays, and who is billed. Source: vendor-specs/expedia-rapid, CreateItineraryRequest."""

import re

from gateways.ports import ReservationRequest
from schema.travellers import Traveller

MAX_NAME_CHARACTERS = 60
_FORBIDDEN = str.maketrans(dict.fromkeys("<>()&", " "))
_THREE_DIGITS = re.compile(r"2[1-689]|3[578]|42|5[09]|6[7-9]|8[03578]|9[679]")
"""How country codes of three digits begin (E.164); every other one has two, but for 1 and 7."""


def itinerary_request(request: ReservationRequest, *, hold: bool, billing_address: dict[str, str]) -> dict[str, object]:
    """One room in the first traveller's name.

    Paid as `affiliate_collect`: we take the traveller's money, Expedia bills us, so no card is sent and the billing contact is our
    own address, which the contract asks for all the same (GB, US and CA with postal_code; US, CA and AU with state_province_code).
    """
    guest = request.travellers[0]
    names: dict[str, object] = {"given_name": plain(guest.given_name), "family_name": plain(guest.family_name)}
    return {
        "affiliate_reference_id": request.reference,
        "hold": hold,
        "email": guest.email,
        "phone": _phone(guest),
        "rooms": [names],
        "payments": [{"type": "affiliate_collect", "billing_contact": {**names, "address": billing_address}}],
    }


def plain(name: str) -> str:
    """Without the characters that Rapid would re-encode, and at most 60 of them."""
    return " ".join(name.translate(_FORBIDDEN).split())[:MAX_NAME_CHARACTERS]


def _phone(traveller: Traveller) -> dict[str, object]:
    digits = traveller.phone_number.removeprefix("+")
    length = 1 if digits[0] in "17" else 3 if _THREE_DIGITS.match(digits) else 2
    return {"country_code": digits[:length], "number": digits[length:]}
