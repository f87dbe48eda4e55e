"""SMS by Twilio. Source: vendor-specs/twilio/twilio_api_v2010-messages.json and vendor-specs/README.md section 7.

A message that is sent again arrives twice, and none carries an id of ours. After a lost answer it can be looked up by its number and
its text, which is ours alone; and its status callbacks name it, because our notification id is in the address they are sent to.
"""

import base64
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import sha1
from typing import Final, Literal
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from pydantic import SecretStr

from gateways.fields import Fields, is_object
from gateways.http import Answer, VendorHttp, path_segment
from gateways.notice_ports import Notice, Receipt
from gateways.notice_wire import CREDENTIALS_REFUSED, OUR_ID, not_taken, not_theirs, sending, taken
from gateways.parts import Parts
from schema.errors import CredentialsRefused, RateLimited, UnreadableEvent, VendorContractBroken
from schema.notifications import Channel
from schema.outcomes import Confirmed, Outcome, Rejected

VENDOR: Final = "twilio"
RECEIPTS: Final = "v1/webhooks/twilio"
"""Below our public address: where status callbacks go."""
SIGNATURE: Final = "x-twilio-signature"
OK: Final = 200
CREATED: Final = 201
TOO_MANY_REQUESTS: Final = 20429
REJECTIONS: Final[dict[int, str]] = {21211: "address_unusable", 21614: "address_unusable", 21610: "opted_out"}
"""No valid number, no mobile, unsubscribed. Any other refusal is `vendor_rejected`."""
STATUSES: Final[dict[str, Literal["sent", "delivered", "failed", "opened"]]] = {
    "sent": "sent",
    "delivered": "delivered",
    "undelivered": "failed",
    "failed": "failed",
    "canceled": "failed",
    "read": "opened",
}
"""The others (accepted, queued, sending ...) come before Twilio itself has handed it on."""
PAGE_SIZE: Final = 100
MAX_PAGES: Final = 20
CLOCKS_DIFFER: Final = timedelta(minutes=1)
"""At most, between theirs and ours; and their times have no fractions of a second."""


class TwilioSms:
    """The port `NoticeSender`."""

    def __init__(
        self, http: VendorHttp, account_sid: str, auth_token: SecretStr, *, sender: str, public_url: str
    ) -> None:
        """`sender` is the number that messages come from; `public_url` is where Twilio reaches this API."""
        self._http = http
        self._auth_token = auth_token
        basic = base64.b64encode(f"{account_sid}:{auth_token.get_secret_value()}".encode()).decode()
        self._headers = {"Accept": "application/json", "Authorization": f"Basic {basic}"}
        self._path = f"/2010-04-01/Accounts/{path_segment(account_sid)}/Messages.json"
        self._sender = sender
        self._receipts_url = f"{public_url.rstrip('/')}/{RECEIPTS}"

    @property
    def code(self) -> str:
        return VENDOR

    @property
    def channel(self) -> Channel:
        return "sms"

    async def send(self, notice: Notice) -> Outcome:
        """POST Messages.json; the reference is the message's SID."""
        return await taken(self._send(notice))

    async def find(self, notice: Notice, since: datetime) -> Outcome | None:
        """GET Messages.json by number, and of those made since then the one with this text.

        By the time of sending Twilio could select too, but a message that still waits in its queue has none.
        """
        question: dict[str, str] = {"To": notice.to, "PageSize": str(PAGE_SIZE)}
        for _ in range(MAX_PAGES):
            page = await self._page(notice, question)
            for message in page.objects("messages"):
                if message.text_or_none("body") == notice.text and _made_at(message) >= since - CLOCKS_DIFFER:
                    return Confirmed(provider_reference=message.text("sid"))
            following = page.text_or_none("next_page_uri")
            if following is None:
                return Rejected(code="not_found", message=f"{VENDOR} has no such message")
            # Only its query: our credentials go to no address that an answer names.
            question = dict(parse_qsl(urlsplit(following).query))
        raise VendorContractBroken(f"{VENDOR}: find: more than {MAX_PAGES} pages to one number")

    def read_receipts(self, headers: Mapping[str, str], body: bytes, url: str) -> list[Receipt]:
        """Of one status callback. It carries no id of its own and no time: a message's status is told once, and when it arrives.

        A replay changes nothing, for the same status of the same message is the same event; so no time needs to be signed.
        """
        parameters = _form(body)
        given = {name.lower(): value for name, value in headers.items()}.get(SIGNATURE, "")
        if not _genuine(given, url, parameters, self._auth_token):
            raise not_theirs()
        message_id, status = parameters.get("MessageSid"), parameters.get("MessageStatus")
        if not message_id or not status:
            raise UnreadableEvent(None)
        if status not in STATUSES:
            return []
        error = parameters.get("ErrorCode", "")
        return [
            Receipt(
                event_id=f"{message_id}:{status}",
                notification_id=(parse_qs(urlsplit(url).query).get(OUR_ID) or [None])[0],
                provider_reference=message_id,
                status=STATUSES[status],
                reason=f"code {error}" if STATUSES[status] == "failed" and error.isdigit() else None,
                occurred_at=datetime.now(UTC),
            )
        ]

    async def _send(self, notice: Notice) -> Outcome:
        form = {
            "To": notice.to,
            "From": self._sender,
            "Body": notice.text,
            "StatusCallback": f"{self._receipts_url}?{urlencode({OUR_ID: notice.notification_id})}",
        }
        headers = {**self._headers, "Content-Type": "application/x-www-form-urlencoded"}
        content = urlencode(form).encode()
        answer = await self._http.send(
            sending(self._http, notice), "POST", self._path, headers=headers, content=content
        )
        if answer.status == CREATED:
            return Confirmed(provider_reference=answer.fields("message").text("sid"))
        code = _error_code(answer)
        if code == TOO_MANY_REQUESTS:
            raise RateLimited(VENDOR, f"code {code}", retry_after_s=answer.retry_after_s)
        return not_taken(answer, f"code {code}" if code else "no code", REJECTIONS.get(code or 0, "vendor_rejected"))

    async def _page(self, notice: Notice, question: dict[str, str]) -> Fields:
        call = self._http.telling("find", notice.correlation_id, priority="booking")
        answer = await self._http.send(call, "GET", f"{self._path}?{urlencode(question)}", headers=self._headers)
        if answer.status in CREDENTIALS_REFUSED:
            raise CredentialsRefused(VENDOR, f"find: status {answer.status}")
        if answer.no_server_error().status != OK:
            raise VendorContractBroken(f"{VENDOR}: find: status {answer.status}, code {_error_code(answer)}")
        return answer.fields("messages")


def _made_at(message: Fields) -> datetime:
    """`date_created`, as RFC 2822 has it."""
    try:
        made_at = parsedate_to_datetime(message.text("date_created"))
    except ValueError as error:
        raise message.broken("date_created") from error
    return made_at.replace(tzinfo=made_at.tzinfo or UTC)


def _form(body: bytes) -> dict[str, str]:
    """What is no form has no parameters, and then no genuine signature."""
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=100, errors="strict"))
    except ValueError:
        return {}


def _genuine(signature: str, url: str, parameters: Mapping[str, str], auth_token: SecretStr) -> bool:
    """Base64 of the HMAC-SHA1 over the very address and each parameter, by name; SHA-1 is Twilio's choice."""
    signed = url + "".join(name + parameters[name] for name in sorted(parameters))
    expected = base64.b64encode(hmac.new(auth_token.get_secret_value().encode(), signed.encode(), sha1).digest())
    return hmac.compare_digest(signature.encode(), expected)


def _error_code(answer: Answer) -> int | None:
    """None where the body is not Twilio's own, such as a load balancer's page."""
    try:
        document = answer.json()
    except VendorContractBroken:
        return None
    return Fields(VENDOR, "error", document).whole_or_none("code") if is_object(document) else None


def build(parts: Parts) -> TwilioSms | None:
    """From the settings; None without account, token and number."""
    settings = parts.settings
    if not settings.twilio_account_sid or settings.twilio_auth_token is None or not settings.twilio_from:
        return None
    return TwilioSms(
        parts.http(VENDOR, settings.twilio_url),
        settings.twilio_account_sid,
        settings.twilio_auth_token,
        sender=settings.twilio_from,
        public_url=str(settings.public_url),
    )
