"""What bounds our calls to one vendor: its circuit, its quota and the budget of retries, as rules on one small document.

Nothing here waits or connects. Each rule is given the document and the moment, in seconds of the clock that all who share the
document use, and leaves it as it is to be from then on. store/traffic.py shares the document.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from pydantic import BaseModel

from schema.settings import OutboundSettings
from schema.traffic import Circuit, Ended, Priority

SLOT_S: Final = 5
"""The last minute is remembered in parts of this length, so that it weighs a few hundred bytes however many calls there were."""
SLOTS: Final = 12
LIMITED_SHARE: Final = 0.5
SEARCH_LEAVES: Final = 0.2
"""The part of a quota that is for bookings only."""
RETRY_SHARE: Final = 0.1
RETRIES_OF_A_QUIET_VENDOR: Final = 3
"""A minute. A tenth of a few calls is none, yet the first failure of a quiet vendor is the one most worth another try."""
_MINUTE_S: Final = 60.0


class Counts(NamedTuple):
    """Calls by how they ended, and how many were sent again."""

    answered: int = 0
    failed: int = 0
    limited: int = 0
    retries: int = 0

    def plus(self, other: "Counts") -> "Counts":
        return Counts(*(one + another for one, another in zip(self, other, strict=True)))

    @property
    def calls(self) -> int:
        return self.answered + self.failed + self.limited


class VendorBook(BaseModel):
    """What is known of one vendor; only the rules below change it."""

    slots: dict[int, Counts] = {}
    """By number of the slot."""
    open_until: float | None = None
    """None: the circuit is closed. A moment that has passed: half open, and the next call is the probe."""
    probe_until: float | None = None
    """While a probe is under way. After it another may be sent, because the process of the first one has died."""
    tokens: float | None = None
    """Of the quota, when last counted; None before the first call."""
    tokens_at: float = 0


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a call may go now: yes, or no because the circuit is open, or not yet because the quota is used up."""

    open_for_s: float | None = None
    wait_s: float = 0
    is_probe: bool = False


def circuit_of(book: VendorBook, now: float) -> Circuit:
    if book.open_until is None:
        return "closed"
    return "open" if now < book.open_until else "half_open"


def last_minute(book: VendorBook, now: float) -> Counts:
    """All that was told in the last minute."""
    oldest = _slot(now) - SLOTS
    total = Counts()
    for number, counts in book.slots.items():
        if number > oldest:
            total = total.plus(counts)
    return total


def tell(book: VendorBook, told: Counts, now: float, settings: OutboundSettings) -> None:
    """Adds calls that have ended, and opens the circuit if the last minute was too bad."""
    oldest = _slot(now) - SLOTS
    book.slots = {number: counts for number, counts in book.slots.items() if number > oldest}
    if not any(told):
        return
    book.slots[_slot(now)] = book.slots.get(_slot(now), Counts()).plus(told)
    if book.open_until is not None:
        return  # these were under way when it opened: only the probe decides now
    seen = last_minute(book, now)
    least = settings.circuit_min_calls
    if seen.calls >= least and seen.limited > LIMITED_SHARE * seen.calls:
        book.open_until = now + settings.circuit_limited_open_s
    elif (judged := seen.answered + seen.failed) >= least and seen.failed > settings.circuit_failure_share * judged:
        book.open_until = now + settings.circuit_open_s


def admit(
    book: VendorBook, now: float, priority: Priority, quota_per_minute: int | None, probe_takes_s: float
) -> Admission:
    """Lets one call go, or says why not. `probe_takes_s`: how long this call can last, should it be the probe."""
    is_probe = False
    if book.open_until is not None:
        free_at = max(book.open_until, book.probe_until or 0)
        if now < free_at:
            return Admission(open_for_s=free_at - now)
        is_probe = True
    if quota_per_minute is not None:
        wait_s = _take_token(book, now, priority, quota_per_minute)
        if wait_s > 0:
            return Admission(wait_s=wait_s)
    if is_probe:
        book.probe_until = now + probe_takes_s
    return Admission(is_probe=is_probe)


def end_probe(book: VendorBook, now: float, ended: Ended, settings: OutboundSettings) -> None:
    """The probe alone decides: its answer closes the circuit and forgets what was before, its failure opens it again."""
    if book.open_until is None:
        return  # somebody else's probe, sent when this one seemed dead, has closed it
    book.probe_until = None
    if ended == "answered":
        book.open_until = None
        book.slots = {}
    elif ended != "abandoned":
        book.open_until = now + (settings.circuit_limited_open_s if ended == "limited" else settings.circuit_open_s)


def take_retry(book: VendorBook, now: float) -> bool:
    """One retry out of the budget, if there is one left."""
    seen = last_minute(book, now)
    if seen.retries >= max(RETRIES_OF_A_QUIET_VENDOR, int(RETRY_SHARE * seen.calls)):
        return False
    book.slots[_slot(now)] = book.slots.get(_slot(now), Counts()).plus(Counts(retries=1))
    return True


def tokens_left(book: VendorBook, now: float, quota_per_minute: int) -> float:
    """The bucket holds a minute's quota and fills evenly."""
    if book.tokens is None:
        return quota_per_minute
    filled = max(0.0, now - book.tokens_at) * quota_per_minute / _MINUTE_S
    return min(float(quota_per_minute), book.tokens + filled)


def wait_for_token_s(book: VendorBook, now: float, priority: Priority, quota_per_minute: int) -> float:
    """0 if there is one for calls of this priority. A waiting booking finds one first: to a search the last ones do not count."""
    needed = 1 + (SEARCH_LEAVES * quota_per_minute if priority == "search" else 0)
    needed = min(needed, quota_per_minute)  # of one a minute nothing can be left
    return max(0.0, needed - tokens_left(book, now, quota_per_minute)) * _MINUTE_S / quota_per_minute


def _take_token(book: VendorBook, now: float, priority: Priority, quota_per_minute: int) -> float:
    wait_s = wait_for_token_s(book, now, priority, quota_per_minute)
    if wait_s == 0:
        book.tokens = tokens_left(book, now, quota_per_minute) - 1
        book.tokens_at = now
    return wait_s


def _slot(now: float) -> int:
    return int(now // SLOT_S)
