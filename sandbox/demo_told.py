"""What the traveller was told of a trip that is under way: our notifications beside the vendors' notices. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from sandbox.demo_trip_answers import TripSeen
from schema.model import Message
from schema.notifications import Channel, NotificationKind

DELAY_MINUTES: Final = 95
TOLD_OF_DELAY: Final[tuple[NotificationKind, ...]] = ("flight_delayed",)
TOLD_OF_CANCELLATION: Final[tuple[NotificationKind, ...]] = ("flight_cancelled", "alternatives_offered", "rebooked")
TOLD_BY: Final[dict[Channel, str]] = {"email": "delivered", "sms": "delivered", "push": "sent"}
"""How the last that its vendor says of a message reads; the live feed has no vendor."""
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


class ToldLine(Message):
    """One message, as the vendor has it; or, `at` None, one of ours that no vendor has."""

    at: datetime | None
    kind: str
    channel: str
    ours: str
    vendor: str
    theirs: str
    to: str


def told_of(trip: TripSeen) -> list[ToldLine]:
    """Every notification that goes through a vendor, as often as the vendor has it."""
    lines: list[ToldLine] = []
    for ours in trip.notifications:
        if ours.channel not in TOLD_BY:
            continue
        theirs = [notice for notice in trip.notices if notice.notification_id == ours.notification_id]
        same = {"kind": ours.kind, "channel": ours.channel, "ours": ours.state}
        lines += [
            ToldLine(**same, at=one.created_at, vendor=one.vendor, theirs=one.status, to=", ".join(one.to))
            for one in theirs
        ]
        if not theirs:
            lines.append(ToldLine(**same, at=None, vendor="-", theirs="nothing", to=""))
    return sorted(lines, key=lambda line: line.at or _NEVER)
