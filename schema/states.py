"""The states of a booking and of a payment, and the one table of legal transitions, checked on every write."""

from enum import StrEnum


class BookingState(StrEnum):
    PENDING = "PENDING"
    PRICE_CHANGED = "PRICE_CHANGED"
    AWAITING_PAYMENT = "AWAITING_PAYMENT"
    RESERVING = "RESERVING"
    CONFIRMED = "CONFIRMED"
    PARTIALLY_CONFIRMED = "PARTIALLY_CONFIRMED"
    COMPENSATING = "COMPENSATING"
    REFUND_PENDING = "REFUND_PENDING"
    CANCELLING = "CANCELLING"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    NEEDS_OPERATOR = "NEEDS_OPERATOR"


_S = BookingState

LEGAL_TRANSITIONS: dict[BookingState, frozenset[BookingState]] = {
    _S.PENDING: frozenset({_S.PRICE_CHANGED, _S.AWAITING_PAYMENT, _S.COMPENSATING, _S.FAILED, _S.CANCELLED}),
    _S.PRICE_CHANGED: frozenset({_S.AWAITING_PAYMENT, _S.COMPENSATING, _S.FAILED, _S.CANCELLED}),
    _S.AWAITING_PAYMENT: frozenset({_S.PRICE_CHANGED, _S.RESERVING, _S.COMPENSATING, _S.NEEDS_OPERATOR}),
    _S.RESERVING: frozenset({_S.CONFIRMED, _S.PARTIALLY_CONFIRMED, _S.COMPENSATING, _S.NEEDS_OPERATOR}),
    _S.CONFIRMED: frozenset({_S.CANCELLING}),
    _S.PARTIALLY_CONFIRMED: frozenset({_S.CANCELLING}),
    _S.COMPENSATING: frozenset({_S.REFUND_PENDING, _S.NEEDS_OPERATOR, _S.FAILED, _S.CANCELLED}),
    _S.REFUND_PENDING: frozenset({_S.NEEDS_OPERATOR, _S.PARTIALLY_CONFIRMED, _S.FAILED, _S.CANCELLED}),
    _S.CANCELLING: frozenset({_S.REFUND_PENDING, _S.NEEDS_OPERATOR, _S.PARTIALLY_CONFIRMED, _S.CANCELLED}),
    _S.NEEDS_OPERATOR: frozenset(
        {
            _S.RESERVING,
            _S.COMPENSATING,
            _S.CANCELLING,
            _S.REFUND_PENDING,
            _S.PARTIALLY_CONFIRMED,
            _S.FAILED,
            _S.CANCELLED,
        }
    ),
    _S.FAILED: frozenset(),
    _S.CANCELLED: frozenset(),
}
"""A cancellation of some items leads to PARTIALLY_CONFIRMED. PRICE_CHANGED leads back to AWAITING_PAYMENT also when the money was
authorised already: what waited is verified again."""

FINAL_STATES = frozenset({_S.FAILED, _S.CANCELLED})
"""Nothing follows these."""

SETTLED_STATES = FINAL_STATES | {_S.CONFIRMED, _S.PARTIALLY_CONFIRMED}
"""The saga is over: the trip is booked, or it is undone."""

PARKED_STATES = frozenset({_S.PRICE_CHANGED, _S.REFUND_PENDING, _S.NEEDS_OPERATOR})
"""The saga waits for the traveller, the provider or an operator, perhaps for days."""

CONFIRMED_STATES = frozenset({_S.CONFIRMED, _S.PARTIALLY_CONFIRMED})


def is_legal(before: BookingState, after: BookingState) -> bool:
    """Whether the table allows it; staying in a state is no transition and always allowed."""
    return before == after or after in LEGAL_TRANSITIONS[before]


class ItemState(StrEnum):
    """Of one item of a booking."""

    PLANNED = "PLANNED"
    HELD = "HELD"
    CONFIRMED = "CONFIRMED"
    LEFT_OUT = "LEFT_OUT"
    RELEASED = "RELEASED"
    CANCELLED = "CANCELLED"
    IN_DOUBT = "IN_DOUBT"


class PaymentState(StrEnum):
    """Of one payment, as far as the provider has told us."""

    CREATED = "CREATED"
    ACTION_REQUIRED = "ACTION_REQUIRED"
    AUTHORISED = "AUTHORISED"
    CAPTURED = "CAPTURED"
    VOIDED = "VOIDED"
    DECLINED = "DECLINED"
    REFUND_PENDING = "REFUND_PENDING"
    PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"
    REFUNDED = "REFUNDED"
    IN_DOUBT = "IN_DOUBT"
