"""How Amadeus is spoken to: media type, access token, the method override of its read-only POSTs, and what its errors mean.

Sources: vendor-specs/amadeus (400_Book and the other lists of codes) and vendor-specs/README.md section 3, "Amadeus".
"""

from urllib.parse import quote, urlencode

import orjson

from gateways.fields import Fields, is_list, is_object
from gateways.http import FIRST_SERVER_ERROR, Answer, Call, VendorHttp, repeat_when_busy
from gateways.oauth import AccessToken
from schema.errors import CredentialsRefused, VendorContractBroken
from schema.outcomes import Outcome, Rejected, Unknown

VENDOR = "amadeus"
MEDIA_TYPE = "application/vnd.amadeus+json"
TOKEN_PATH = "/v1/security/oauth2/token"  # noqa: S105  # a path
TOKEN_REFUSALS = frozenset({400, 401, 403})
OK = 200
CREATED = 201
UNAUTHORISED = 401
CREDENTIALS_REFUSED = frozenset({401, 403})
REQUEST_TIMEOUT = 408
TOKEN_REFUSED = frozenset({38190, 38191, 38192, 38193})
OVER_QUOTA = 38195
"""The month's quota is used up: asking again only makes it worse, says the vendor."""
SEGMENT_SELL_FAILURE = 34651
FARE_NOT_APPLICABLE = 34107
TICKETING_FAILED = 9112
"""Ticketing comes after the seats are reserved, and the contract does not say that they are given back."""
REJECTIONS: dict[int, str] = {
    SEGMENT_SELL_FAILURE: "sold_out",
    FARE_NOT_APPLICABLE: "offer_expired",
    37200: "price_changed",
}
"""Amadeus's codes to ours; any other refusal of an order is `vendor_rejected`."""


class AmadeusWire:
    """Sends one call in Amadeus's way."""

    def __init__(self, http: VendorHttp, client_id: str, client_secret: str) -> None:
        self.http = http
        self._token = AccessToken(VENDOR, self._fetch_token)
        self._token_form = urlencode(
            {"grant_type": "client_credentials", "client_id": client_id, "client_secret": client_secret}
        ).encode()

    async def send(self, call: Call, method: str, path: str, body: dict[str, object] | None = None) -> Answer:
        """One call; after a 401 about the token, once more with a new one, creates too: a 401 says that nothing was done.

        Raises CredentialsRefused if we are not known, or not allowed to do this; otherwise as `VendorHttp.send`.
        """
        return await self._send(call, method, path, body, {})

    async def ask(self, call: Call, path: str, body: dict[str, object]) -> Answer:
        """A read that is sent as a POST, because its question is a document; raises VendorUnavailable on a 5xx."""
        return (await self._send(call, "POST", path, body, {"X-HTTP-Method-Override": "GET"})).no_server_error()

    async def read(self, call: Call, path: str) -> Answer:
        """A GET; raises VendorUnavailable on a 5xx."""
        return (await self.send(call, "GET", path)).no_server_error()

    async def _fetch_token(self, call: Call) -> Fields:
        """POST /v1/security/oauth2/token (Authorizaton_v1); a token lives for 30 minutes, and `expires_in` says so."""
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        answer = await self.http.send(call, "POST", TOKEN_PATH, headers=headers, content=self._token_form)
        if answer.status in TOKEN_REFUSALS:
            raise CredentialsRefused(VENDOR, "the client id or secret is not accepted")
        if answer.status != OK:
            raise VendorContractBroken(f"{VENDOR}: token: status {answer.status}")
        return answer.fields("token")

    async def _send(
        self, call: Call, method: str, path: str, body: dict[str, object] | None, headers: dict[str, str]
    ) -> Answer:
        content = None if body is None else orjson.dumps(body)
        headers = {"Accept": MEDIA_TYPE, **({} if body is None else {"Content-Type": MEDIA_TYPE}), **headers}

        async def attempt(token: str) -> Answer:
            authorised = {**headers, "Authorization": f"Bearer {token}"}
            return await self.http.send(call, method, path, headers=authorised, content=content)

        token = await self._token.current(call)
        answer = await attempt(token)
        if answer.status == UNAUTHORISED and error_codes(answer) & TOKEN_REFUSED:
            answer = await attempt(await self._token.current(call, refused=token))
        if answer.status in CREDENTIALS_REFUSED:
            raise CredentialsRefused(VENDOR, told(answer))
        return answer


def data_of(answer: Answer, what: str, status: int = OK) -> Fields:
    """The object in the envelope of a success; raises VendorContractBroken on anything else."""
    return document_of(answer, what, status).object("data")


def document_of(answer: Answer, what: str, status: int = OK) -> Fields:
    """The envelope of a success; raises VendorContractBroken on anything else."""
    if answer.status != status:
        raise VendorContractBroken(f"{VENDOR}: {what}: {told(answer)}")
    return answer.fields(what)


def error_codes(answer: Answer) -> frozenset[int]:
    """The codes of all errors; none where the body is not Amadeus's own, such as a load balancer's page."""
    try:
        document = answer.json()
    except VendorContractBroken:
        return frozenset()
    errors = document.get("errors") if is_object(document) else None
    codes = [error.get("code") for error in errors if is_object(error)] if is_list(errors) else []
    return frozenset(code for code in codes if isinstance(code, int))


def told(answer: Answer) -> str:
    """Status and codes, for messages; titles and details may repeat what we sent."""
    codes = ", ".join(str(code) for code in sorted(error_codes(answer)))
    return f"status {answer.status}, {f'code {codes}' if codes else 'no code'}"


def may_repeat(answer: Answer) -> bool:
    """Busy answers, but not a used-up quota."""
    return repeat_when_busy(answer) and OVER_QUOTA not in error_codes(answer)


def refused(answer: Answer) -> Outcome:
    """What a create that did not succeed means. Only a 4xx is a no; after anything else the order may exist."""
    codes = error_codes(answer)
    a_no = 400 <= answer.status < FIRST_SERVER_ERROR and answer.status != REQUEST_TIMEOUT
    if not a_no or TICKETING_FAILED in codes:
        return Unknown(reason=f"{VENDOR}: {told(answer)}")
    code = next((ours for theirs, ours in REJECTIONS.items() if theirs in codes), "vendor_rejected")
    return Rejected(code=code, message=f"{VENDOR} refused: {told(answer)}")


def order_path(order_id: str) -> str:
    """An order's ids come percent-encoded already and go into the path as they are (FlightOrderManagement_v1, `x-example`)."""
    return f"/v1/booking/flight-orders/{quote(order_id, safe='%')}"
