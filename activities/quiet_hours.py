"""When a traveller may be rung up: quiet hours by the clock of their own zone, over midnight and over changes of the clock."""

from datetime import UTC, datetime, time, timedelta

from schema.notifications import QuietHours
from schema.zones import zone

_STEP = timedelta(minutes=1)


def quiet_until(quiet: QuietHours, now: datetime) -> datetime | None:
    """The first whole minute after which the clock shows no quiet hour; None if it shows none now.

    Looked for minute by minute, so that a clock that is put forward or back needs no rule of its own.
    """
    there = zone(quiet.time_zone)
    if not _is_quiet(quiet, now.astimezone(there).time()):
        return None
    moment = now.astimezone(UTC).replace(second=0, microsecond=0) + _STEP
    while _is_quiet(quiet, moment.astimezone(there).time()):
        moment += _STEP
    return moment


def _is_quiet(quiet: QuietHours, clock: time) -> bool:
    if quiet.starts <= quiet.ends:
        return quiet.starts <= clock < quiet.ends
    return clock >= quiet.starts or clock < quiet.ends
