"""What must be so at the end of every scenario of a kind, judged from the vendors' books first and ours second. Pure: no I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from sandbox.demo_books import lines_of
from sandbox.demo_expected_alone import OWN, PROVIDERS, Expectation, money_like
from sandbox.demo_run import Ending, Run
from schema.states import BookingState

_ITEMS: Final = ("car", "flight", "hotel")
_LEFT: Final = {BookingState.PARTIALLY_CONFIRMED: ("car", "hotel")}
"""What of it a booking still has that keeps not everything."""


def expectations(run: Run, ending: Ending) -> list[Expectation]:
    """Everything that must be so at the end of this run."""
    expected = [_state(run, ending), _one_order_each(run, ending)]
    expected += _OF_THE_END[run.scenario.ends](run, ending)
    expected += [_authorisations(run, ending), _books_agree(ending), _no_case(ending)]
    if run.scenario.fault is not None:
        expected.append(_fault_struck(run.scenario.fault, ending))
    return expected + OWN[run.scenario.name](run, ending)


def _state(run: Run, ending: Ending) -> Expectation:
    state = ending.booking.state
    return Expectation(text=f"the booking ends as {run.scenario.ends}", met=state == run.scenario.ends, found=state)


def _one_order_each(run: Run, ending: Ending) -> Expectation:
    """Counted over everything the suppliers ever had of this booking, cancelled orders included."""
    orders = Counter(reservation.kind for reservation in ending.books.reservations)
    wanted = {kind: 1 for kind in _ITEMS if run.scenario.ends != BookingState.FAILED or kind != "car"}
    found = ", ".join(f"{count} {kind}" for kind, count in sorted(orders.items())) or "no order"
    text = f"ordered once each, nothing twice: {', '.join(wanted)}"
    return Expectation(text=text, met=orders == wanted, found=found)


def _confirmed(run: Run, ending: Ending) -> list[Expectation]:
    books, booking = ending.books, ending.booking
    items = _LEFT.get(run.scenario.ends, _ITEMS)
    live = [reservation for reservation in books.reservations if reservation.live]
    confirmed = sorted(reservation.kind for reservation in live if reservation.status == "confirmed")
    prices_minor = sum(reservation.price_minor or 0 for reservation in live)
    kept_minor = sum(payment.captured_minor - payment.refunded_minor for payment in books.payments)
    found = f"kept {kept_minor}, prices {prices_minor}, our total {booking.total.amount_minor} (minor units)"
    return [
        Expectation(
            text=f"the suppliers have of this booking exactly this confirmed, one each: {', '.join(items)}",
            met=confirmed == list(items) and len(live) == len(items),
            found=", ".join(confirmed) or "nothing",
        ),
        Expectation(
            text=f"{PROVIDERS[run.scenario.provider]} kept exactly the sum of the suppliers' prices, which is our total",
            met=kept_minor == prices_minor == booking.total.amount_minor and kept_minor > 0,
            found=found,
        ),
        Expectation(
            text="the traveller agreed to it beforehand",
            met=0 < kept_minor <= booking.consent_limit.amount_minor,
            found=f"{money_like(kept_minor, booking.total)}, at most {booking.consent_limit}",
        ),
    ]


def _undone(run: Run, ending: Ending) -> list[Expectation]:
    books = ending.books
    live = [reservation.kind for reservation in books.reservations if reservation.live]
    captured_minor = sum(payment.captured_minor for payment in books.payments)
    reserved_minor = sum(payment.authorised_minor for payment in books.payments)
    kinds = {effect.type for effect in ending.ledger}
    both = {f"{kind}.{what}" for kind in ("flight", "hotel") for what in ("held", "cancelled")}
    return [
        Expectation(text="no reservation is live", met=not live, found=", ".join(live) or "none"),
        Expectation(
            text="the holds of flight and hotel were made, and cancelled",
            met=both <= kinds,
            found=", ".join(sorted(both & kinds)) or "no hold",
        ),
        Expectation(
            text=f"money was reserved at {PROVIDERS[run.scenario.provider]}, and nothing was ever captured",
            met=reserved_minor > 0 and captured_minor == 0 and "payment.captured" not in kinds,
            found=f"reserved {reserved_minor}, captured {captured_minor} (minor units)",
        ),
    ]


def _given_back(run: Run, ending: Ending) -> list[Expectation]:
    """What was confirmed and is cancelled: nothing is live, and only the fee that was told is kept."""
    live = [reservation.kind for reservation in ending.books.reservations if reservation.live]
    payments = ending.books.payments
    captured_minor = sum(payment.captured_minor for payment in payments)
    refunded_minor = sum(payment.refunded_minor for payment in payments)
    total_minor, quoted = ending.booking.total.amount_minor, run.quoted
    told = (quoted.fee.amount_minor, quoted.refund.amount_minor) if quoted else None
    as_told = told == (captured_minor - refunded_minor, refunded_minor) and refunded_minor > 0
    return [
        Expectation(text="no reservation is live", met=not live, found=", ".join(live) or "none"),
        Expectation(
            text=f"{PROVIDERS[run.scenario.provider]} took the total once, and kept just the fee that was told beforehand",
            met=as_told and captured_minor == total_minor,
            found=f"taken {captured_minor}, given back {refunded_minor} (minor units), told {quoted and quoted.fee}",
        ),
    ]


def _authorisations(run: Run, ending: Ending) -> Expectation:
    payments, name = ending.books.payments, PROVIDERS[run.scenario.provider]
    opened = [payment.object_id for payment in payments if payment.authorisation_open]
    return Expectation(
        text=f"one payment, at {name}, and no authorisation left open",
        met=[payment.vendor for payment in payments] == [run.scenario.provider] and not opened,
        found=f"{len(payments)} payment(s), {len(opened)} open",
    )


def _books_agree(ending: Ending) -> Expectation:
    apart = [f"{line.what}: ours {line.ours}, theirs {line.theirs}" for line in lines_of(ending) if not line.agrees]
    text = "our books and the vendors' agree line by line"
    return Expectation(text=text, met=not apart, found="; ".join(apart) or "they agree")


def _no_case(ending: Ending) -> Expectation:
    found = "; ".join(case.reason for case in ending.cases) or "none"
    return Expectation(text="no review case waits for an operator", met=not ending.cases, found=found)


def _fault_struck(planned: Mapping[str, object], ending: Ending) -> Expectation:
    """Without it the scenario would prove nothing."""
    struck = ending.fault.fired if ending.fault is not None else 0
    action = ending.fault.action if ending.fault is not None else "fault"
    once = planned.get("times", 1) == 1
    return Expectation(
        text=f"the planned {action} struck" + (" once" if once else ""),
        met=struck == 1 if once else struck > 0,
        found=f"{struck} times",
    )


_OF_THE_END: Final[dict[BookingState, Callable[[Run, Ending], list[Expectation]]]] = {
    BookingState.CONFIRMED: _confirmed,
    BookingState.PARTIALLY_CONFIRMED: _confirmed,
    BookingState.FAILED: _undone,
    BookingState.CANCELLED: _given_back,
}
