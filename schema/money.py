"""Money: integer minor units and an ISO 4217 currency code; never a float."""

from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Annotated, Self

from iso4217 import Currency as IsoCurrency
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from schema.model import Message

MAX_AMOUNT_MINOR = 99_999_999
"""The largest amount Stripe accepts for a charge (eight digits), hence the largest we carry."""


def currency_code(value: str) -> str:
    """The code itself if ISO 4217 knows it and it has minor units; raises ValueError otherwise, whose type is our error code."""
    try:
        exponent = IsoCurrency(value).exponent
    except ValueError:
        raise PydanticCustomError("unknown_currency", "an ISO 4217 code such as EUR is expected") from None
    if exponent is None:
        raise PydanticCustomError("unknown_currency", "this is not a currency one can pay in")
    return value


CurrencyCode = Annotated[str, Field(min_length=3, max_length=3, examples=["EUR"]), AfterValidator(currency_code)]


def exponent_of(currency: str) -> int:
    """Number of decimal places of the currency by ISO 4217: 2 for EUR, 0 for JPY, 3 for KWD."""
    return IsoCurrency(currency_code(currency)).exponent or 0


class Money(Message):
    """An amount in minor units of its currency (cents for EUR, whole yen for JPY)."""

    amount_minor: int
    currency: CurrencyCode

    @classmethod
    def parse(cls, amount: str, currency: str) -> Self:
        """From a decimal string as suppliers send it ("123.40"); raises ValueError if it has more places than the currency."""
        try:
            scaled = Decimal(amount).scaleb(exponent_of(currency))
        except InvalidOperation:
            raise ValueError(f"not an amount: {amount!r}") from None
        if not scaled.is_finite() or scaled != scaled.to_integral_value():
            raise ValueError(f"{amount} is not a whole number of minor units of {currency}")
        return cls(amount_minor=int(scaled), currency=currency)

    @classmethod
    def zero(cls, currency: str) -> Self:
        return cls(amount_minor=0, currency=currency)

    def decimal(self) -> str:
        """The decimal string suppliers expect: "123.40", "500" for yen."""
        return str(Decimal(self.amount_minor).scaleb(-exponent_of(self.currency)))

    def __add__(self, other: "Money") -> "Money":
        return Money(amount_minor=self.amount_minor + self._same(other), currency=self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(amount_minor=self.amount_minor - self._same(other), currency=self.currency)

    def __le__(self, other: "Money") -> bool:
        return self.amount_minor <= self._same(other)

    def __lt__(self, other: "Money") -> bool:
        return self.amount_minor < self._same(other)

    def __str__(self) -> str:
        return f"{self.decimal()} {self.currency}"

    def _same(self, other: "Money") -> int:
        if other.currency != self.currency:
            raise ValueError(f"cannot combine {self.currency} with {other.currency}")
        return other.amount_minor


def total(amounts: Iterable[Money], currency: str) -> Money:
    """The sum, which is zero of that currency for no amounts at all."""
    result = Money.zero(currency)
    for amount in amounts:
        result = result + amount
    return result
