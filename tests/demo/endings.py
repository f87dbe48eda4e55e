"""Endings of the demo's trips with everything as it must be, for tests to spoil."""

from datetime import UTC, datetime, timedelta

from sandbox.demo_client import (
    BookingSeen,
    Effect,
    EventSeen,
    FaultSeen,
    ItemSeen,
    PaymentNamed,
    PaymentSeen,
    Replaced,
    VendorBooks,
    VendorPayment,
    VendorReservation,
)
from sandbox.demo_scenarios import SCENARIOS, Ending, KilledAt, Run, Scenario
from sandbox.demo_searches import DOWN, SEARCHES, SLOW, SUPPLIERS, Arrival, SearchReport
from schema.money import Money
from schema.references import booking_id_for, item_reference, payment_id_for
from schema.states import BookingState, ItemState, PaymentState

SUPPLIER = "supplier"
PRICES = {"flight": 30_000, "hotel": 20_000, "car": 10_000}
START = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


def euros(amount_minor: int) -> Money:
    return Money(amount_minor=amount_minor, currency="EUR")


def scenario_named(name: str) -> Scenario:
    return next(scenario for scenario in SCENARIOS if scenario.name == name)


def good(name: str) -> tuple[Run, Ending]:
    """A run and its ending with everything as it must be."""
    scenario = scenario_named(name)
    booking_id = booking_id_for("demo", scenario.key)
    failed = scenario.ends == BookingState.FAILED
    kinds = ["flight", "hotel"] if failed else list(PRICES)
    seen = sum(PRICES.values())
    asked = seen + 5_000 if name == "price-rise" else seen
    prices = {**PRICES, "flight": PRICES["flight"] + asked - seen}
    swapped = [Replaced(supplier="another", price=euros(PRICES["flight"]), reason="sold_out")]
    replaces = {"flight": swapped} if name == "failover" else {}
    run = Run(scenario, booking_id=booking_id, state=scenario.ends, seen_total=euros(seen), started_s=1.0, ended_s=3.5)
    booking = BookingSeen(
        booking_id=booking_id,
        state=scenario.ends,
        reason="sold_out" if failed else None,
        waiting_for=None,
        total=euros(asked),
        consent_limit=euros(asked),
        items=[
            ItemSeen(
                item_no=number,
                kind=kind,
                supplier=SUPPLIER,
                summary=kind,
                state=ItemState.RELEASED if failed else ItemState.CONFIRMED,
                price=euros(prices[kind]),
                replaces=replaces.get(kind, []),
            )
            for number, kind in enumerate(PRICES, 1)
        ],
        payments=[PaymentNamed(payment_id=payment_id_for(booking_id, 0))],
    )
    if name == "price-rise":
        run.waited_with = booking.model_copy(
            update={"state": BookingState.PRICE_CHANGED, "consent_limit": euros(seen + 1_000)}
        )
    if name == "worker-killed":
        run.killed_at = KilledAt(BookingState.RESERVING, ("payment.authorised", "flight.held"), worker_starts=2)
    return run, Ending(
        booking=booking,
        payments=[
            PaymentSeen(
                payment_id=payment_id_for(booking_id, 0),
                state=PaymentState.VOIDED if failed else PaymentState.CAPTURED,
                authorised=euros(asked),
                captured=euros(0 if failed else asked),
                refunded=euros(0),
            )
        ],
        events=[EventSeen(state=BookingState.PENDING, data={}, created_at=START)],
        books=VendorBooks(
            reservations=[
                reservation(
                    booking_id,
                    kind,
                    "cancelled" if failed else "confirmed",
                    prices[kind],
                    generation=len(replaces.get(kind, [])),
                )
                for kind in kinds
            ],
            payments=[
                VendorPayment(
                    vendor="stripe",
                    object_id="pi_1",
                    metadata={"payment_id": payment_id_for(booking_id, 0)},
                    status="canceled" if failed else "succeeded",
                    authorised_minor=asked,
                    captured_minor=0 if failed else asked,
                    refunded_minor=0,
                    currency="EUR",
                    authorisation_open=False,
                )
            ],
        ),
        ledger=[
            effect(f"{kind}.{what}", seconds)
            for seconds, (kind, what) in enumerate((kind, what) for what in ("held", "cancelled") for kind in kinds)
        ],
        cases=[],
        fault=None
        if scenario.fault is None
        else FaultSeen(id="fault_1", action=str(scenario.fault["action"]), path=None, matched=1, fired=1),
    )


def reservation(booking_id: str, kind: str, status: str, price_minor: int, generation: int = 0) -> VendorReservation:
    return VendorReservation(
        vendor=SUPPLIER,
        kind=kind,
        object_id=f"order of {kind}",
        metadata={"reference": item_reference(booking_id, list(PRICES).index(kind) + 1, generation)},
        status=status,
        price_minor=price_minor,
        currency="EUR",
    )


def effect(kind: str, seconds: float) -> Effect:
    at = START + timedelta(seconds=seconds)
    return Effect(at=at, vendor="supplier", type=kind, object_id="1", amount_minor=None, currency=None)


def arrived(name: str) -> list[Arrival]:
    """A search as it must go."""
    broken = {DOWN: "error", SLOW: "timeout"} if name == "degraded" else {}
    order = sorted(SUPPLIERS, key=lambda supplier: (supplier == SLOW, supplier))
    return [
        Arrival(
            supplier=supplier,
            kind="flight",
            outcome=broken.get(supplier, "cached" if name == "cached" else "ok"),
            offers=0 if supplier in broken else 3,
            after_s=0.1,
        )
        for supplier in order
    ]


def searched(name: str, arrivals: list[Arrival]) -> SearchReport:
    search = next(search for search in SEARCHES if search.name == name)
    return SearchReport(name=name, title=search.title, arrivals=arrivals, expectations=search.expected(arrivals))
