"""Notifications: what a traveller is told, by which channels, and the messages of the workflow that tells it.

Histories carry references only: what is written and to whom is put together in the activity that sends it.
"""

import hashlib
import json
import re
from datetime import datetime, time
from functools import cache
from typing import Annotated, Final, Literal, Self
from zoneinfo import available_timezones

from pydantic import AfterValidator, BeforeValidator, EmailStr, Field, WithJsonSchema, model_validator
from pydantic_core import PydanticCustomError
from ulid import ULID

from schema.model import ClientMessage, Message

NOTIFICATION_WORKFLOW = "NotificationWorkflow"
NOTIFICATION_PREFIX = "notify-"
"""Of its workflows' ids."""
NOTICE_STREAM = "notice"
"""Prefix of the streams of events in which the live feed shows notifications; see `notice_stream`."""
NOTIFICATION_LETTER = "notification"
"""The kind of dead letter that a notification becomes which no vendor took for a day."""

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
RINGS: Final[frozenset[Channel]] = frozenset({"push", "sms"})
"""What quiet hours silence."""
WITH_RECEIPTS: Final[frozenset[Channel]] = frozenset({"email", "sms"})
"""Whose vendors tell later what became of a message."""

_Kinds = frozenset[NotificationKind]
_OF_BOOKING: Final = _Kinds(
    {
        "booking_confirmed",
        "booking_partially_confirmed",
        "booking_failed",
        "booking_cancelled",
        "booking_partially_cancelled",
        "price_changed",
        "payment_action_required",
    }
)
_TIMES: Final = _Kinds({"flight_delayed", "flight_on_time_again"})
_PLACES: Final = _Kinds({"gate_changed", "terminal_changed"})
_CHOICES: Final = _Kinds({"alternatives_offered", "rebooking_failed"})
_FLIES: Final = _Kinds({"flight_cancelled", "flight_reinstated"})
_DIVERTED: Final = _Kinds({"flight_diverted"})
_SCHEDULE: Final = _Kinds({"schedule_changed"})
_CONNECTION: Final = _Kinds({"missed_connection"})
_OF_FLIGHT: Final = _TIMES | _PLACES | _FLIES | _DIVERTED | _SCHEDULE | _CONNECTION
MAKES_POINTLESS: Final[dict[NotificationKind, frozenset[NotificationKind]]] = {
    **dict.fromkeys(_OF_BOOKING, _OF_BOOKING),
    "trip_changed": _Kinds({"trip_changed"}),
    "flight_delayed": _TIMES,
    "flight_on_time_again": _TIMES | _CONNECTION,
    "schedule_changed": _TIMES | _SCHEDULE,
    "missed_connection": _TIMES | _CONNECTION,
    "gate_changed": _Kinds({"gate_changed"}),
    "terminal_changed": _PLACES,
    "flight_diverted": _TIMES | _PLACES | _DIVERTED,
    "flight_cancelled": _OF_FLIGHT,
    "flight_reinstated": _FLIES | _CHOICES,
    "alternatives_offered": _CHOICES,
    "rebooking_failed": _CHOICES,
    "rebooked": _OF_FLIGHT | _CHOICES,
}
"""What a newer notice of the same booking, or of the same flight of the same itinerary, leaves nothing to tell of. A booking has one
state, so each replaces those before. Of a flight a delay replaces a delay and not a gate, a cancellation everything but what may be
chosen instead, and once another flight is booked nothing of the old one matters. Only what has waited is skipped for it: for the end
of quiet hours, or for a vendor."""

NotificationState = Literal["planned", "sending", "sent", "delivered", "failed", "unknown", "skipped", "dead"]
"""Of one channel. `sent`: the vendor has taken it. `failed`: the vendor says it cannot be delivered. `unknown`: nobody can say, and
it is not worth telling twice. `skipped`: by preference, or there is no address. `dead`: given up after a day; an operator may
replay it."""


def notification_workflow_id_for(subject: str, kind: NotificationKind, revision: int) -> str:
    """Must merge: everything that announces this one state. Must not merge: the next state of the same subject."""
    return f"{NOTIFICATION_PREFIX}{subject}-{kind}-{revision}"


def notice_stream(subject: str, kind: NotificationKind) -> str:
    """Of the events in which the live feed shows notifications: one stream for each subject and kind, version = revision."""
    return f"{NOTICE_STREAM}:{subject}:{kind}"


def notification_id_for(subject: str, kind: NotificationKind, revision: int, channel: Channel, recipient: str) -> str:
    """Of one channel and recipient; vendors are told it. Must merge: every attempt to tell this. Must not merge: the next revision,
    another channel, another device."""
    parts = json.dumps([subject, kind, revision, channel, recipient])
    return f"ntf_{ULID.from_bytes(hashlib.sha256(parts.encode()).digest()[:16])}"


def letter_event_id(notification_id: str, tries: int) -> str:
    """Of the dead letter. Must merge: repeats of giving up once. Must not merge: giving up again after an operator's replay."""
    return f"{notification_id}:{tries}"


def flight_of_disruption(disruption_id: str | None) -> str | None:
    """The disruption's id without the flight's revision: the same for all news of one flight of one itinerary."""
    return None if disruption_id is None else disruption_id.rpartition("-")[0]


_A_STEP_S: Final = 600


class RetryLadder(Message):
    """C-3b: after 1 min, 5 min, 30 min, 2 h, then every 2 h until 24 h, then a dead letter."""

    delays_s: list[float] = [60, 300, 1800, 7200]
    """The last one holds from then on."""
    give_up_after_s: float = 24 * 3600
    receipt_wait_s: float = 600
    """After a lost answer: for a receipt that says it was sent after all."""
    find_after_s: float = 30
    """After a lost answer, before the vendor is asked what became of it: by then the call has landed, or never will."""
    find_budget_s: float = 900
    """For so long a vendor that is away is asked."""

    @property
    def silent_for_at_most_s(self) -> float:
        """No step of a notification under way takes longer, quiet hours and what a vendor asks for aside."""
        return max(*self.delays_s, self.receipt_wait_s + self.find_after_s + self.find_budget_s) + _A_STEP_S

    def pause_s(self, pauses: int, retry_after_s: float | None) -> float:
        """After so many pauses; never less than the vendor asks for."""
        return max(self.delays_s[min(pauses, len(self.delays_s) - 1)], retry_after_s or 0)


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


class ChannelEnd(Message):
    channel: Channel
    state: NotificationState


class NotificationResult(Message):
    """How each channel ended. A list: as a name in a history, `email` would look like somebody's."""

    ended: list[ChannelEnd]

    @property
    def states(self) -> dict[Channel, NotificationState]:
        return {end.channel: end.state for end in self.ended}


class NotificationPlan(Message):
    """Result of planning: the rows as they are."""

    rows: list["PlannedRow"]


class PlannedRow(Message):
    """One channel and recipient of one notification."""

    notification_id: str
    channel: Channel
    state: NotificationState
    tries: int = 0
    begun: bool = False
    """The last try was begun, and nobody has recorded what came of it."""
    not_before: datetime | None = None
    """The end of the traveller's quiet hours."""

    @property
    def open(self) -> bool:
        return self.state in ("planned", "sending")

    @property
    def next_try(self) -> int:
        """The number of the try that goes on with it."""
        return self.tries if self.begun else self.tries + 1


class DeliveryStep(Message):
    """Input of what is done about one row."""

    notification_id: str
    kind: NotificationKind
    channel: Channel
    correlation_id: str
    number: int = 1
    """Of the try. Must merge: every run of the activity for it, so that a vendor is called once for each number. A new number is a
    decision, and is only taken in the workflow."""
    waited: bool = False
    """Then what has become pointless meanwhile is skipped."""


class DeliveryResult(Message):
    """How one step ended. `later`: it had no effect for certain. `quiet`: no try was made, the traveller sleeps. `in_doubt`: nobody
    here can say."""

    kind: Literal["done", "later", "quiet", "in_doubt"]
    state: NotificationState
    reason: str | None = None
    retry_after_s: float | None = None


class GiveUp(Message):
    """Input of the end of a delivery without an answer: `dead` after a day, or `unknown`."""

    notification_id: str
    number: int
    """Of the last try."""
    state: Literal["dead", "unknown"]
    reason: str


class Replay(Message):
    """Signal `replay`: an operator wants a dead notification to be tried again."""

    notification_id: str


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def _known_zone(name: str) -> str:
    if name not in _time_zones():
        raise PydanticCustomError("unknown_time_zone", "a name of the IANA time zone database is expected")
    return name


def _wall_clock(value: object) -> object:
    as_written = isinstance(value, str) and re.fullmatch(_WALL_CLOCK, value)
    if as_written or (isinstance(value, time) and value.tzinfo is None):
        return value
    raise PydanticCustomError("invalid_request", "a time such as 22:30 is expected; time_zone says whose clock it is")


def _each_once(channels: list["Channel"]) -> list["Channel"]:
    return list(dict.fromkeys(channels))


_WALL_CLOCK: Final = "([01][0-9]|2[0-3]):[0-5][0-9]"
WallClock = Annotated[
    time,
    BeforeValidator(_wall_clock),
    WithJsonSchema({"type": "string", "pattern": f"^{_WALL_CLOCK}$", "examples": ["22:00"]}),
]
TimeZoneName = Annotated[
    str, Field(min_length=1, max_length=64, examples=["Europe/Lisbon"]), AfterValidator(_known_zone)
]


class QuietHours(ClientMessage):
    """By the clock of `time_zone`; may go over midnight. They silence what rings: push and SMS."""

    starts: WallClock
    ends: WallClock
    time_zone: TimeZoneName

    @model_validator(mode="after")
    def _last_a_while(self) -> Self:
        if self.starts == self.ends:
            raise PydanticCustomError("invalid_request", "they end when they start", {"field": "ends"})
        return self


class Preferences(ClientMessage):
    """How a traveller wants to be told. Without any, e-mail, SMS and live feed are on, in English."""

    language: Language = "en"
    channels: Annotated[list[Channel], Field(max_length=4), AfterValidator(_each_once)] = [
        "email",
        "sms",
        "push",
        "live",
    ]
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
