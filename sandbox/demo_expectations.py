"""What must be so at the end of each scenario, judged from the vendors' books first and ours second. Pure: no I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from sandbox.demo_books import lines_of
from sandbox.demo_scenarios import Ending, Run
from schema.model import Message
from schema.money import Money
from schema.states import CONFIRMED_STATES, BookingState

_ITEMS: Final = ("car", "flight", "hotel")


class Expectation(Message):
    """One thing that must be so, and what was found."""

    text: str
    met: bool
    found: str


def expectations(run: Run, ending: Ending) -> list[Expectation]:
    """Everything that must be so at the end of this run."""
    expected = [_state(run, ending), _one_order_each(run, ending)]
    expected += _confirmed(ending) if run.scenario.ends in CONFIRMED_STATES else _undone(ending)
    expected += [_authorisations(ending), _books_agree(ending), _no_case(ending)]
    if run.scenario.fault is not None:
        expected.append(_fault_struck(ending))
    return expected + _OWN[run.scenario.name](run, ending)


def _state(run: Run, ending: Ending) -> Expectation:
    state = ending.booking.state
    return Expectation(text=f"the booking ends as {run.scenario.ends}", met=state == run.scenario.ends, found=state)


def _one_order_each(run: Run, ending: Ending) -> Expectation:
    """Counted over everything the suppliers ever had of this booking, cancelled orders included."""
    orders = Counter(reservation.kind for reservation in ending.books.reservations)
    wanted = {kind: 1 for kind in _ITEMS if run.scenario.ends in CONFIRMED_STATES or kind != "car"}
    found = ", ".join(f"{count} {kind}" for kind, count in sorted(orders.items())) or "no order"
    text = f"ordered once each, nothing twice: {', '.join(wanted)}"
    return Expectation(text=text, met=orders == wanted, found=found)


def _confirmed(ending: Ending) -> list[Expectation]:
    books, booking = ending.books, ending.booking
    live = [reservation for reservation in books.reservations if reservation.live]
    confirmed = sorted(reservation.kind for reservation in live if reservation.status == "confirmed")
    prices_minor = sum(reservation.price_minor or 0 for reservation in live)
    kept_minor = sum(payment.captured_minor - payment.refunded_minor for payment in books.payments)
    found = f"kept {kept_minor}, prices {prices_minor}, our total {booking.total.amount_minor} (minor units)"
    return [
        Expectation(
            text="the suppliers have exactly a flight, a hotel and a car confirmed",
            met=confirmed == list(_ITEMS) and len(live) == len(_ITEMS),
            found=", ".join(confirmed) or "nothing",
        ),
        Expectation(
            text="Stripe kept exactly the sum of the suppliers' prices, which is our total",
            met=kept_minor == prices_minor == booking.total.amount_minor and kept_minor > 0,
            found=found,
        ),
        Expectation(
            text="the traveller agreed to it beforehand",
            met=0 < kept_minor <= booking.consent_limit.amount_minor,
            found=f"{_euros(kept_minor, booking.total)}, at most {booking.consent_limit}",
        ),
    ]


def _undone(ending: Ending) -> list[Expectation]:
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
            text="money was reserved at Stripe, and nothing was ever captured",
            met=reserved_minor > 0 and captured_minor == 0 and "payment.captured" not in kinds,
            found=f"reserved {reserved_minor}, captured {captured_minor} (minor units)",
        ),
    ]


def _authorisations(ending: Ending) -> Expectation:
    opened = [payment.object_id for payment in ending.books.payments if payment.authorisation_open]
    text = "one payment at Stripe, and no authorisation left open"
    found = f"{len(ending.books.payments)} payment(s), {len(opened)} open"
    return Expectation(text=text, met=len(ending.books.payments) == 1 and not opened, found=found)


def _books_agree(ending: Ending) -> Expectation:
    apart = [f"{line.what}: ours {line.ours}, theirs {line.theirs}" for line in lines_of(ending) if not line.agrees]
    text = "our books and the vendors' agree line by line"
    return Expectation(text=text, met=not apart, found="; ".join(apart) or "they agree")


def _no_case(ending: Ending) -> Expectation:
    found = "; ".join(case.reason for case in ending.cases) or "none"
    return Expectation(text="no review case waits for an operator", met=not ending.cases, found=found)


def _fault_struck(ending: Ending) -> Expectation:
    """Without it the scenario would prove nothing."""
    struck = ending.fault.fired if ending.fault is not None else 0
    action = ending.fault.action if ending.fault is not None else "fault"
    return Expectation(text=f"the planned {action} struck once", met=struck == 1, found=f"{struck} times")


def _euros(amount_minor: int, like: Money) -> Money:
    return Money(amount_minor=amount_minor, currency=like.currency)


# ------------------------------------------------------------------ of one scenario only

_Own = Callable[[Run, Ending], list[Expectation]]


def _total_as_seen(run: Run, ending: Ending) -> list[Expectation]:
    text = "it costs what the search said"
    return [Expectation(text=text, met=ending.booking.total == run.seen_total, found=str(ending.booking.total))]


def _for_this_reason(_run: Run, ending: Ending) -> list[Expectation]:
    reason = ending.booking.reason
    return [Expectation(text="the reason told is sold_out", met=reason == "sold_out", found=reason or "none")]


def _found_by_reference(run: Run, ending: Ending) -> list[Expectation]:
    """The rule counts every request to book this hotel, also those it leaves alone."""
    asked = ending.fault.matched if ending.fault is not None else 0
    text = "the hotel was asked to book once: its booking was found by our reference, not made again"
    return [Expectation(text=text, met=asked == 1, found=f"asked {asked} times"), *_total_as_seen(run, ending)]


def _killed_half_way(run: Run, ending: Ending) -> list[Expectation]:
    killed = run.killed_at
    state = killed.state if killed is not None else None
    effects = set(killed.effects if killed is not None else ())
    done = {effect for effect in effects if not effect.endswith((".held", ".authorised"))}
    half_way = state == BookingState.RESERVING and "flight.held" in effects and not done
    starts = killed.worker_starts if killed is not None else 0
    return [
        Expectation(
            text="the worker was killed half-way: something was held, nothing booked, nothing paid",
            met=half_way,
            found=f"{state or 'not killed'}; {', '.join(sorted(effects)) or 'no effect'}",
        ),
        Expectation(text="the supervisor started the worker again", met=starts > 1, found=f"started {starts} times"),
        *_total_as_seen(run, ending),
    ]


def _asked_for_consent(run: Run, ending: Ending) -> list[Expectation]:
    waited = run.waited_with
    if waited is None or run.seen_total is None:
        return [Expectation(text="the traveller was asked for consent", met=False, found="it never waited")]
    kept_minor = sum(payment.captured_minor - payment.refunded_minor for payment in ending.books.payments)
    return [
        Expectation(
            text="the booking waited because the new total was above consent",
            met=waited.state == BookingState.PRICE_CHANGED
            and waited.consent_limit < waited.total
            and run.seen_total < waited.total,
            found=f"{waited.total} asked, {waited.consent_limit} agreed to",
        ),
        Expectation(
            text="the new total was taken, to the cent",
            met=kept_minor == waited.total.amount_minor and ending.booking.total == waited.total,
            found=f"{_euros(kept_minor, waited.total)} taken",
        ),
    ]


def _swapped(run: Run, ending: Ending) -> list[Expectation]:
    flight = next(item for item in ending.booking.items if item.kind == "flight")
    refused = [f"{one.supplier} ({one.reason}) for {one.price}" for one in flight.replaces]
    sold_by = [one.vendor for one in ending.books.reservations if one.kind == "flight"]
    elsewhere = sold_by == [flight.supplier] and flight.supplier not in {one.supplier for one in flight.replaces}
    return [
        Expectation(
            text="the booking shows what was swapped, and only the other supplier has an order",
            met=[one.reason for one in flight.replaces] == ["sold_out"] and elsewhere,
            found=f"{', '.join(refused) or 'nothing'} became {flight.supplier} for {flight.price}",
        ),
        Expectation(
            text="it costs no more than the search said",
            met=run.seen_total is not None and ending.booking.total <= run.seen_total,
            found=f"{ending.booking.total}, {run.seen_total} seen",
        ),
    ]


_OWN: Final[dict[str, _Own]] = {
    "confirmed": _total_as_seen,
    "sold-out": _for_this_reason,
    "answer-lost": _found_by_reference,
    "worker-killed": _killed_half_way,
    "price-rise": _asked_for_consent,
    "failover": _swapped,
}
