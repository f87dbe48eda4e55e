"""Telling travellers: planning who is told how, one try with one vendor, finding out what came of it, and giving up.

A try is written down before the vendor is called, and a vendor is called once for each number of a try. Addresses and texts are read
where they are sent and go nowhere else.
"""

import hashlib
from datetime import UTC, datetime
from typing import Final

from jinja2 import TemplateError
from sqlalchemy.ext.asyncio import AsyncConnection
from structlog.stdlib import get_logger
from temporalio import activity

from activities.notice_reading import LinkMaker, read_content
from activities.quiet_hours import quiet_until
from activities.rendering import Rendered, render
from gateways.notice_ports import Notice, NoticeSender
from gateways.ports import Vendors
from schema.dead_letters import NOT_TAKEN, Failure, NewDeadLetter
from schema.errors import TravelHubError, VendorUnavailable
from schema.notifications import (
    CHANNELS,
    NOTIFICATION_LETTER,
    RINGS,
    SAFETY,
    Channel,
    DeliveryResult,
    DeliveryStep,
    GiveUp,
    NotificationInput,
    NotificationPlan,
    Preferences,
    Replay,
    flight_of_disruption,
    letter_event_id,
    notice_stream,
    notification_id_for,
)
from schema.outcomes import Confirmed, Outcome, Rejected, Unknown
from store import bookings, dead_letters, devices, events, notifications, preferences
from store.database import Database
from store.events import NewEvent
from store.notifications import NewRow, StoredRow

_log = get_logger(__name__)
NOTHING_TO_TELL: Final = "nothing_to_tell"
_NO_ANSWER: Final = "no_answer_recorded"


class Notifications:
    def __init__(self, database: Database, vendors: Vendors, links: LinkMaker) -> None:
        self._database = database
        self._vendors = vendors
        self._links = links

    @activity.defn
    async def plan_notification(self, wanted: NotificationInput) -> NotificationPlan:
        """A row for each channel and recipient, with those that are not told and why. Planned once; again it is only read."""
        async with self._database.transaction() as connection:
            rows = await notifications.planned(connection, wanted.subject, wanted.kind, wanted.revision)
            if not rows:
                await notifications.plan(connection, await self._plan(connection, wanted))
                rows = await notifications.planned(connection, wanted.subject, wanted.kind, wanted.revision)
        return NotificationPlan(rows=[row.planned() for row in rows])

    @activity.defn
    async def planned_row(self, wanted: Replay) -> NotificationPlan:
        """One row as it stands, if anything is left to do for it."""
        async with self._database.read() as connection:
            row = await notifications.get(connection, wanted.notification_id)
        return NotificationPlan(rows=[row.planned()] if row is not None and row.planned().open else [])

    @activity.defn
    async def show_live(self, step: DeliveryStep) -> DeliveryResult:
        """In the live feed: an event of the outbox, in the same transaction as its row."""
        async with self._database.transaction() as connection:
            row = await notifications.get(connection, step.notification_id, lock=True)
            if row is None or not row.planned().open:
                return _over(row)
            rendered = await self._rendered(connection, row)
            if not isinstance(rendered, Rendered):
                return await _ended(connection, row, rendered)
            await events.append(connection, _feed_event(row, rendered))
            await notifications.shown(connection, row.notification_id)
        return DeliveryResult(kind="done", state="sent")

    @activity.defn
    async def send_notice(self, step: DeliveryStep) -> DeliveryResult:
        """One try with the channel's vendor. Run again, it tells what came of the first run, as far as that is known."""
        async with self._database.transaction() as connection:
            row = await notifications.get(connection, step.notification_id, lock=True)
            if row is None or not row.planned().open:
                return _over(row)
            if row.tries >= step.number:
                return _as_recorded(row, step)
            ready = await self._ready(connection, row, step)
            if isinstance(ready, DeliveryResult):
                return ready
            sender, notice = ready
            text = notice.text if row.channel == "sms" else None
            await notifications.begin(connection, row, step.number, sender.code, text)
        try:
            outcome: Outcome = await sender.send(notice)
        except VendorUnavailable as error:
            async with self._database.transaction() as connection:
                await notifications.finish(
                    connection, row.notification_id, step.number, "unavailable", error.problem_code
                )
            return DeliveryResult(
                kind="later", state="sending", reason=error.problem_code, retry_after_s=error.retry_after_s
            )
        except TravelHubError as error:
            outcome = Unknown(reason=error.problem_code)
        return await self._record(row, step, outcome)

    @activity.defn
    async def find_out_notice(self, step: DeliveryStep) -> DeliveryResult:
        """Asks the vendor what became of a lost try. Raises while a vendor that can be asked is away."""
        async with self._database.transaction() as connection:
            row = await notifications.get(connection, step.notification_id, lock=True)
            if row is None or not row.planned().open:
                return _over(row)
            sender = self._vendors.notice_sender(row.channel)
            notice = None if sender is None else await self._notice(connection, row, step)
        if sender is None or not isinstance(notice, Notice):
            return DeliveryResult(kind="in_doubt", state=row.state, reason=_NO_ANSWER)
        lost = row.attempts[step.number - 1]
        # The books may tell it in other words by now.
        as_sent = notice if lost.text is None else notice.model_copy(update={"text": lost.text})
        found = await sender.find(as_sent, lost.at)
        if found is None or isinstance(found, Unknown):
            async with self._database.transaction() as connection:
                await notifications.finish(connection, row.notification_id, step.number, "unknown", _NO_ANSWER)
            return DeliveryResult(kind="in_doubt", state=row.state, reason=_NO_ANSWER)
        if isinstance(found, Rejected) and found.code == "not_found":
            async with self._database.transaction() as connection:
                await notifications.finish(connection, row.notification_id, step.number, "unavailable", found.code)
            return DeliveryResult(kind="later", state="sending", reason=found.code)
        return await self._record(row, step, found)

    @activity.defn
    async def look_for_receipt(self, step: DeliveryStep) -> DeliveryResult:
        """What the vendor has said by itself meanwhile."""
        async with self._database.read() as connection:
            row = await notifications.get(connection, step.notification_id)
        if row is None or not row.planned().open:
            return _over(row)
        return DeliveryResult(kind="in_doubt", state=row.state, reason=_NO_ANSWER)

    @activity.defn
    async def give_up_notice(self, given_up: GiveUp) -> DeliveryResult:
        """The end of the ladder. What no vendor took for a day waits for an operator as a dead letter."""
        async with self._database.transaction() as connection:
            state = await notifications.end(connection, given_up.notification_id, given_up.state, given_up.reason)
            row = await notifications.get(connection, given_up.notification_id)
            if row is not None and state == "dead":
                await dead_letters.add(connection, _letter(row, given_up))
        _log.warning("notification_given_up", notification_id=given_up.notification_id, state=state)
        return DeliveryResult(kind="done", state=state, reason=given_up.reason)

    async def _plan(self, connection: AsyncConnection, wanted: NotificationInput) -> list[NewRow]:
        wishes = await preferences.get(connection, wanted.client_id)
        registered = [device.device_id for device in await devices.of_client(connection, wanted.client_id)]
        email, phone_number = await _addresses(connection, wanted.booking_id, wishes)
        reachable: dict[Channel, list[str]] = {
            "live": [""],
            "push": registered,
            "sms": [""] if phone_number else [],
            "email": [""] if email else [],
        }
        quiet = None
        if wishes.quiet_hours is not None and wanted.kind not in SAFETY:
            quiet = quiet_until(wishes.quiet_hours, datetime.now(UTC))
        rows: list[NewRow] = []
        for channel in CHANNELS:
            why_not = None
            if channel not in wishes.channels:
                why_not = "by_preference"
            elif channel != "live" and self._vendors.notice_sender(channel) is None:
                why_not = "not_configured"
            elif not reachable[channel]:
                why_not = "no_address"
            recipients = [""] if why_not else reachable[channel]
            rows += [
                NewRow(
                    notification_id=notification_id_for(
                        wanted.subject, wanted.kind, wanted.revision, channel, recipient
                    ),
                    channel=channel,
                    recipient=recipient,
                    state="skipped" if why_not else "planned",
                    reason=why_not,
                    language=wishes.language,
                    not_before=quiet if channel in RINGS and not why_not else None,
                    **wanted.model_dump(
                        include={
                            *("subject", "kind", "revision", "client_id", "booking_id"),
                            *("itinerary_id", "disruption_id", "correlation_id"),
                        }
                    ),
                )
                for recipient in recipients
            ]
        return rows

    async def _ready(
        self, connection: AsyncConnection, row: StoredRow, step: DeliveryStep
    ) -> tuple[NoticeSender, Notice] | DeliveryResult:
        """All that a call needs, or why there is none now."""
        if step.waited and await notifications.is_pointless(connection, row):
            return await _ended(connection, row, "superseded")
        if row.channel in RINGS and row.kind not in SAFETY:
            wishes = await preferences.get(connection, row.client_id)
            now = datetime.now(UTC)
            until = None if wishes.quiet_hours is None else quiet_until(wishes.quiet_hours, now)
            if until is not None:
                return DeliveryResult(kind="quiet", state=row.state, retry_after_s=(until - now).total_seconds())
        sender = self._vendors.notice_sender(row.channel)
        if sender is None:
            return await _ended(connection, row, "not_configured")
        notice = await self._notice(connection, row, step)
        return (sender, notice) if isinstance(notice, Notice) else await _ended(connection, row, notice)

    async def _notice(self, connection: AsyncConnection, row: StoredRow, step: DeliveryStep) -> Notice | str:
        """The message, or why there is none."""
        to = await self._address(connection, row)
        if to is None:
            return "no_address"
        rendered = await self._rendered(connection, row)
        if not isinstance(rendered, Rendered):
            return rendered
        words: dict[str, object] = {"subject": rendered.subject, "text": rendered.text, "html": rendered.html}
        if row.channel == "sms":
            # Looked up by its text: the last word makes it this notification's and no other's.
            words = {"text": f"{rendered.sms} [{row.notification_id[-5:]}]"}
        elif row.channel == "push":
            words = {"subject": rendered.title, "text": rendered.line}
        return Notice.model_validate(
            {
                **words,
                "notification_id": row.notification_id,
                "to": to,
                "link": self._links.link(row.itinerary_id) if row.channel == "push" else None,
                "collapse_key": _collapse_key(row) if row.channel == "push" else None,
                "urgent": row.kind in SAFETY,
                "correlation_id": step.correlation_id,
            }
        )

    async def _address(self, connection: AsyncConnection, row: StoredRow) -> str | None:
        if row.channel == "push":
            return await devices.token_of(connection, row.recipient)
        wishes = await preferences.get(connection, row.client_id)
        email, phone_number = await _addresses(connection, row.booking_id, wishes)
        return email if row.channel == "email" else phone_number

    async def _rendered(self, connection: AsyncConnection, row: StoredRow) -> Rendered | str:
        """In words, or why not."""
        content = await read_content(connection, row, row.language, self._links)
        if content is None:
            return NOTHING_TO_TELL
        try:
            return render(content)
        except TemplateError as error:
            # Its text may quote what it was given.
            _log.exception("notice_not_rendered", kind=row.kind, error=type(error).__name__)
            return "not_rendered"

    async def _record(self, row: StoredRow, step: DeliveryStep, outcome: Outcome) -> DeliveryResult:
        """What the vendor said. A device that it does not know any more is removed."""
        async with self._database.transaction() as connection:
            if isinstance(outcome, Confirmed):
                state = await notifications.finish(
                    connection,
                    row.notification_id,
                    step.number,
                    "confirmed",
                    provider_reference=outcome.provider_reference,
                )
                return DeliveryResult(kind="done", state=state)
            if isinstance(outcome, Rejected):
                state = await notifications.finish(
                    connection, row.notification_id, step.number, "rejected", outcome.code
                )
                if outcome.code == "device_gone":
                    await devices.remove(connection, row.recipient, "device_gone")
                return DeliveryResult(kind="done", state=state, reason=outcome.code)
            await notifications.finish(connection, row.notification_id, step.number, "unknown", _NO_ANSWER)
        return DeliveryResult(kind="in_doubt", state="sending", reason=_NO_ANSWER)


async def _addresses(
    connection: AsyncConnection, booking_id: str, wishes: Preferences
) -> tuple[str | None, str | None]:
    """E-mail and telephone: as preferred, else the lead traveller's."""
    lead = None
    if wishes.email is None or wishes.phone_number is None:
        lead = await bookings.lead_traveller_of(connection, booking_id)
    email = wishes.email or (None if lead is None else lead.email)
    return email, wishes.phone_number or (None if lead is None else lead.phone_number)


async def _ended(connection: AsyncConnection, row: StoredRow, reason: str) -> DeliveryResult:
    """Nobody is called. One that may have been sent is not told to be skipped."""
    in_doubt = any(one.ended in (None, "unknown") for one in row.attempts)
    state = await notifications.end(connection, row.notification_id, "unknown" if in_doubt else "skipped", reason)
    return DeliveryResult(kind="done", state=state, reason=reason)


def _over(row: StoredRow | None) -> DeliveryResult:
    """It is decided already: by a receipt, or by a run that died before it could say so."""
    return DeliveryResult(kind="done", state="skipped" if row is None else row.state)


def _as_recorded(row: StoredRow, step: DeliveryStep) -> DeliveryResult:
    """What came of a try that was begun before."""
    ended = row.attempts[step.number - 1]
    if ended.ended == "unavailable":
        return DeliveryResult(kind="later", state=row.state, reason=ended.code)
    return DeliveryResult(kind="in_doubt", state=row.state, reason=_NO_ANSWER)


def _collapse_key(row: StoredRow) -> str:
    """Must merge on a device: a notice with a newer one of its kind about the same flight or booking, and one that is told twice. Must
    not merge: a gate with a delay. At most 64 bytes, which is what Apple takes."""
    about = flight_of_disruption(row.disruption_id) or row.subject
    return hashlib.sha256(f"{about} {row.kind}".encode()).hexdigest()[:32]


def _feed_event(row: StoredRow, rendered: Rendered) -> NewEvent:
    """No personal data: the title and line name flights and places, never people."""
    return NewEvent(
        client_id=row.client_id,
        booking_id=row.booking_id,
        stream=notice_stream(row.subject, row.kind),
        version=row.revision,
        type=f"notice.{row.kind}",
        state="told",
        data={
            "notification_id": row.notification_id,
            "subject": row.subject,
            "title": rendered.title,
            "text": rendered.line,
            "itinerary_id": row.itinerary_id,
            "disruption_id": row.disruption_id,
        },
    )


def _letter(row: StoredRow, given_up: GiveUp) -> NewDeadLetter:
    return NewDeadLetter(
        kind=NOTIFICATION_LETTER,
        vendor=row.vendor or row.channel,
        event_id=letter_event_id(row.notification_id, given_up.number),
        type=row.kind,
        booking_id=row.booking_id,
        subject=row.notification_id,
        failure=Failure(cause=NOT_TAKEN, detail=f"{row.channel}: {given_up.reason}"),
        failures=row.tries,
        first_failed_at=row.first_tried_at,
    )
