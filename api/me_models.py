"""What travellers' clients send and are answered about how they are told. Unknown fields are errors; every text has a limit."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field

from schema.model import ClientMessage, Message
from schema.notifications import (
    Channel,
    Language,
    NotificationKind,
    NotificationState,
    Platform,
    Preferences,
)
from store.devices import Device
from store.notifications import NotificationPage

DEVICE_ID_PATTERN = "^dev_[0-7][0-9A-HJKMNP-TV-Z]{25}$"


class QuietHoursView(Message):
    starts: str
    ends: str
    time_zone: str


class PreferencesView(Message):
    """As they are kept; the defaults for who has never said anything."""

    language: Language
    channels: list[Channel]
    email: str | None
    phone_number: str | None
    quiet_hours: QuietHoursView | None

    @classmethod
    def of(cls, kept: Preferences) -> Self:
        quiet = kept.quiet_hours
        shown = None
        if quiet is not None:
            shown = QuietHoursView(
                starts=f"{quiet.starts:%H:%M}", ends=f"{quiet.ends:%H:%M}", time_zone=quiet.time_zone
            )
        return cls.model_validate({**kept.model_dump(exclude={"quiet_hours"}), "quiet_hours": shown})


class PreferencesKept(Message):
    """They are kept. What they are is not repeated here: answers are remembered, and these are personal data."""

    version: int
    """Grows with every change."""


class DeviceRequest(ClientMessage):
    """A device that push messages go to."""

    token: Annotated[str, Field(min_length=1, max_length=4096, pattern=r"^[!-~]+$")]
    """Firebase's registration token of the app on the device."""
    platform: Platform


class DeviceView(Message):
    """A device. Its token is shown to nobody."""

    device_id: str
    platform: Platform
    created_at: datetime

    @classmethod
    def of(cls, device: Device) -> Self:
        return cls.model_validate(device.model_dump())


class DeviceList(Message):
    devices: list[DeviceView]


class NotificationsQuery(ClientMessage):
    """Paging through what you were told, newest first."""

    limit: Annotated[int, Field(ge=1, le=100)] = 20
    cursor: Annotated[str, Field(min_length=1, max_length=400, pattern=r"^[A-Za-z0-9_=-]+$")] | None = None
    """`next_cursor` of the page before."""


class NotificationView(Message):
    """One channel of one notification: what of, and how it went. Neither address nor text."""

    notification_id: str
    subject: str
    kind: NotificationKind
    revision: int
    channel: Channel
    booking_id: str
    state: NotificationState
    reason: str | None
    """Of one that was not sent, or did not arrive: a code, such as `by_preference` or `address_unusable`."""
    tries: int
    created_at: datetime
    sent_at: datetime | None
    delivered_at: datetime | None


class NotificationList(Message):
    """A page of notifications."""

    notifications: list[NotificationView]
    next_cursor: str | None

    @classmethod
    def of(cls, page: NotificationPage) -> Self:
        shown = [NotificationView.model_validate(one.model_dump()) for one in page.notifications]
        return cls(notifications=shown, next_cursor=page.next_cursor)
