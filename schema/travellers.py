"""Travellers and how they pay: personal data, which stays in PostgreSQL and never enters a workflow's history."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Literal, cast

from pydantic import Discriminator, EmailStr, Field, Tag

from schema.model import ClientMessage

Name = Annotated[str, Field(min_length=1, max_length=60, pattern=r"^[^<>()&\x00-\x1f]+$")]


class Traveller(ClientMessage):
    """A person on the trip, as airlines want them named; the first one is the contact and the driver."""

    title: Literal["mr", "ms", "mrs", "miss", "dr"]
    given_name: Name
    family_name: Name
    gender: Literal["m", "f"]
    date_of_birth: date
    email: Annotated[EmailStr, Field(max_length=254)]
    phone_number: Annotated[str, Field(pattern=r"^\+[1-9][0-9]{6,14}$", examples=["+442080160509"])]


class CardPayment(ClientMessage):
    """A card kept by Stripe: we only ever see the id of the payment method, never a card number."""

    method: Literal["card"] = "card"
    provider: Literal["stripe"] = "stripe"
    payment_method_id: Annotated[str, Field(pattern=r"^pm_[A-Za-z0-9_]{3,80}$", examples=["pm_card_visa"])]


class PayPalPayment(ClientMessage):
    """An account kept by PayPal, or none yet: then the payer approves the payment on PayPal's own page."""

    method: Literal["paypal"]
    provider: Literal["paypal"] = "paypal"
    payment_method_id: Annotated[
        str, Field(pattern=r"^(paypal|vault:[A-Za-z0-9_-]{1,120})$", examples=["paypal", "vault:8kk8451t"])
    ] = "paypal"


def _method_of(value: object) -> object:
    """A card where nothing is said, as before there was a choice."""
    if isinstance(value, Mapping):
        return cast("Mapping[str, object]", value).get("method", "card")
    return getattr(value, "method", "card")


PaymentMethod = Annotated[
    Annotated[CardPayment, Tag("card")] | Annotated[PayPalPayment, Tag("paypal")], Discriminator(_method_of)
]
