"""Signed links to trip pages: whoever has the link sees the trip, and nobody can guess one."""

from typing import Final

from itsdangerous import BadSignature, URLSafeSerializer

_SALT: Final = "trip-page"
"""Keeps these signatures apart from any other that is ever made with the same secret."""


def trip_link(public_url: str, secret: str, itinerary_id: str) -> str:
    """The address of the itinerary's page, with a token that is good for this itinerary only."""
    return f"{public_url.rstrip('/')}/trips/{itinerary_id}?token={_signer(secret).dumps(itinerary_id)}"


def itinerary_of_link(secret: str, token: str) -> str:
    """The itinerary whose page the token opens; raises ValueError for one that was not made with this secret."""
    try:
        itinerary_id: object = _signer(secret).loads(token)
    except BadSignature:
        raise ValueError("the link is not one of ours") from None
    return str(itinerary_id)


def _signer(secret: str) -> URLSafeSerializer:
    return URLSafeSerializer(secret, salt=_SALT)
