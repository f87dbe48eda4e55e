"""Our books beside the vendors', line by line, and one timeline of everything that happened to a booking. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sandbox.demo_answers import Effect, ItemSeen, PaymentSeen, VendorPayment, VendorReservation
from sandbox.demo_run import Booked, Ending, Happening
from sandbox.demo_told import told_of
from sandbox.demo_trip_answers import TripSeen
from schema.model import Message
from schema.money import Money
from schema.references import item_reference
from schema.states import ItemState, PaymentState

_NOTHING: Final = "nothing"
_SHOWN_OF_AN_ID: Final = 12


class BookLine(Message):
    """One thing as we have it and as its vendor has it. The amounts: what a live reservation costs, what of a payment was taken
    and not given back."""

    what: str
    vendor: str
    object_id: str | None
    ours: str
    ours_minor: int
    theirs: str
    theirs_minor: int
    currency: str
    agrees: bool


class Moment(Message):
    """One line of the timeline."""

    at: datetime
    seconds: float
    """Since the traveller asked for the trip."""
    who: str
    what: str


def lines_of(ending: Ending) -> list[BookLine]:
    """Every item, every payment, and whatever the vendors have beyond those; then the same of what was booked in its place."""
    lines = _lines(ending)
    if ending.rebooking is not None:
        lines += [line.model_copy(update={"what": f"new {line.what}"}) for line in _lines(ending.rebooking)]
    return lines


def _lines(ending: Booked) -> list[BookLine]:
    unclaimed = list(ending.books.reservations)
    lines: list[BookLine] = []
    for item in ending.booking.items:
        reference = item_reference(ending.booking.booking_id, item.item_no, len(item.replaces))
        claimed = [one for one in unclaimed if one.reference == reference and one.kind == item.kind]
        unclaimed = [one for one in unclaimed if one not in claimed]
        lines.append(_item_line(item, claimed[0] if claimed else None))
        unclaimed += claimed[1:]
    lines += [_stray_line(reservation) for reservation in unclaimed]
    return lines + _payment_lines(ending)


def _item_line(item: ItemSeen, reservation: VendorReservation | None) -> BookLine:
    ours = item.state in (ItemState.HELD, ItemState.CONFIRMED, ItemState.IN_DOUBT)
    theirs = reservation is not None and reservation.live
    ours_minor = item.price.amount_minor if ours else 0
    theirs_minor = (reservation.price_minor or 0) if reservation and theirs else 0
    status = reservation.status if reservation else _NOTHING
    same = (ours, ours_minor) == (theirs, theirs_minor) and (not ours or item.state.lower() == status)
    return BookLine(
        what=item.kind,
        vendor=reservation.vendor if reservation else "-",
        object_id=reservation.object_id if reservation else None,
        ours=item.state.lower(),
        ours_minor=ours_minor,
        theirs=status,
        theirs_minor=theirs_minor,
        currency=item.price.currency,
        agrees=same and (reservation is None or reservation.currency == item.price.currency),
    )


def _stray_line(reservation: VendorReservation) -> BookLine:
    """Something the vendor has and we do not know of, or have twice."""
    return BookLine(
        what=reservation.kind,
        vendor=reservation.vendor,
        object_id=reservation.object_id,
        ours="not in our books",
        ours_minor=0,
        theirs=reservation.status,
        theirs_minor=reservation.price_minor or 0,
        currency=reservation.currency or "",
        agrees=False,
    )


def _payment_lines(ending: Booked) -> list[BookLine]:
    ours = {payment.payment_id: payment for payment in ending.payments}
    both = [
        _payment_line(ours.pop(str(theirs.metadata.get("payment_id")), None), theirs)
        for theirs in ending.books.payments
    ]
    return both + [_payment_line(payment, None) for payment in ours.values()]


def _payment_line(ours: PaymentSeen | None, theirs: VendorPayment | None) -> BookLine:
    kept_minor = ours.captured.amount_minor - ours.refunded.amount_minor if ours else 0
    their_kept_minor = theirs.captured_minor - theirs.refunded_minor if theirs else 0
    reserved = ours is not None and ours.state == PaymentState.AUTHORISED
    still_reserved = theirs is not None and theirs.authorisation_open
    known_to_both = ours is not None and theirs is not None and ours.authorised.currency == theirs.currency
    return BookLine(
        what="payment",
        vendor=theirs.vendor if theirs else "-",
        object_id=theirs.object_id if theirs else None,
        ours=ours.state.lower() if ours else "not in our books",
        ours_minor=kept_minor,
        theirs=theirs.status if theirs else _NOTHING,
        theirs_minor=their_kept_minor,
        currency=theirs.currency if theirs else (ours.authorised.currency if ours else ""),
        agrees=known_to_both and (reserved, kept_minor) == (still_reserved, their_kept_minor),
    )


def timeline_of(ending: Ending, happenings: list[Happening]) -> list[Moment]:
    """What the traveller did, what we recorded and what the vendors did, in the order of the one clock they share."""
    moments = [(happening.at, "demo", happening.what) for happening in happenings]
    moments += _recorded(ending, "booking")
    if ending.rebooking is not None:
        moments += _recorded(ending.rebooking, "new booking")
    if ending.trip is not None:
        moments += _on_the_way(ending.trip)
    moments.sort(key=lambda moment: moment[0])
    return [
        Moment(at=at, seconds=round((at - moments[0][0]).total_seconds(), 3), who=who, what=what)
        for at, who, what in moments
    ]


def _recorded(ending: Booked, name: str) -> list[tuple[datetime, str, str]]:
    moments: list[tuple[datetime, str, str]] = []
    agreed: Money | None = None
    for event in ending.events:
        words = [f"{name} {event.state}"]
        reason, amount = event.data.get("reason"), event.data.get("total")
        if isinstance(reason, str):
            words.append(f"({reason})")
        if isinstance(amount, dict) and (now := Money.model_validate(amount)) != agreed:
            agreed = now
            words.append(f"total {now}")
        moments.append((event.created_at, "TravelHub", " ".join(words)))
    return moments + [(effect.at, effect.vendor, _told(effect)) for effect in ending.ledger]


def _on_the_way(trip: TripSeen) -> list[tuple[datetime, str, str]]:
    """What befell it, and what was told of it."""
    moments = [(one.opened_at, "TravelHub", f"trip: {_in_words(one.kind)}") for one in trip.disruptions]
    moments += [
        (one.closed_at, "TravelHub", f"trip: {_in_words(one.kind)}, {one.state}")
        for one in trip.disruptions
        if one.closed_at is not None
    ]
    return moments + [
        (line.at, line.vendor, f"{line.channel}: {_in_words(line.kind)}")
        for line in told_of(trip)
        if line.at is not None
    ]


def _in_words(code: str) -> str:
    return code.replace("_", " ")


def _told(effect: Effect) -> str:
    words = effect.type.replace(".", " ").replace("_", " ")
    if effect.amount_minor is not None and effect.currency is not None:
        words += f", {Money(amount_minor=effect.amount_minor, currency=effect.currency)}"
    return f"{words} ({effect.object_id[:_SHOWN_OF_AN_ID]})"
