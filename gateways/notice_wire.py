"""What those who take messages have in common: how one is sent, and what it means if it was not taken."""

from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Final

from gateways.http import FIRST_SERVER_ERROR, Answer, Call, VendorHttp
from gateways.notice_ports import Notice
from schema.errors import CredentialsRefused, Malformed, OutcomeUnclear, VendorContractBroken
from schema.outcomes import Outcome, Rejected, Unknown

TOLERANCE_S: Final = 300
"""A webhook whose signature is older, or from as far ahead, may be somebody's replay."""
CREDENTIALS_REFUSED: Final = frozenset({401, 403})
REQUEST_TIMEOUT: Final = 408
OUR_ID: Final = "notification_id"
"""By which a vendor's receipt names what we sent."""


def sending(http: VendorHttp, notice: Notice) -> Call:
    """What is not urgent leaves the last part of the vendor's quota to what is."""
    return http.telling("send", notice.correlation_id, priority="booking" if notice.urgent else "search")


async def taken(attempt: Awaitable[Outcome]) -> Outcome:
    """A message's outcome: a lost or unreadable answer is Unknown."""
    try:
        return await attempt
    except (OutcomeUnclear, VendorContractBroken) as error:
        return Unknown(reason=error.message)


def not_taken(answer: Answer, told: str, code: str) -> Outcome:
    """What an answer means that is no success: Unknown unless it is a 4xx. `told` may hold codes, never what we sent; `code` is ours.

    Raises CredentialsRefused if the vendor does not know us, or does not let us send this.
    """
    what = f"status {answer.status}, {told}"
    if answer.status in CREDENTIALS_REFUSED:
        raise CredentialsRefused(answer.vendor, what)
    if answer.status < 400 or answer.status >= FIRST_SERVER_ERROR or answer.status == REQUEST_TIMEOUT:
        return Unknown(reason=f"{answer.vendor}: {what}")
    return Rejected(code=code, message=f"{answer.vendor} refused: {what}")


def fresh(signed_at: str) -> bool:
    """Whether a webhook's time, in Unix seconds, is of now."""
    # int() takes more than digits, and float() much more.
    usable = signed_at.isascii() and signed_at.isdigit() and len(signed_at) <= 12
    return usable and abs(datetime.now(UTC).timestamp() - int(signed_at)) <= TOLERANCE_S


def not_theirs() -> Malformed:
    """The error to raise about a signature."""
    return Malformed("the webhook's signature does not match", code="invalid_signature")
