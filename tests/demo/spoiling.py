"""One thing made wrong in an ending that is as it must be."""

from dataclasses import replace

from sandbox.demo_answers import Effect, VendorReservation
from sandbox.demo_run import Ending
from tests.demo.endings import PRICES, changed, reservation


def with_booking(ending: Ending, **changes) -> Ending:
    return changed(ending, booking=ending.booking.model_copy(update=changes))


def with_money(ending: Ending, **changes) -> Ending:
    payments = [payment.model_copy(update=changes) for payment in ending.books.payments]
    return changed(ending, books=ending.books.model_copy(update={"payments": payments}))


def with_orders(ending: Ending, *more: VendorReservation, but: str | None = None, **changes) -> Ending:
    """One more order; or another status or price of the order of kind `but`."""
    orders = [order.model_copy(update=changes) if order.kind == but else order for order in ending.books.reservations]
    return changed(ending, books=ending.books.model_copy(update={"reservations": [*orders, *more]}))


def with_flight(ending: Ending, **changes) -> Ending:
    items = [item.model_copy(update=changes) if item.kind == "flight" else item for item in ending.booking.items]
    return with_booking(ending, items=items)


def with_statement(ending: Ending, *, without: str = "", **totals) -> Ending:
    statement = ending.statement
    entries = [entry for entry in statement.entries if entry.effect != without]
    changes = {"entries": entries, "totals": [one.model_copy(update=totals) for one in statement.totals]}
    return changed(ending, statement=statement.model_copy(update=changes))


def with_effects(ending: Ending, *more: Effect, but: str = "") -> Ending:
    return changed(ending, ledger=[*(one for one in ending.ledger if one.type != but), *more])


def with_trip(ending: Ending, **changes) -> Ending:
    return changed(ending, trip=ending.trip.model_copy(update=changes))


def with_segments(ending: Ending, of_state: str, kind: str = "flight", **changes) -> Ending:
    segments = [
        one.model_copy(update=changes) if (one.state, one.details.kind) == (of_state, kind) else one
        for one in ending.trip.itinerary.segments
    ]
    return with_trip(ending, itinerary=ending.trip.itinerary.model_copy(update={"segments": segments}))


def with_disruption(ending: Ending, **changes) -> Ending:
    return with_trip(ending, disruptions=[one.model_copy(update=changes) for one in ending.trip.disruptions])


def with_new(ending: Ending, **changes) -> Ending:
    """Something else about the booking that took the flight's place."""
    return changed(ending, rebooking=replace(ending.rebooking, **changes))


def with_new_books(ending: Ending, part: str, **changes) -> Ending:
    """Another order or payment of that booking, at the vendors."""
    books = ending.rebooking.books
    spoilt = {part: [one.model_copy(update=changes) for one in getattr(books, part)]}
    return with_new(ending, books=books.model_copy(update=spoilt))


def another(ending: Ending, kind: str, status: str) -> VendorReservation:
    return reservation(ending.booking.booking_id, kind, status, PRICES[kind])
