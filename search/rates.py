"""Prices in another currency: an indication, by which offers are compared and never charged."""

from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Decimal

from schema.money import Money, exponent_of
from schema.searches import LIVE_ABOVE


class Rates:
    """`per_euro`: units of each currency for one euro."""

    def __init__(self, per_euro: Mapping[str, Decimal]) -> None:
        self._per_euro = per_euro
        self._factors: dict[tuple[str, str], Decimal | None] = {}

    def converted(self, price: Money, currency: str) -> Money | None:
        """None where there is no rate."""
        if price.currency == currency:
            return price
        factor = self._factor(price.currency, currency)
        if factor is None:
            return None
        amount_minor = (price.amount_minor * factor).to_integral_value(ROUND_HALF_UP)
        return Money.model_construct(amount_minor=int(amount_minor), currency=currency)

    def must_be_live(self, price: Money) -> bool:
        """C-6c: dear, or in a currency of which nobody can say."""
        converted = self.converted(price, LIVE_ABOVE.currency)
        return converted is None or converted > LIVE_ABOVE

    def _factor(self, currency: str, other: str) -> Decimal | None:
        """From minor units to minor units."""
        known = (currency, other)
        if known not in self._factors:
            of, to = self._per_euro.get(currency), self._per_euro.get(other)
            places = exponent_of(other) - exponent_of(currency)
            self._factors[known] = None if of is None or to is None else (to / of).scaleb(places)
        return self._factors[known]
