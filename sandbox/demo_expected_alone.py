"""What must be so at the end of one scenario only, beside what must be so of all its kind. Pure: no I/O."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sandbox.demo_run import Booked, Ending, Run
from sandbox.demo_told import DELAY_MINUTES, TOLD_BY, TOLD_OF_CANCELLATION, TOLD_OF_DELAY, told_of
from sandbox.demo_trip_answers import TripSeen
from schema.model import Message
from schema.money import Money
from schema.notifications import NotificationKind
from schema.states import BookingState

PROVIDERS: Final = {"stripe": "Stripe", "paypal": "PayPal"}
"""By code, as people write them."""


class Expectation(Message):
    """One thing that must be so, and what was found."""

    text: str
    met: bool
    found: str


def money_like(amount_minor: int, like: Money) -> Money:
    """In that one's currency."""
    return Money(amount_minor=amount_minor, currency=like.currency)


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
            found=f"{money_like(kept_minor, waited.total)} taken",
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


def _approved_at_paypal(run: Run, ending: Ending) -> list[Expectation]:
    page = run.asked_payer.action.approval_url if run.asked_payer is not None else None
    return [
        Expectation(
            text="the API's answer named PayPal's page",
            met=page is not None and "token=" in page,
            found=page or "no page",
        ),
        *_nothing_before_the_payer(run, ending),
    ]


def _authenticated(run: Run, ending: Ending) -> list[Expectation]:
    secret = run.asked_payer.action.client_secret if run.asked_payer is not None else None
    ids = {payment.object_id for payment in ending.books.payments}
    return [
        Expectation(
            text="the API's answer had the secret with which Stripe's library asks for just this payment",
            met=secret is not None and secret.partition("_secret_")[0] in ids,
            found="it had" if secret else "no secret",
        ),
        *_nothing_before_the_payer(run, ending),
    ]


def _nothing_before_the_payer(run: Run, ending: Ending) -> list[Expectation]:
    asked = run.asked_payer
    state, effects = (asked.booking.state, asked.effects) if asked is not None else (None, ())
    return [
        Expectation(
            text="until the payer had acted, nothing was reserved anywhere",
            met=state == BookingState.AWAITING_PAYMENT and effects == ("payment.action_required",),
            found=f"{state or 'never asked'}; {', '.join(effects) or 'no effect'}",
        ),
        *_total_as_seen(run, ending),
    ]


def _followed_to_its_end(run: Run, ending: Ending) -> list[Expectation]:
    states = [event.state for event in ending.events]
    waited = BookingState.REFUND_PENDING in states and states[-1:] == [BookingState.CANCELLED]
    arrived = [effect for effect in ending.ledger if effect.type == "payment.refunded"]
    after = waited and len(arrived) == 1 and arrived[0].at <= ending.events[-1].created_at
    fee_minor = run.quoted.fee.amount_minor if run.quoted is not None else None
    return [
        Expectation(
            text="the booking was REFUND_PENDING until the money had arrived, and CANCELLED only then",
            met=after,
            found=f"{', then '.join(states[-2:])}; {len(arrived)} refund(s) arrived",
        ),
        _statement(ending, kept_minor=fee_minor, effects=["authorised", "captured", "refunded"]),
        *_total_as_seen(run, ending),
    ]


def _decided_at_the_desk(run: Run, ending: Ending) -> list[Expectation]:
    case, resolved = run.case, run.resolved
    effects = case.effects if case is not None else []
    named = [(effect.vendor, effect.reference, effect.amount) for effect in effects]
    resolution = resolved.resolution if resolved is not None else None
    total_minor = ending.booking.total.amount_minor
    return [
        Expectation(
            text="the case named the one outstanding effect: this payment, and its amount",
            met=named == [("stripe", ending.booking.payments[0].payment_id, ending.booking.total)],
            found="; ".join(f"{reference} at {vendor}, {amount}" for vendor, reference, amount in named) or "no case",
        ),
        Expectation(
            text="the operator's decision is kept with the case, by name",
            met=resolution is not None and (resolution.action, resolution.operator) == ("retry", "operator"),
            found=f"{resolution.action} by {resolution.operator}: {resolution.note}" if resolution else "no decision",
        ),
        Expectation(
            text="the money was taken once, before anybody knew",
            met=[effect.type for effect in ending.ledger].count("payment.captured") == 1,
            found=f"{[effect.type for effect in ending.ledger].count('payment.captured')} captures at Stripe",
        ),
        _statement(ending, kept_minor=total_minor, effects=["authorised", "captured"]),
        *_total_as_seen(run, ending),
    ]


def _told_of_the_delay(run: Run, ending: Ending) -> list[Expectation]:
    if ending.trip is None:
        return [Expectation(text="the trip was looked at", met=False, found="it was not")]
    late = [one for one in ending.trip.itinerary.segments if one.flight and one.flight.delay_minutes]
    found = [f"{one.designator} {one.state}, {one.flight.delay_minutes} minutes late" for one in late if one.flight]
    stands = [(one.details.destination, one.state, one.flight.delay_minutes) for one in late if one.flight]
    disruptions = [(one.kind, one.state) for one in ending.trip.disruptions]
    return [
        Expectation(
            text=f"the itinerary shows the flight there, {DELAY_MINUTES} minutes late, and no other that is",
            met=stands == [(run.scenario.route[1], "confirmed", DELAY_MINUTES)],
            found="; ".join(found) or "everything is on time",
        ),
        Expectation(
            text="one disruption, of which the traveller was informed; there was nothing to choose",
            met=disruptions == [("flight_delayed", "informed")],
            found=", ".join(f"{kind} {state}" for kind, state in disruptions) or "none",
        ),
        _told_once(ending.trip, TOLD_OF_DELAY),
        *_total_as_seen(run, ending),
    ]


def _rebooked(run: Run, ending: Ending) -> list[Expectation]:
    trip, new, offered = ending.trip, ending.rebooking, run.offered
    if trip is None or new is None or offered is None or run.seen_total is None:
        return [Expectation(text="another flight was offered, chosen and booked", met=False, found="it was not")]
    old = next(item for item in ending.booking.items if item.kind == "flight")
    first = offered.alternatives[0]
    stands = {(one.booking_id, one.details.kind, one.state) for one in trip.itinerary.segments}
    as_it_must = {
        (ending.booking.booking_id, "flight", "replaced"),
        (ending.booking.booking_id, "hotel", "confirmed"),
        (ending.booking.booking_id, "car", "confirmed"),
        (new.booking.booking_id, "flight", "confirmed"),
    }
    disruptions = [(one.state, one.chosen, one.rebooking_id) for one in trip.disruptions]
    refunded_minor = sum(payment.refunded_minor for payment in ending.books.payments)
    return [
        Expectation(
            text="the traveller was offered other flights, and the first was booked for the price that was shown",
            met=disruptions == [("rebooked", first.number, new.booking.booking_id)]
            and (new.booking.state, new.booking.total) == (BookingState.CONFIRMED, first.price),
            found=f"{len(offered.alternatives)} offered; {new.booking.state} for {new.booking.total}",
        ),
        _one_flight_paid(new),
        _new_before_old(ending, new),
        Expectation(
            text="all of the old flight's price was given back, as was told",
            met=refunded_minor == old.price.amount_minor == first.refund.amount_minor
            and ending.booking.total == run.seen_total - old.price,
            found=f"{money_like(refunded_minor, old.price)} of {old.price}",
        ),
        Expectation(
            text="the itinerary has the new flight in the old one's place; hotel and car stay",
            met=stands == as_it_must and trip.itinerary.state == "active",
            found=", ".join(f"{kind} {state}" for _, kind, state in sorted(stands)),
        ),
        _told_once(trip, TOLD_OF_CANCELLATION),
    ]


def _one_flight_paid(new: Booked) -> Expectation:
    """By the vendors' books of the new booking alone."""
    orders = [(one.kind, one.status, one.price_minor) for one in new.books.reservations]
    paid = [(one.captured_minor - one.refunded_minor, one.authorisation_open) for one in new.books.payments]
    price_minor = new.booking.total.amount_minor
    return Expectation(
        text="the new flight was ordered once and paid once, and no authorisation is left open",
        met=orders == [("flight", "confirmed", price_minor)] and paid == [(price_minor, False)],
        found=f"{len(orders)} order(s), {', '.join(str(money_like(kept, new.booking.total)) for kept, _ in paid)} kept",
    )


def _new_before_old(ending: Ending, new: Booked) -> Expectation:
    """By the vendors' one clock."""
    had = [one.at for one in new.ledger if one.type in ("flight.ticketed", "payment.captured")]
    gone = [one.at for one in ending.ledger if one.type in ("flight.cancelled", "payment.refunded")]
    both = len(had) == len(gone) == len(("the flight", "its money"))
    return Expectation(
        text="the old flight was given up and refunded only after the new one was ticketed and paid",
        met=both and max(had) < min(gone),
        found=f"{(min(gone) - max(had)).total_seconds():.2f} s after" if had and gone else "one of both never was",
    )


def _told_once(trip: TripSeen, kinds: tuple[NotificationKind, ...]) -> Expectation:
    """By the vendors' own books: each message once, and arrived as far as its vendor can say."""
    told = sorted((line.kind, line.channel, line.theirs) for line in told_of(trip))
    wanted = sorted((kind, channel, theirs) for kind in kinds for channel, theirs in TOLD_BY.items())
    found = ", ".join(f"{kind} by {channel} {theirs}" for kind, channel, theirs in told)
    return Expectation(
        text=f"told once each by e-mail, SMS and push, and nothing else: {', '.join(kinds)}",
        met=told == wanted,
        found=found or "nothing was told",
    )


def _statement(ending: Ending, *, kept_minor: int | None, effects: list[str]) -> Expectation:
    """Our ledger in words: the effects in this order, what is kept in the end, and that it balances."""
    told = [entry.effect for entry in ending.statement.entries]
    kept = [one.captured - one.refunded for one in ending.statement.totals]
    balanced = all(one.balance.amount_minor == 0 for one in ending.statement.totals)
    return Expectation(
        text="the statement tells the same, and balances",
        met=told == effects and [amount.amount_minor for amount in kept] == [kept_minor] and balanced,
        found=f"{', '.join(told)}; kept {', '.join(str(amount) for amount in kept)}",
    )


OWN: Final[dict[str, Callable[[Run, Ending], list[Expectation]]]] = {
    "confirmed": _total_as_seen,
    "sold-out": _for_this_reason,
    "answer-lost": _found_by_reference,
    "worker-killed": _killed_half_way,
    "price-rise": _asked_for_consent,
    "failover": _swapped,
    "paypal": _approved_at_paypal,
    "three-d-secure": _authenticated,
    "refund": _followed_to_its_end,
    "desk": _decided_at_the_desk,
    "flight-late": _told_of_the_delay,
    "flight-off": _rebooked,
}
