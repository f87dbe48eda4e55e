"""What Duffel's flights and cars have in common: headers, the {"data": …} envelope, errors and what they mean.

Sources: vendor-specs/duffel (responses Error, RateLimited; ErrorEnvelope) and vendor-specs/README.md section 3, "Statuses".
"""

import orjson

from gateways.fields import Fields, is_list, is_object
from gateways.http import FIRST_SERVER_ERROR, Answer, Call, VendorHttp
from schema.errors import CredentialsRefused, VendorContractBroken, VendorUnavailable
from schema.outcomes import Outcome, Rejected, Unknown

VENDOR = "duffel"
ALREADY_BOOKED = "offer_request_already_booked"
REJECTIONS: dict[str, str] = {
    "offer_no_longer_available": "sold_out",
    "offer_expired": "offer_expired",
    "price_changed": "price_changed",
    "payment_amount_does_not_match_order_amount": "price_changed",
}
"""Duffel's codes (an open list) to ours; any other refusal is `vendor_rejected`."""

REQUEST_TIMEOUT = 408
ACCEPTED = 202
OK_STATUSES = frozenset({200, 201})
"""The derived contract is unsure of some success statuses between these two; 202 is never one."""
CREDENTIALS_REFUSED = frozenset({401, 403})
MAY_REPEAT = frozenset({429, 503, 504})
"""Of the server errors, 500 and 502 are for Duffel's support, not for another try."""


def may_repeat(answer: Answer) -> bool:
    """Whether Duffel lets a read be sent again after this answer."""
    return answer.status in MAY_REPEAT


class DuffelWire:
    """Sends one call in Duffel's way and unwraps what comes back."""

    def __init__(self, http: VendorHttp, token: str) -> None:
        self.http = http
        self._headers = {
            "Accept": "application/json",
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/json",
            "Duffel-Version": "v2",
        }

    async def send(self, call: Call, method: str, path: str, data: dict[str, object] | None = None) -> Answer:
        """`data` goes into the envelope; None sends no body."""
        content = None if data is None else orjson.dumps({"data": data})
        return await self.http.send(call, method, path, headers=self._headers, content=content)

    async def read(self, call: Call, path: str) -> Answer:
        """A GET; raises VendorUnavailable on a 5xx."""
        return (await self.send(call, "GET", path)).no_server_error()


def data_of(answer: Answer, what: str) -> Fields:
    """The object in the envelope of a success; raises as `envelope_of`."""
    return envelope_of(answer, what).object("data")


def envelope_of(answer: Answer, what: str) -> Fields:
    """The whole of a success; raises CredentialsRefused if Duffel does not know us, VendorContractBroken on anything else."""
    if answer.status in CREDENTIALS_REFUSED:
        raise CredentialsRefused(VENDOR, f"{what}: status {answer.status}, code {error_code(answer)}")
    if answer.status not in OK_STATUSES:
        raise VendorContractBroken(f"{VENDOR}: {what}: status {answer.status}, code {error_code(answer)}")
    return answer.fields(what)


def error_code(answer: Answer) -> str | None:
    """The first error's code; None where the body is not Duffel's own, such as a load balancer's page."""
    return _first_error(answer, "code")


def error_type(answer: Answer) -> str | None:
    """The first error's type (schema ErrorType); None where the body is not Duffel's own."""
    return _first_error(answer, "type")


def _first_error(answer: Answer, name: str) -> str | None:
    try:
        document = answer.json()
    except VendorContractBroken:
        return None
    errors = document.get("errors") if is_object(document) else None
    first = errors[0] if is_list(errors) and errors else None
    value = first.get(name) if is_object(first) else None
    return value if isinstance(value, str) else None


def rejection(code: str | None) -> Rejected:
    """Ours for a refusal of theirs."""
    return Rejected(
        code=REJECTIONS.get(code or "", "vendor_rejected"), message=f"{VENDOR} refused: {code or 'no code'}"
    )


def refused(answer: Answer, *, books_once: bool) -> Outcome:
    """What a create that did not succeed means; raises VendorUnavailable where Duffel itself says that it may be repeated.

    500 and 502 may have had an effect, except 502 order_not_created. 503 in Duffel's own envelope may be repeated, but we only
    do so where a repeat cannot book twice (`books_once`). What a load balancer says (no envelope) proves nothing; 504 neither.
    """
    code = error_code(answer)
    if answer.status == ACCEPTED:
        return Unknown(reason=f"{VENDOR} accepted it and finishes later")
    if code == ALREADY_BOOKED:
        return Unknown(reason=f"{VENDOR}: already booked: look it up", used_up=True)
    if (answer.status == 502 and code == "order_not_created") or (answer.status == 503 and code and books_once):
        raise VendorUnavailable(VENDOR, f"status {answer.status}, {code}")
    if answer.status in CREDENTIALS_REFUSED:
        # Nothing was done, but it is no answer about the trip either: our token is wrong.
        raise CredentialsRefused(VENDOR, f"status {answer.status}, {code}")
    if answer.status >= FIRST_SERVER_ERROR or answer.status == REQUEST_TIMEOUT or answer.status < 400:
        return Unknown(reason=f"{VENDOR}: status {answer.status}, {code or 'no code'}")
    return rejection(code)
