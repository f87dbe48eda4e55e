"""Dead letters: messages that could not be taken, why, and what became of them."""

from datetime import datetime
from typing import Final, Literal

from schema.model import Message

WEBHOOK: Final = "webhook"
"""The kind of letter that a vendor's webhook becomes; what is given up elsewhere may add kinds of its own."""

UNREADABLE: Final = "unreadable"
"""Its vendor has signed it, and it is no event as we know them."""
UNUSABLE_IDS: Final = "unusable_ids"
"""An event whose ids cannot be ours, or cannot be kept."""
NEVER_OWNED: Final = "never_owned"
"""It names a payment that our books do not know, and did not get to know in time."""
CONTRACT_BROKEN: Final = "vendor_contract_broken"
"""What its vendor answers about it cannot be read."""
HANDING_OVER_FAILED: Final = "handing_over_failed"
"""Something on our side fails on it."""
NOT_TAKEN: Final = "not_taken"
"""A notification that no vendor took for a day."""

Status = Literal["waiting", "resolved", "dropped"]


class Failure(Message):
    """Why a message could not be taken. `detail` is for people, and free of personal data."""

    cause: str
    detail: str


class NewDeadLetter(Message):
    """A message that is given up. Who made it is `vendor`; which one it was, `event_id`."""

    kind: str = WEBHOOK
    vendor: str
    event_id: str
    type: str | None = None
    booking_id: str | None = None
    payment_id: str | None = None
    subject: str | None = None
    """A supplier's id of what the message is about."""
    failure: Failure
    failures: int = 1
    first_failed_at: datetime | None = None
    """None: now."""


class DeadLetter(Message):
    """As kept; `cause` and `detail` tell of the last failure."""

    letter_id: str
    kind: str
    vendor: str
    event_id: str
    type: str | None
    booking_id: str | None
    payment_id: str | None
    subject: str | None
    cause: str
    detail: str
    failures: int
    first_failed_at: datetime
    last_failed_at: datetime
    settled_at: datetime | None
    status: Status


class Target(Message):
    """What a message is about, as an operator has found out: exactly one of them."""

    booking_id: str | None = None
    payment_id: str | None = None
    subject: str | None = None
