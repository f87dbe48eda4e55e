"""What became of a week of flights, by the vendors' own books: who was told of what, how often and when, and who flies. Pure."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from schema.notifications import MAKES_POINTLESS, SAFETY, Channel, NotificationKind

_UNDER_WAY_FOR_AT_MOST = timedelta(seconds=30)
"""One call to a vendor: a worker that was killed later than this after it began had nothing to do with it."""


@dataclass(frozen=True, slots=True)
class Announced:
    """A recorded state that a traveller is to hear of by one channel."""

    notification_id: str
    traveller: str
    flight_key: str | None
    kind: NotificationKind
    channel: Channel
    durable_at: datetime


@dataclass(frozen=True, slots=True)
class Taken:
    """One message in a vendor's books."""

    vendor: str
    object_id: str
    notification_id: str | None
    to: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Lost:
    """By our books, a notification one of whose calls nobody knows the end of."""

    began_at: Sequence[datetime]
    """Of those calls."""
    told: bool
    """It is known to have arrived all the same: by a receipt, by asking, or by telling it again."""


@dataclass(frozen=True, slots=True)
class Paid:
    """What one traveller has, by the provider's and the suppliers' books."""

    traveller: str
    kept_minor: int
    """Captured less refunded, over all bookings of the trip."""
    price_minor: int
    """Of the flights that are live."""
    live: int
    """Tickets for the trip: one is for all of its flights."""


@dataclass(frozen=True)
class Week:
    """All that is judged."""

    said: dict[tuple[str, str], list[tuple[NotificationKind, ...]]]
    """What the airlines did to a flight that its traveller must hear of, in order; by traveller and flight. Each once, as one of these
    kinds."""
    announced: Sequence[Announced]
    taken: Sequence[Taken]
    addresses: dict[str, dict[Channel, str]]
    """Of each traveller, where they want to be told."""
    paid: Sequence[Paid]
    lost: dict[str, Lost] = field(default_factory=dict[str, Lost])
    superseded: Collection[str] = ()
    """By our books, notifications that their vendor did not take at first, until a newer one left nothing to tell of."""
    killed_at: Collection[datetime] = ()


def violations(week: Week) -> list[str]:
    """In words; none: everybody was told exactly once of each change by each channel, of nothing that was not durable, and has a
    flight. Where a worker died during a call whose end its vendor cannot be asked for, a safety notice may be there twice, and any
    other may be missing. What had to wait may be missing if they were told by the same channel of what came of it since."""
    return [*_told_once(week), *_never_early(week), *_all_that_was_said(week), *_lost_for_a_reason(week), *_flies(week)]


def doubtful(week: Week) -> int:
    """How many of the notices the exception is made for."""
    return len(week.lost)


def _told_once(week: Week) -> Iterator[str]:
    counted = Counter(message.notification_id for message in week.taken)
    for one in week.announced:
        times, lost = counted[one.notification_id], week.lost.get(one.notification_id)
        least = 1 if lost is None or lost.told else 0
        most = 2 if lost is not None and one.kind in SAFETY else 1
        if one.notification_id in week.superseded and _replaced(week, one):
            least = most = 0
        if not least <= times <= most:
            yield f"{one.traveller} was told {times} times of {one.kind} by {one.channel} ({one.notification_id})"


def _replaced(week: Week, older: Announced) -> bool:
    """By a newer state that leaves nothing to tell of it, and that must itself be told by the same channel."""
    return any(
        older.kind in MAKES_POINTLESS.get(one.kind, ()) and one.durable_at > older.durable_at
        for one in week.announced
        if (one.traveller, one.channel) == (older.traveller, older.channel)
        and (one.flight_key == older.flight_key or None in (one.flight_key, older.flight_key))
    )


def _never_early(week: Week) -> Iterator[str]:
    announced = {one.notification_id: one for one in week.announced}
    for message in week.taken:
        of = announced.get(message.notification_id or "")
        if of is None:
            yield f"{message.vendor} has {message.object_id}, which tells of nothing that was recorded"
        elif message.at < of.durable_at:
            yield f"{of.traveller} was told of {of.kind} by {of.channel} before it was recorded"
        elif week.addresses[of.traveller].get(of.channel) != message.to:
            yield f"{message.vendor} has {message.object_id} for somebody else than {of.traveller}"


def _all_that_was_said(week: Week) -> Iterator[str]:
    """Independent of what our books say was announced: two records of one change are one too many."""
    heard: defaultdict[tuple[str, str, Channel], list[tuple[datetime, str, NotificationKind]]] = defaultdict(list)
    first: dict[str, datetime] = {}
    for message in week.taken:
        if message.notification_id is not None:
            first[message.notification_id] = min(message.at, first.get(message.notification_id, message.at))
    for one in week.announced:
        known = (
            one.notification_id in first or one.notification_id in week.lost or one.notification_id in week.superseded
        )
        if one.flight_key is not None and known:
            # One that was lost or superseded has the place that it would have had.
            at = first.get(one.notification_id, one.durable_at)
            heard[one.traveller, one.flight_key, one.channel].append((at, one.notification_id, one.kind))
    for (traveller, flight_key), kinds in week.said.items():
        for channel in week.addresses[traveller]:
            told = [kind for _, _, kind in sorted(heard[traveller, flight_key, channel])]
            if len(told) != len(kinds) or any(one not in of for one, of in zip(told, kinds, strict=True)):
                yield f"of {flight_key} {traveller} was to hear {kinds}, and heard {told} by {channel}"


def _lost_for_a_reason(week: Week) -> Iterator[str]:
    for notification_id, lost in week.lost.items():
        for began_at in lost.began_at:
            if not any(timedelta() <= at - began_at <= _UNDER_WAY_FOR_AT_MOST for at in week.killed_at):
                yield f"nobody knows what became of {notification_id}, and no worker was killed meanwhile"


def _flies(week: Week) -> Iterator[str]:
    for one in week.paid:
        if one.kept_minor > 0 and one.live == 0:
            yield f"{one.traveller} has paid {one.kept_minor} and has no flight"
        if one.live != 1:
            yield f"{one.traveller} has {one.live} tickets for one trip"
        if one.kept_minor != one.price_minor:
            yield f"{one.traveller} has paid {one.kept_minor} for what costs {one.price_minor}"
    for traveller in week.addresses.keys() - {one.traveller for one in week.paid}:
        yield f"nothing is known of what {traveller} has"
