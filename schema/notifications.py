"""Notifications: what a traveller is told, by which channels, and the messages of the workflow that tells it.

Histories carry references only: what is written and to whom is put together in the activity that sends it.
"""

from datetime import datetime, time
from typing import Annotated, Final, Literal

from pydantic import EmailStr, Field

from schema.model import ClientMessage, Message

NOTIFICATION_WORKFLOW = "NotificationWorkflow"
NOTICE_STREAM = "notice"
"""Prefix of the stream of events in which the live feed shows a notification: `notice:{kind}`, version = revision."""

Channel = Literal["email", "sms", "push", "live"]
CHANNELS: Final[tuple[Channel, ...]] = ("live", "push", "sms", "email")
Language = Literal["en", "ja"]
Platform = Literal["android", "ios", "web"]
NotificationKind = Literal[
    "booking_confirmed",
    "booking_partially_confirmed",
    "booking_failed",
    "booking_cancelled",
    "booking_partially_cancelled",
    "price_changed",
    "payment_action_required",
    "trip_changed",
    "flight_delayed",
    "flight_on_time_again",
    "flight_cancelled",
    "flight_reinstated",
    "flight_diverted",
    "gate_changed",
    "terminal_changed",
    "schedule_changed",
    "missed_connection",
    "alternatives_offered",
    "rebooked",
    "rebooking_failed",
]
SAFETY: Final[frozenset[NotificationKind]] = frozenset(
    {"flight_cancelled", "flight_diverted", "missed_connection", "alternatives_offered", "rebooking_failed"}
)
"""Told in quiet hours too, and once more where nobody can say whether it arrived."""

NotificationState = Literal["planned", "sending", "sent", "delivered", "failed", "unknown", "skipped", "dead"]
"""Of one channel. `sent`: the vendor has taken it. `failed`: the vendor says it cannot be delivered. `unknown`: nobody can say, and
it is not worth telling twice. `skipped`: by preference, or there is no address. `dead`: given up after a day; an operator may
replay it."""


def notification_workflow_id_for(subject: str, kind: NotificationKind, revision: int) -> str:
    """Must merge: everything that announces this one state. Must not merge: the next state of the same subject."""
    return f"notify-{subject}-{kind}-{revision}"


class RetryLadder(Message):
    """C-3b: after 1 min, 5 min, 30 min, 2 h, then every 2 h until 24 h, then a dead letter."""

    delays_s: list[float] = [60, 300, 1800, 7200]
    """The last one holds from then on."""
    give_up_after_s: float = 24 * 3600
    receipt_wait_s: float = 600
    """After a lost answer: for a receipt that says it was sent after all."""


class NotificationInput(Message):
    """`subject`: a booking's or an itinerary's id. `revision`: of its state that is announced, so that it is durable by then."""

    subject: str
    kind: NotificationKind
    revision: int
    client_id: str
    booking_id: str
    """Whose travellers are told."""
    itinerary_id: str | None = None
    disruption_id: str | None = None
    correlation_id: str
    ladder: RetryLadder = RetryLadder()
    step_timeout_s: float = 30


class NotificationResult(Message):
    """By channel, how it ended."""

    states: dict[Channel, NotificationState]


class QuietHours(ClientMessage):
    """By the clock of `time_zone`; may go over midnight. They silence what rings: push and SMS."""

    starts: time
    ends: time
    time_zone: Annotated[str, Field(min_length=1, max_length=64, examples=["Europe/Lisbon"])]


class Preferences(ClientMessage):
    """How a traveller wants to be told. Without any, e-mail, SMS and live feed are on, in English."""

    language: Language = "en"
    channels: Annotated[list[Channel], Field(max_length=4)] = ["email", "sms", "push", "live"]
    email: Annotated[EmailStr, Field(max_length=254)] | None = None
    """None: the lead traveller's of the booking."""
    phone_number: Annotated[str, Field(pattern=r"^\+[1-9][0-9]{6,14}$")] | None = None
    quiet_hours: QuietHours | None = None


class Notification(Message):
    """One channel of one notification, as kept: what operators and audits read. No address and no text."""

    notification_id: str
    subject: str
    kind: NotificationKind
    revision: int
    channel: Channel
    client_id: str
    booking_id: str
    state: NotificationState
    reason: str | None = None
    vendor: str | None = None
    provider_reference: str | None = None
    tries: int = 0
    created_at: datetime
    sent_at: datetime | None = None
    delivered_at: datetime | None = None
