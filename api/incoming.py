"""What a webhook says, as far as we keep it: which object of ours or of the vendor's it is about, or why that cannot be told."""

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from api.models import BOOKING_ID_PATTERN, PAYMENT_ID_PATTERN
from gateways.ports import Vendors
from schema.dead_letters import UNREADABLE, UNUSABLE_IDS, Failure, NewDeadLetter
from schema.errors import (
    NotFound,
    OutcomeUnclear,
    ServiceUnavailable,
    UnreadableEvent,
    VendorContractBroken,
    VendorUnavailable,
)
from schema.references import booking_of_payment
from store.inbox import InboxMessage

_LONGEST: Final = 255
_NO_EVENT: Final = Failure(cause=UNREADABLE, detail="signed by its vendor, and no event as we know them")
_CANNOT_BE_KEPT: Final = Failure(cause=UNUSABLE_IDS, detail="an id or a type that is empty, too long or not printable")
_NOT_OURS_ALTHOUGH: Final = Failure(cause=UNUSABLE_IDS, detail="it names a booking of ours, and no payment of ours")


async def read(vendors: Vendors, vendor: str, headers: Mapping[str, str], body: bytes) -> InboxMessage | NewDeadLetter:
    """The message, or what is left of one that is genuine and cannot be used. One that concerns nothing of ours has no ids.

    Raises NotFound where no webhooks are taken from the vendor, Malformed for what is not the vendor's, and ServiceUnavailable when
    the vendor cannot be asked whether it is.
    """
    # A signature that is not ASCII is none, and could not be compared in constant time.
    given = {name.lower(): value for name, value in headers.items() if value.isascii()}
    try:
        return _checked(await _told(vendors, vendor, given, body), body)
    except UnreadableEvent as error:
        return unreadable(vendor, body, error.event_id)
    except (KeyError, NotFound):
        raise NotFound("no webhooks are taken from this vendor") from None
    except (OutcomeUnclear, VendorContractBroken, VendorUnavailable) as error:
        raise ServiceUnavailable("the vendor cannot be asked whether it has sent this; send it again") from error


def unreadable(vendor: str, body: bytes, event_id: str | None) -> NewDeadLetter:
    """What is left of a genuine message that is no event."""
    return _dead(vendor, body, event_id, _NO_EVENT)


def can_be_kept(text: str) -> bool:
    """Whether it can be an id or a type of a vendor's."""
    return 0 < len(text) <= _LONGEST and text.isprintable()


async def _told(vendors: Vendors, vendor: str, headers: Mapping[str, str], body: bytes) -> InboxMessage:
    """As it was told, with ids that may be anybody's. Raises KeyError for a vendor that tells nothing."""
    try:
        provider = vendors.payments(vendor)
    except KeyError:
        supplier = vendors.notifying(vendor)
        notice = supplier.parse_notice(body, headers.get(supplier.signature_header.lower(), ""))
        told = {"booking_id": None, "payment_id": None} | notice.model_dump()
    else:
        told = (await provider.read_webhook(headers, body)).model_dump()
    return InboxMessage.model_validate(told | {"vendor": vendor})


def _checked(told: InboxMessage, body: bytes) -> InboxMessage | NewDeadLetter:
    ours = {"payment_id": None, "booking_id": None}
    if told.payment_id is not None and re.fullmatch(PAYMENT_ID_PATTERN, told.payment_id):
        # Our ids say which booking a payment is of; what else is written there is not asked.
        ours = {"payment_id": told.payment_id, "booking_id": booking_of_payment(told.payment_id)}
    message = told.model_copy(update=ours)
    if not all(can_be_kept(text) for text in (message.event_id, message.type, message.subject) if text is not None):
        return _dead(told.vendor, body, told.event_id, _CANNOT_BE_KEPT, message)
    strange_payment = told.payment_id is not None and message.payment_id is None
    if strange_payment and told.booking_id is not None and re.fullmatch(BOOKING_ID_PATTERN, told.booking_id):
        named = told.model_copy(update={"payment_id": None})
        return _dead(told.vendor, body, told.event_id, _NOT_OURS_ALTHOUGH, named)
    return message


def _dead(
    vendor: str, body: bytes, event_id: str | None, failure: Failure, message: InboxMessage | None = None
) -> NewDeadLetter:
    """Without a usable id of its own it goes by its content, so that its repeats are one letter."""
    if event_id is None or not can_be_kept(event_id):
        event_id = f"sha256:{sha256(body).hexdigest()}"
    known = {} if message is None else message.model_dump(include={"type", "booking_id", "payment_id", "subject"})
    return NewDeadLetter(
        **{name: text for name, text in known.items() if text is not None and can_be_kept(text)},
        vendor=vendor,
        event_id=event_id,
        failure=failure,
    )
