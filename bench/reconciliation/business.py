"""The payments of a made-up month: one after the other at even distances, and what is wrong with a few of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from schema.reconciliation import FindingKind, Outcome
from schema.references import booking_id_for, payment_id_for

Wrong = Literal["amount", "ledger", "stranger", "failed", "unpaid"]
"""`amount`: our books say another one. `ledger`: the capture is not in it. `stranger`: our books have no such booking. `failed`: the
money was kept for a trip that failed. `unpaid`: a confirmed trip that nobody has paid."""

ENDS: Final[dict[Wrong, tuple[FindingKind, Outcome]]] = {
    "amount": ("amount_differs", "case"),
    "ledger": ("ledger_incomplete", "repaired"),
    "stranger": ("paid_without_booking", "case"),
    "failed": ("paid_without_booking", "repaired"),
    "unpaid": ("booked_without_payment", "case"),
}
"""What is found, and what becomes of it."""

CURRENCY: Final = "EUR"
_EVERY_S: Final = 24
"""100,000 payments are a month's."""
_QUIET: Final = timedelta(hours=2)
"""Between the last of them and now: longer than the overlap that every run reads again."""


@dataclass(frozen=True, slots=True)
class Taken:
    """One payment, and its booking."""

    booking_id: str
    payment_id: str
    at: datetime
    amount_minor: int
    wrong: Wrong | None


class Business:
    """`in_all` payments, numbered from 0, oldest first; in each of `bands` (from, to) one of everything is wrong."""

    def __init__(self, in_all: int, bands: list[tuple[int, int]]) -> None:
        self.in_all = in_all
        end = datetime.now(UTC).replace(microsecond=0) - _QUIET
        self._begin = end - in_all * timedelta(seconds=_EVERY_S)
        self._wrong: dict[int, Wrong] = {}
        for first, end_of_band in bands:
            for place, wrong in enumerate(ENDS, 1):
                self._wrong[first + (end_of_band - first) * place // (len(ENDS) + 1)] = wrong

    def at(self, number: int) -> datetime:
        """When it was taken, and its booking settled."""
        return self._begin + number * timedelta(seconds=_EVERY_S)

    def taken(self, first: int, end: int) -> Iterator[Taken]:
        for number in range(first, end):
            booking_id = booking_id_for("bench", f"reconciled-{number}")
            yield Taken(
                booking_id=booking_id,
                payment_id=payment_id_for(booking_id, 0),
                at=self.at(number),
                amount_minor=10_000 + number % 50_000,
                wrong=self._wrong.get(number),
            )

    def wrong_since(self, number: int, end: int) -> dict[str, Wrong]:
        """By booking id, from that payment on."""
        numbers = [each for each in sorted(self._wrong) if number <= each < end]
        return {next(self.taken(each, each + 1)).booking_id: self._wrong[each] for each in numbers}
