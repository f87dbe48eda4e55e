"""Money: whole minor units, by the currency's own exponent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from schema.money import Money, total


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("12.30", "EUR", 1230),
        ("12.3", "EUR", 1230),
        ("500", "JPY", 500),
        ("1.234", "KWD", 1234),
        ("-1.00", "EUR", -100),
    ],
)
def test_decimal_strings_become_minor_units(text: str, currency: str, minor: int) -> None:
    assert Money.parse(text, currency).amount_minor == minor


@pytest.mark.parametrize(
    ("text", "currency"), [("1.234", "EUR"), ("0.5", "JPY"), ("1,00", "EUR"), ("NaN", "EUR"), ("", "EUR")]
)
def test_what_is_not_an_amount_of_the_currency_is_refused(text: str, currency: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # each kind of fault has its own words
        Money.parse(text, currency)


@given(st.integers(-(10**12), 10**12), st.sampled_from(["EUR", "JPY", "KWD"]))
def test_it_survives_its_decimal_string(minor: int, currency: str) -> None:
    money = Money(amount_minor=minor, currency=currency)
    assert Money.parse(money.decimal(), currency) == money


def test_currencies_never_mix() -> None:
    with pytest.raises(ValueError, match="cannot combine"):
        total([Money(amount_minor=1, currency="EUR"), Money(amount_minor=1, currency="USD")], "EUR")


def test_an_unknown_currency_is_refused() -> None:
    with pytest.raises(ValidationError):
        Money(amount_minor=1, currency="XXY")
