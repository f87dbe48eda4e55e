"""The bodies that LiteAPI takes, as far as the sandbox heeds them; what else the contract allows is read over."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel


class _Asked(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, frozen=True)


Text = Annotated[str, Field(min_length=1)]


class Occupancy(_Asked):
    """Who sleeps in one room."""

    adults: Annotated[int, Field(ge=1, le=14)]
    children: tuple[Annotated[int, Field(ge=0, le=17)], ...] = ()


class RatesRequest(_Asked):
    """POST /hotels/rates"""

    hotel_ids: list[str] | None = None
    occupancies: Annotated[list[Occupancy], Field(min_length=1, max_length=8)]
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    guest_nationality: Annotated[str, Field(pattern="^[A-Z]{2}$")]
    checkin: date
    checkout: date
    max_rates_per_hotel: Annotated[int, Field(ge=1)] | None = None
    board_type: str | None = None
    refundable_rates_only: bool = False
    hotel_name: str | None = None
    country_code: str | None = None
    city_name: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    radius: int | None = None
    iata_code: str | None = None
    place_id: str | None = None
    limit: Annotated[int, Field(ge=1, le=5000)] = 200
    offset: Annotated[int, Field(ge=0)] = 0
    include_hotel_data: bool = False


class PrebookRequest(_Asked):
    """POST /rates/prebook"""

    offer_id: Text
    use_payment_sdk: bool


class Holder(_Asked):
    first_name: Text
    last_name: Text
    email: Text
    phone: str


class Guest(_Asked):
    occupancy_number: int
    first_name: Text
    last_name: Text
    email: Text
    phone: str | None = None
    remarks: str | None = None


class Payment(_Asked):
    model_config = ConfigDict(extra="forbid")

    method: Literal["ACC_CREDIT_CARD", "WALLET", "CREDIT"]


class BookRequest(_Asked):
    """POST /rates/book"""

    prebook_id: Text
    client_reference: str | None = None
    holder: Holder
    guests: Annotated[list[Guest], Field(min_length=1)]
    payment: Payment
