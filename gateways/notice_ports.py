"""The port of those who take messages to travellers: e-mail, SMS and push."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, Protocol

from schema.model import Message
from schema.notifications import Channel
from schema.outcomes import Outcome


class Notice(Message):
    """One message to one person, ready to be sent: personal data, which never enters a history or a log."""

    notification_id: str
    """Ours: the vendor keeps it where it can, and tells it in its receipts."""
    to: str
    """An e-mail address, a phone number (E.164) or a device's token."""
    subject: str = ""
    text: str
    html: str | None = None
    """E-mail only."""
    link: str | None = None
    """Push only: what a tap opens. In an e-mail and an SMS it is a part of the text already."""
    collapse_key: str | None = None
    """Push only: a newer message with this key takes the place of an older one on the device."""
    urgent: bool = False
    correlation_id: str


class Receipt(Message):
    """What a vendor's webhook says of a notice that it took."""

    event_id: str
    notification_id: str | None
    provider_reference: str | None
    status: Literal["sent", "delivered", "failed", "opened"]
    reason: str | None = None
    occurred_at: datetime


class NoticeSender(Protocol):
    """Who takes messages of one channel."""

    @property
    def code(self) -> str: ...
    @property
    def channel(self) -> Channel: ...

    async def send(self, notice: Notice) -> Outcome:
        """Confirmed: the vendor has taken it (`provider_reference` is its own id, or ours where it gives none). Rejected: it never
        will (`address_unusable` for an address that cannot be reached, `device_gone` for a token that is to be removed,
        `opted_out`, else `vendor_rejected`). Unknown: nobody can say. Raises VendorUnavailable when it had no effect for certain."""
        ...

    async def find(self, notice: Notice, since: datetime) -> Outcome | None:
        """What became of a lost `send`, where the vendor can be asked; None where it cannot. Confirmed, or Rejected with code
        `not_found` when nothing of it is there. Raises as a read does."""
        ...

    def read_receipts(self, headers: Mapping[str, str], body: bytes, url: str) -> list[Receipt]:
        """Of one webhook; `url` is the public address it was sent to, which some vendors sign. Raises schema.errors.NotFound where no
        receipts are taken, Malformed with code `invalid_signature`, and UnreadableEvent."""
        ...
