"""What an audit finds: for each invariant how much was looked at, and what is wrong, in plain words."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from schema.money import Money


@dataclass(frozen=True, slots=True)
class Violation:
    """One thing that must never happen and has."""

    invariant: int
    booking_id: str | None
    """None: it belongs to no booking of ours."""
    text: str


@dataclass(slots=True)
class Finding:
    """What the check of one invariant found."""

    number: int
    title: str
    checked: int = 0
    """How many things were looked at; nought proves nothing."""
    violations: list[Violation] = field(default_factory=list[Violation])
    excused: list[Violation] = field(default_factory=list[Violation])
    """Broken, and an operator has recorded that we bear it."""
    not_checked: str | None = None
    """Why it could not be checked at all."""

    def broken(self, booking_id: str | None, text: str, *, excused: bool = False) -> None:
        found = self.excused if excused else self.violations
        found.append(Violation(self.number, booking_id, text))


@dataclass(frozen=True)
class AuditReport:
    """The answer of an audit."""

    taken_at: datetime
    findings: Sequence[Finding]
    looked_at: dict[str, int]
    """What was looked at: how many bookings, reservations, payments, ..."""
    notes: Sequence[str] = ()
    """What could not be looked at, in words."""

    @property
    def violations(self) -> list[Violation]:
        return [violation for finding in self.findings for violation in finding.violations]

    @property
    def holds(self) -> bool:
        return not self.violations

    def broken(self) -> set[int]:
        """Numbers of the invariants that do not hold."""
        return {violation.invariant for violation in self.violations}


def told(amount_minor: int, currency: str | None) -> str:
    """An amount for people, also in a currency that a vendor has made up."""
    try:
        return str(Money(amount_minor=amount_minor, currency=currency or ""))
    except ValueError:
        return f"{amount_minor} minor units of {currency or 'no currency'}"
