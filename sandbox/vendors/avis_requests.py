"""The bodies that Avis Budget takes, closed: a field that nobody knows is a mistake worth hearing of."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

Brand: TypeAlias = Literal["Avis", "Budget", "Payless"]
Text: TypeAlias = Annotated[str, Field(min_length=1)]
CountryCode: TypeAlias = Annotated[str, Field(min_length=2, max_length=2)]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Transaction(_Closed):
    transaction_id: str | None = None


class Product(_Closed):
    brand: Brand
    iata_number: str | None = None


class RateQualifiers(_Closed):
    rate_code: Text
    country_code: CountryCode
    currency: str | None = None
    quote_id: str | None = None


class RateTotals(_Closed):
    requested_rate_currency: str | None = None
    rate: RateQualifiers


class Rental(_Closed):
    """When, where and what; times are local to the desk."""

    pickup_date: datetime
    pickup_location: Text
    dropoff_date: datetime
    dropoff_location: Text
    vehicle_sipp_code: Annotated[str, Field(pattern=r"^[A-Z]{4}$")]


class AgedContact(_Closed):
    age: float | None = None


class AgedCustomer(_Closed):
    contact: AgedContact | None = None


class RateRequest(_Closed):
    """POST /cars/catalog/v2/vehicles/rates"""

    transaction: Transaction = Transaction()
    product: Product
    reservation: Rental
    rate_totals: RateTotals
    customer: AgedCustomer = AgedCustomer()


class BookedRental(Rental):
    email_notification: bool = True
    remark: str | None = None


class Contact(_Closed):
    title: str | None = None
    first_name: Text
    last_name: Text
    email: str | None = None
    telephone: str | None = None
    age: float | None = None
    date_of_birth: date | None = None


class Address(_Closed):
    country_code: CountryCode


class Customer(_Closed):
    contact: Contact
    address: Address | None = None


class PaymentPreference(_Closed):
    type: Literal["Voucher", "CentralBillingAccount", "CustomerPaymentCard", "Cash"]
    id: Annotated[str, Field(pattern=r"^[0-9]{6,8}$")] | None = None
    fixed_value: Literal["FixedValue", "FullCredit", "ACTO"] | None = None
    electronic_indicator: bool | None = None
    amount: Decimal | None = None
    currency: str | None = None


class ReservationRequest(_Closed):
    """POST /cars/reservation/v2"""

    transaction: Transaction = Transaction()
    product: Product
    reservation: BookedRental
    rate_totals: RateTotals
    customer: Customer
    payment_preference: PaymentPreference = PaymentPreference(type="Cash")


class Confirmation(_Closed):
    number: Text


class CancelledRental(_Closed):
    email_notification: bool = True
    confirmation: Confirmation


class NamedContact(_Closed):
    last_name: Text
    email: str | None = None


class NamedCustomer(_Closed):
    contact: NamedContact


class CancelRequest(_Closed):
    """PUT /cars/reservation/v2"""

    transaction: Transaction = Transaction()
    product: Product
    reservation: CancelledRental
    customer: NamedCustomer
