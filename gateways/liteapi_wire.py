"""LiteAPI on the wire: its two hosts, the key, the {"data": …} envelope, and what its errors mean.

Sources: vendor-specs/liteapi (examples of the error answers) and vendor-specs/README.md section 4.
"""

import orjson

from gateways.fields import Fields, is_object
from gateways.http import FIRST_SERVER_ERROR, Answer, Call, VendorHttp
from schema.errors import CredentialsRefused, VendorContractBroken
from schema.outcomes import Outcome, Rejected, Unknown

VENDOR = "liteapi"
OK = 200
NO_CONTENT = 204
NOT_MODIFIED = 304
REQUEST_TIMEOUT = 408
CREDENTIALS_REFUSED = frozenset({401, 403})

NO_AVAILABILITY = frozenset({1008, 2001})
ALREADY_BOOKED = 4005
INVALID = 4002
PREBOOK_TIMEOUT = 4016
OUTDATED_OFFER = 4040
REQUEST_CODES = range(4000, 5000)
"""About the request itself. 2010 to 2014 and 5000 speak of a booking that was begun ("booking data was not updated")."""


class LiteApiWire:
    """Sends one call in LiteAPI's way. Every call raises CredentialsRefused where the key is not taken: nothing was done then."""

    def __init__(self, search_http: VendorHttp, booking_http: VendorHttp, api_key: str) -> None:
        """Hotels and rates are on one host, prebooks and bookings on another."""
        self.search_http = search_http
        self.booking_http = booking_http
        self._headers = {"Accept": "application/json", "Content-Type": "application/json", "X-API-Key": api_key}

    async def rates(self, call: Call, body: dict[str, object]) -> Answer:
        """POST /hotels/rates; raises VendorUnavailable on a 5xx."""
        return (await self._send(self.search_http, call, "POST", "/hotels/rates", body)).no_server_error()

    async def send(self, call: Call, method: str, path: str, body: dict[str, object] | None = None) -> Answer:
        """To the booking host."""
        return await self._send(self.booking_http, call, method, path, body)

    async def read(self, call: Call, path: str) -> Answer:
        """A GET at the booking host; raises VendorUnavailable on a 5xx."""
        return (await self.send(call, "GET", path)).no_server_error()

    async def _send(
        self, http: VendorHttp, call: Call, method: str, path: str, body: dict[str, object] | None
    ) -> Answer:
        content = None if body is None else orjson.dumps(body)
        answer = await http.send(call, method, path, headers=self._headers, content=content)
        if answer.status in CREDENTIALS_REFUSED:
            raise CredentialsRefused(VENDOR, f"{call.operation}: status {answer.status}")
        return answer


def data_of(answer: Answer, what: str) -> Fields:
    """The object in the envelope of a success; raises VendorContractBroken on anything else."""
    if answer.status != OK:
        raise VendorContractBroken(told(answer, what))
    return answer.fields(what).object("data")


def error_code(answer: Answer) -> int | None:
    """LiteAPI's own code; None where the body is not LiteAPI's, such as a load balancer's page."""
    error = _error(answer)
    return error.whole_or_none("code") if error else None


def told(answer: Answer, what: str) -> str:
    """A refusal in a line, for people."""
    code = error_code(answer)
    return f"{VENDOR}: {what}: status {answer.status}, code {code if code is not None else 'none'}"


def refused(answer: Answer) -> Outcome:
    """What a booking that did not succeed means.

    Only a code about the request says that nothing was booked. The others come with status 400 too, but after the hotel was asked
    ("provider booking response is invalid"), so the reference must be looked up.
    """
    code = error_code(answer)
    reason = told(answer, "book")
    if code == ALREADY_BOOKED:
        return Unknown(reason=f"{VENDOR}: already booked: look it up")
    if answer.status >= FIRST_SERVER_ERROR or answer.status == REQUEST_TIMEOUT or answer.status < 400:
        return Unknown(reason=reason)
    if code in NO_AVAILABILITY:
        return Rejected(code="sold_out", message=reason)
    if code is None or code not in REQUEST_CODES:
        return Unknown(reason=reason)
    if code == OUTDATED_OFFER or (code == INVALID and says(answer, "invalid prebookId")):
        return Rejected(code="offer_expired", message=reason)
    return Rejected(code="vendor_rejected", message=reason)


def says(answer: Answer, start: str) -> bool:
    """Whether the error's description begins so: one code stands for several faults, told apart by nothing else."""
    error = _error(answer)
    return error is not None and (error.text_or_none("description") or "").startswith(start)


def _error(answer: Answer) -> Fields | None:
    try:
        document = answer.json()
    except VendorContractBroken:
        return None
    return Fields(VENDOR, "answer", document).object_or_none("error") if is_object(document) else None
