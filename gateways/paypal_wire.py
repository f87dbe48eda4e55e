"""PayPal on the wire: access token, request ids, amounts as PayPal writes them, and what its errors mean.

Sources: vendor-specs/README.md section 6 and vendor-specs/paypal (the schemas `error_*`, `401` to `422` and `orders.*-422`).
"""

import base64
from urllib.parse import urlencode

import orjson
import structlog

from gateways.fields import Fields, is_object
from gateways.http import FIRST_SERVER_ERROR, Answer, Call, LostAnswer, VendorHttp
from gateways.oauth import AccessToken
from schema.errors import CredentialsRefused, VendorContractBroken, VendorUnavailable
from schema.money import Money, exponent_of
from schema.outcomes import Rejected

VENDOR = "paypal"
TOKEN_PATH = "/v1/oauth2/token"  # noqa: S105 - a path
OK = 200
DONE = frozenset({200, 201, 204})
"""200 where the request id was seen before and PayPal shows what came of it; 204 of a void without a document."""
UNAUTHORISED = 401
CREDENTIALS_REFUSED = frozenset({401, 403})
TOKEN_REFUSED = frozenset({400, 401, 403})
REQUEST_TIMEOUT = 408
CONFLICT = 409
NOT_NOW = frozenset({"PREVIOUS_REQUEST_IN_PROGRESS", "ORDER_COMPLETION_IN_PROGRESS", "PENDING_CAPTURE"})
"""Nothing was done by this call, and the same call may succeed later."""

_logger = structlog.stdlib.get_logger("gateways.paypal")


class Refusal(Exception):
    """PayPal's definite no: nothing was done by this call. `issue` is its finest code, None where it gives none."""

    def __init__(self, status: int, issue: str | None) -> None:
        super().__init__(issue)
        self.status = status
        self.issue = issue


class PayPalWire:
    """Sends one call in PayPal's way."""

    def __init__(self, http: VendorHttp, client_id: str, client_secret: str) -> None:
        self.http = http
        self._basic = base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()
        self._token = AccessToken(VENDOR, self._fetch_token)

    async def read(self, call: Call, path: str) -> Fields:
        """A GET. Raises VendorUnavailable on a 5xx, VendorContractBroken on anything else that is no document: we only read
        what PayPal has named to us."""
        answer = (await self._send(call, "GET", path, {})).no_server_error()
        if answer.status != OK:
            raise VendorContractBroken(f"{VENDOR}: {_told(call, answer)}")
        return answer.fields(call.operation)

    async def post(
        self, call: Call, path: str, body: dict[str, object] | None = None, *, request_id: str | None = None
    ) -> Answer:
        """A POST that succeeded, with the whole object in its answer.

        Raises Refusal for a definite no, VendorUnavailable for 409 and what stands in its way only now, LostAnswer for a 5xx,
        VendorContractBroken for an unreadable answer, CredentialsRefused if we are not known or not allowed to do this.
        """
        headers = {
            "Prefer": "return=representation",
            **({} if request_id is None else {"PayPal-Request-Id": request_id}),
        }
        content = None if body is None else orjson.dumps(body)
        return _succeeded(call, await self._send(call, "POST", path, headers, content))

    async def ask(self, call: Call, path: str, content: bytes) -> Answer:
        """A POST that changes nothing, with a body that is JSON already; raises VendorUnavailable on a 5xx, otherwise as `post`."""
        return _succeeded(call, (await self._send(call, "POST", path, {}, content)).no_server_error())

    async def _send(
        self, call: Call, method: str, path: str, headers: dict[str, str], content: bytes | None = None
    ) -> Answer:
        """After a 401, once more with a new token, whatever the call does: a 401 says that nothing was done."""
        headers = {"Accept": "application/json", "Content-Type": "application/json", **headers}

        async def attempt(token: str) -> Answer:
            authorised = {**headers, "Authorization": f"Bearer {token}"}
            return await self.http.send(call, method, path, headers=authorised, content=content)

        token = await self._token.current(call)
        answer = await attempt(token)
        if answer.status == UNAUTHORISED:
            answer = await attempt(await self._token.current(call, refused=token))
        if answer.status not in DONE:
            _log(call, answer)
        if answer.status in CREDENTIALS_REFUSED:
            raise CredentialsRefused(VENDOR, _told(call, answer))
        return answer

    async def _fetch_token(self, call: Call) -> Fields:
        headers = {
            "Accept": "application/json",
            "Authorization": f"Basic {self._basic}",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        form = urlencode({"grant_type": "client_credentials"}).encode()
        answer = await self.http.send(call, "POST", TOKEN_PATH, headers=headers, content=form)
        if answer.status in TOKEN_REFUSED:
            raise CredentialsRefused(VENDOR, "the client id or secret is not accepted")
        if answer.status != OK:
            raise VendorContractBroken(f"{VENDOR}: token: status {answer.status}")
        return answer.fields("token")


def _succeeded(call: Call, answer: Answer) -> Answer:
    if answer.status in DONE:
        return answer
    told = _told(call, answer)
    if answer.status >= FIRST_SERVER_ERROR or answer.status == REQUEST_TIMEOUT:
        raise LostAnswer(f"{VENDOR}: {told}")
    if answer.status < 400 or not answer.readable:
        raise VendorContractBroken(f"{VENDOR}: {told}: the answer cannot be read")
    issue = _issue(answer)
    if answer.status == CONFLICT or issue in NOT_NOW:
        raise VendorUnavailable(VENDOR, told, retry_after_s=answer.retry_after_s)
    raise Refusal(answer.status, issue)


def _problem(answer: Answer) -> Fields:
    """PayPal's error document; an empty one where the body is somebody else's, such as a load balancer's page."""
    try:
        document = answer.json()
    except VendorContractBroken:
        document = None
    return Fields(VENDOR, "error", document if is_object(document) else {})


def _issue(answer: Answer) -> str | None:
    problem = _problem(answer)
    try:
        details = problem.objects_or_none("details") or []
    except VendorContractBroken:
        details = []
    return (details[0].text_or_none("issue") if details else None) or problem.text_or_none("name")


def _told(call: Call, answer: Answer) -> str:
    """A refusal in a line; messages and values may repeat what we sent."""
    return f"{call.operation}: status {answer.status}, {_issue(answer) or 'no issue'}"


def _log(call: Call, answer: Answer) -> None:
    _logger.info(
        "vendor_problem",
        vendor=VENDOR,
        operation=call.operation,
        status=answer.status,
        issue=_issue(answer),
        debug_id=_problem(answer).text_or_none("debug_id"),
        correlation_id=call.correlation_id,
    )


# --- amounts ---

_WHOLE_AT_PAYPAL = frozenset({"HUF", "JPY", "TWD"})
"""No decimals at PayPal, whatever ISO 4217 says; an amount with some is refused (DECIMALS_NOT_SUPPORTED)."""
_WITHIN_ONE_COUNTRY = frozenset({"BRL", "CNY", "MYR"})
_EVERYWHERE = "AUD CAD CHF CZK DKK EUR GBP HKD ILS MXN NOK NZD PHP PLN SEK SGD THB USD"
CURRENCIES = frozenset(_EVERYWHERE.split()) | _WITHIN_ONE_COUNTRY | _WHOLE_AT_PAYPAL
"""What PayPal takes (developer.paypal.com/api/rest/reference/currency-codes); whether ours is the one country, PayPal knows."""


class NotPayable(ValueError):
    """PayPal cannot take exactly this amount; `code` is ours."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def to_paypal(amount: Money) -> dict[str, object]:
    """The amount as PayPal writes it; raises NotPayable where it cannot take it exactly: rounding would charge something else."""
    currency = amount.currency
    if currency not in CURRENCIES:
        raise NotPayable("currency_not_supported", f"PayPal takes no {currency}")
    if currency not in _WHOLE_AT_PAYPAL:
        return {"currency_code": currency, "value": amount.decimal()}
    whole, rest = divmod(amount.amount_minor, 10 ** exponent_of(currency))
    if rest:
        raise NotPayable("amount_out_of_range", f"PayPal takes whole {currency} only, not {amount}")
    return {"currency_code": currency, "value": str(whole)}


def money_of(document: Fields, name: str = "amount") -> Money:
    """An amount of a PayPal object; raises VendorContractBroken for one that is none."""
    return document.object(name).money("value", "currency_code")


# --- refusals ---

_DECLINED = "PayPal declined the payment."
_DECLINES: dict[str, str] = {
    "INSTRUMENT_DECLINED": "PayPal could not charge the card or bank account; choose another one in PayPal.",
    "PAYMENT_SOURCE_DECLINED_BY_PROCESSOR": "PayPal could not charge the card or bank account; choose another one in PayPal.",
    "CARD_EXPIRED": "The card has expired.",
    "REFERENCED_CARD_EXPIRED": "The card has expired.",
    "TRANSACTION_LIMIT_EXCEEDED": "The amount is above what PayPal allows for this account.",
    "AGREEMENT_ALREADY_CANCELLED": "This PayPal account is no longer linked; approve the payment again.",
    "BILLING_AGREEMENT_NOT_FOUND": "This PayPal account is no longer linked; approve the payment again.",
    "TOKEN_EXPIRED": "This PayPal account is no longer linked; approve the payment again.",
    "TOKEN_ID_NOT_FOUND": "This PayPal account is no longer linked; approve the payment again.",
    "AUTHORIZATION_DENIED": _DECLINED,
    "COMPLIANCE_VIOLATION": _DECLINED,
    "DOMESTIC_TRANSACTION_REQUIRED": _DECLINED,
    "MAX_NUMBER_OF_PAYMENT_ATTEMPTS_EXCEEDED": _DECLINED,
    "PAYEE_BLOCKED_TRANSACTION": _DECLINED,
    "PAYER_ACCOUNT_LOCKED_OR_CLOSED": _DECLINED,
    "PAYER_ACCOUNT_RESTRICTED": _DECLINED,
    "PAYER_CANNOT_PAY": _DECLINED,
    "PAYMENT_SOURCE_CANNOT_BE_USED": _DECLINED,
    "PAYMENT_SOURCE_INFO_CANNOT_BE_VERIFIED": _DECLINED,
    "TRANSACTION_BLOCKED_BY_PAYEE": _DECLINED,
    "TRANSACTION_REFUSED": _DECLINED,
}
"""What the payer can do something about is told; why an account is restricted or a payment suspected never is."""
_OUR_CODES: dict[str, str] = {
    "AUTHORIZATION_ALREADY_CAPTURED": "already_captured",
    "AUTHORIZATION_EXPIRED": "authorisation_expired",
    "AUTHORIZATION_VOIDED": "authorisation_expired",
    "CANNOT_BE_ZERO_OR_NEGATIVE": "amount_out_of_range",
    "CAPTURE_FULLY_REFUNDED": "already_refunded",
    "DECIMALS_NOT_SUPPORTED": "amount_out_of_range",
    "DECIMAL_PRECISION": "amount_out_of_range",
    "INVALID_CURRENCY_CODE": "currency_not_supported",
    "MAX_CAPTURE_AMOUNT_EXCEEDED": "amount_out_of_range",
    "MAX_VALUE_EXCEEDED": "amount_out_of_range",
    "ORDER_EXPIRED": "payment_not_completed",
    "PREVIOUSLY_CAPTURED": "already_captured",
    "REFUND_AMOUNT_EXCEEDED": "amount_out_of_range",
}


def rejected(refusal: Refusal) -> Rejected:
    """Ours for a definite no; the message is safe for customers."""
    issue = refusal.issue or ""
    if message := _DECLINES.get(issue):
        return Rejected(code="card_declined", message=message)
    return Rejected(
        code=_OUR_CODES.get(issue, "vendor_rejected"),
        message=f"The payment provider refused: {refusal.issue or refusal.status}.",
    )
