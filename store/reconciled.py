"""Our side of a page of a vendor's list: one query per page, however many lines it has."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.payments import cancellation_workflow_id_for, refund_workflow_id_of
from schema.states import BookingState, ItemState, PaymentState


@dataclass(frozen=True, slots=True)
class OurPayment:
    """A payment, the booking it is of, and what the ledger says of it; amounts in minor units."""

    booking_id: str
    booking_state: BookingState | None
    """None: the booking is not in our books."""
    fee_minor: int
    payment_id: str | None
    """None: the payment is not in our books."""
    provider: str | None
    state: PaymentState | None
    provider_reference: str | None
    currency: str | None
    authorised_minor: int
    captured_minor: int
    refunded_minor: int
    ledger: tuple[int, int, int]
    """Reserved now, taken, given back."""

    @property
    def ledger_complete(self) -> bool:
        reserved_minor = self.authorised_minor if self.state == PaymentState.AUTHORISED else 0
        return self.payment_id is None or self.ledger == (reserved_minor, self.captured_minor, self.refunded_minor)


@dataclass(frozen=True, slots=True)
class OurRefunds:
    """A payment, found by the provider's id, and its refunds by key; a refund's status is `began`, `pending`, `succeeded` or
    `failed`."""

    booking_id: str
    booking_state: BookingState
    payment_id: str
    statuses: dict[str, str]
    provider_references: frozenset[str]


@dataclass(frozen=True, slots=True)
class OurItem:
    """Where one of our references belongs."""

    booking_state: BookingState | None
    """None: the booking is not in our books."""
    item_state: ItemState | None
    """None: the booking has no such item."""
    provider_reference: str | None
    price_minor: int
    currency: str | None


@dataclass(frozen=True, slots=True)
class SettledBooking:
    """A booking that is over, as our own books tell of it."""

    booking_id: str
    state: BookingState
    updated_at: datetime
    payments: list[OurPayment]
    open_refunds: int
    called_items: dict[int, str]
    """Items for which a supplier was called, and which."""


@dataclass(frozen=True, slots=True)
class UnsettledBooking:
    """`workflow_ids`: cancellations that may be working on it, besides its own workflow."""

    booking_id: str
    created_at: datetime
    workflow_ids: list[str]


_PAYMENT = """
    b.state AS booking_state, coalesce(b.fee_minor, 0) AS fee_minor, p.id AS payment_id, p.provider, p.state,
    p.provider_reference, p.currency, coalesce(p.authorised_minor, 0) AS authorised_minor,
    coalesce(p.captured_minor, 0) AS captured_minor,
    coalesce(p.refunded_minor, 0) AS refunded_minor, l.reserved, l.taken, l.back
"""
_LEDGER = """
    CROSS JOIN LATERAL (
        SELECT
            coalesce(sum(e.amount_minor) FILTER (WHERE e.account = 'authorised:' || p.provider), 0)::bigint AS reserved,
            coalesce(sum(greatest(e.amount_minor, 0)) FILTER (WHERE e.account = 'receivable:' || p.provider), 0)::bigint AS taken,
            coalesce(sum(greatest(-e.amount_minor, 0)) FILTER (WHERE e.account = 'receivable:' || p.provider), 0)::bigint AS back
        FROM ledger_entries e WHERE e.booking_id = p.booking_id AND e.payment_id = p.id
    ) l
"""
_OF_PAYMENTS = text(
    f"""
    SELECT w.place, w.booking_id, {_PAYMENT}
    FROM unnest(CAST(:bookings AS text[]), CAST(:payments AS text[])) WITH ORDINALITY AS w(booking_id, payment_id, place)
    LEFT JOIN bookings b ON b.id = w.booking_id
    LEFT JOIN payments p ON p.id = w.payment_id AND p.booking_id = w.booking_id {_LEDGER}
    ORDER BY w.place
    """  # noqa: S608  # only constants of this file
)
_OF_PROVIDER_REFERENCES = text(
    """
    SELECT p.provider_reference AS payment_reference, p.booking_id, b.state AS booking_state, p.id AS payment_id,
        r.key, r.status, r.provider_reference
    FROM payments p JOIN bookings b ON b.id = p.booking_id LEFT JOIN refunds r ON r.payment_id = p.id
    WHERE p.provider = :provider AND p.provider_reference = ANY(CAST(:references AS text[]))
    """
)
_OF_ITEMS = text(
    """
    SELECT w.place, b.state AS booking_state, i.state AS item_state, i.provider_booking_ref,
        coalesce(i.price_minor, 0) AS price_minor, i.currency
    FROM unnest(CAST(:bookings AS text[]), CAST(:numbers AS int[])) WITH ORDINALITY AS w(booking_id, item_no, place)
    LEFT JOIN bookings b ON b.id = w.booking_id
    LEFT JOIN booking_items i ON i.booking_id = w.booking_id AND i.item_no = w.item_no
    ORDER BY w.place
    """
)
_SETTLED = """state IN ('FAILED', 'CANCELLED', 'CONFIRMED', 'PARTIALLY_CONFIRMED')"""
_SETTLED_PAGE = text(
    f"""
    WITH chosen AS (
        SELECT * FROM bookings WHERE {_SETTLED} AND (updated_at, id) > (:after, :after_id) ORDER BY updated_at, id LIMIT :most
    )
    SELECT b.id AS booking_id, b.updated_at, {_PAYMENT},
        (SELECT count(*) FROM refunds r WHERE r.payment_id = p.id AND r.status IN ('began', 'pending')) AS open_refunds
    FROM chosen b LEFT JOIN payments p ON p.booking_id = b.id {_LEDGER}
    ORDER BY b.updated_at, b.id
    """  # noqa: S608  # only constants of this file
)
_CALLED_ITEMS = text(
    """
    SELECT DISTINCT booking_id, item_no, vendor FROM attempts
    WHERE booking_id = ANY(CAST(:bookings AS text[])) AND item_no IS NOT NULL AND tries > 0 AND status <> 'ready'
        AND step IN ('hold', 'book', 'confirm')
    """
)
_UNSETTLED_PAGE = text(
    f"""
    SELECT b.id, b.created_at,
        array(SELECT c.workflow_id FROM cancellation_claims c WHERE c.booking_id = b.id) AS claimed,
        array(SELECT v.version - 1 FROM events v WHERE v.booking_id = b.id AND v.state = 'CANCELLING') AS cancelled_from
    FROM bookings b
    WHERE NOT ({_SETTLED}) AND b.workflow_started_at IS NOT NULL AND (b.created_at, b.id) > (:after, :after_id)
    ORDER BY b.created_at, b.id LIMIT :most
    """  # noqa: S608  # only constants of this file
)
_MAY_WORK_ON_IT = text(
    """
    SELECT
        array(SELECT workflow_id FROM cancellation_claims WHERE booking_id = :booking) AS claimed,
        array(SELECT version - 1 FROM events WHERE booking_id = :booking AND state = 'CANCELLING') AS cancelled_from,
        array(
            SELECT r.key FROM refunds r JOIN payments p ON p.id = r.payment_id
            WHERE p.booking_id = :booking AND r.status IN ('began', 'pending')
        ) AS refunds
    """
)
_STILL_UNSETTLED = text(
    f"SELECT id FROM bookings WHERE id = ANY(CAST(:bookings AS text[])) AND NOT ({_SETTLED})"  # noqa: S608
)


async def payments_of(connection: AsyncConnection, wanted: Sequence[tuple[str, str]]) -> list[OurPayment]:
    """Ours of each pair of booking id and payment id, in their order."""
    values = {"bookings": [pair[0] for pair in wanted], "payments": [pair[1] for pair in wanted]}
    rows = await connection.execute(_OF_PAYMENTS, values)
    return [_payment(row) for row in rows.mappings()]


async def refunds_of(connection: AsyncConnection, provider: str, references: Sequence[str]) -> dict[str, OurRefunds]:
    """Payments of the provider by its ids, with their refunds."""
    rows = await connection.execute(_OF_PROVIDER_REFERENCES, {"provider": provider, "references": list(references)})
    grouped: defaultdict[str, list[RowMapping]] = defaultdict(list)
    for row in rows.mappings():
        grouped[row["payment_reference"]].append(row)
    return {
        reference: OurRefunds(
            booking_id=of_payment[0]["booking_id"],
            booking_state=BookingState(of_payment[0]["booking_state"]),
            payment_id=of_payment[0]["payment_id"],
            statuses={row["key"]: row["status"] for row in of_payment if row["key"] is not None},
            provider_references=frozenset(row["provider_reference"] for row in of_payment if row["provider_reference"]),
        )
        for reference, of_payment in grouped.items()
    }


async def items_of(connection: AsyncConnection, wanted: Sequence[tuple[str, int]]) -> list[OurItem]:
    """Ours of each pair of booking id and item number, in their order."""
    values = {"bookings": [pair[0] for pair in wanted], "numbers": [pair[1] for pair in wanted]}
    rows = await connection.execute(_OF_ITEMS, values)
    return [
        OurItem(
            booking_state=None if row["booking_state"] is None else BookingState(row["booking_state"]),
            item_state=None if row["item_state"] is None else ItemState(row["item_state"]),
            provider_reference=row["provider_booking_ref"],
            price_minor=row["price_minor"],
            currency=row["currency"],
        )
        for row in rows.mappings()
    ]


async def settled_page(connection: AsyncConnection, after: tuple[datetime, str], most: int) -> list[SettledBooking]:
    """Bookings that were settled, or changed since, after that moment and id; in that order."""
    rows = await connection.execute(_SETTLED_PAGE, {"after": after[0], "after_id": after[1], "most": most})
    grouped: dict[str, list[RowMapping]] = {}
    for row in rows.mappings():
        grouped.setdefault(row["booking_id"], []).append(row)
    called: defaultdict[str, dict[int, str]] = defaultdict(dict)
    for row in (await connection.execute(_CALLED_ITEMS, {"bookings": list(grouped)})).mappings():
        called[row["booking_id"]][row["item_no"]] = row["vendor"]
    return [
        SettledBooking(
            booking_id=booking_id,
            state=BookingState(of_booking[0]["booking_state"]),
            updated_at=of_booking[0]["updated_at"],
            payments=[_payment(row) for row in of_booking if row["payment_id"] is not None],
            open_refunds=sum(row["open_refunds"] for row in of_booking),
            called_items=called[booking_id],
        )
        for booking_id, of_booking in grouped.items()
    ]


async def unsettled_page(connection: AsyncConnection, after: tuple[datetime, str], most: int) -> list[UnsettledBooking]:
    """Bookings whose workflow was started and that are not settled, in the order in which they were made."""
    rows = await connection.execute(_UNSETTLED_PAGE, {"after": after[0], "after_id": after[1], "most": most})
    return [
        UnsettledBooking(
            booking_id=row["id"],
            created_at=row["created_at"],
            workflow_ids=[
                *row["claimed"],
                *(cancellation_workflow_id_for(row["id"], version) for version in row["cancelled_from"]),
            ],
        )
        for row in rows.mappings()
    ]


async def still_unsettled(connection: AsyncConnection, booking_ids: Sequence[str]) -> set[str]:
    """Those of the bookings that are not settled by now."""
    return set(await connection.scalars(_STILL_UNSETTLED, {"bookings": list(booking_ids)}))


async def may_work_on(connection: AsyncConnection, booking_id: str) -> list[str]:
    """Ids of the cancellations and refunds that may be working on the booking, besides its own workflow."""
    row = (await connection.execute(_MAY_WORK_ON_IT, {"booking": booking_id})).mappings().one()
    cancelled = [cancellation_workflow_id_for(booking_id, version) for version in row["cancelled_from"]]
    return [*row["claimed"], *cancelled, *(refund_workflow_id_of(key) for key in row["refunds"])]


def _payment(row: RowMapping) -> OurPayment:
    return OurPayment(
        booking_id=row["booking_id"],
        booking_state=None if row["booking_state"] is None else BookingState(row["booking_state"]),
        fee_minor=row["fee_minor"],
        payment_id=row["payment_id"],
        provider=row["provider"],
        state=None if row["state"] is None else PaymentState(row["state"]),
        provider_reference=row["provider_reference"],
        currency=row["currency"],
        authorised_minor=row["authorised_minor"],
        captured_minor=row["captured_minor"],
        refunded_minor=row["refunded_minor"],
        ledger=(row["reserved"], row["taken"], row["back"]),
    )
