"""Avis Budget on the wire: token, client id, the {"status": …} envelope, and what its errors mean.

Sources: tests/contracts/avis-budget.DERIVED.openapi.yaml and vendor-specs/README.md section 5.
"""

import orjson

from gateways.fields import Fields, is_object
from gateways.http import FIRST_SERVER_ERROR, Answer, Call, VendorHttp
from gateways.oauth import AccessToken
from schema.errors import CredentialsRefused, VendorContractBroken
from schema.outcomes import Outcome, Rejected, Unknown

VENDOR = "avis"
OK = 200
CREATED = frozenset({200, 201})
"""The contract says 201; a reservation that comes with 200 is one all the same."""
UNAUTHORISED = 401
REQUEST_TIMEOUT = 408
CREDENTIALS_REFUSED = frozenset({401, 403})
TOKEN_REFUSED = frozenset({400, 401, 403})
"""Of the token endpoint, where 400 means wrong credentials too."""

SOLD_OUT = frozenset({"223", "500708"})
NO_DESK = frozenset({"203", "205", "225", "226", "227", "609"})
RATE_GONE = frozenset({"14022", "14105", "14528", "19074"})
CANCELLED_ALREADY = "14036"
NO_SUCH_RESERVATION = "150004"


class AvisWire:
    """Sends one call in Avis's way."""

    def __init__(self, http: VendorHttp, client_id: str, client_secret: str) -> None:
        self.http = http
        self._client_id = client_id
        self._client_secret = client_secret
        self._token = AccessToken(VENDOR, self._fetch_token)

    async def send(self, call: Call, method: str, path: str, body: dict[str, object] | None = None) -> Answer:
        """One call; after a 401, once more with a new token, creates too: a 401 says that nothing was done.

        Raises CredentialsRefused if we are not known, or not allowed to do this; otherwise as `VendorHttp.send`.
        """
        content = None if body is None else orjson.dumps(body)
        headers = {"Accept": "application/json", "Content-Type": "application/json", "client_id": self._client_id}

        async def attempt(token: str) -> Answer:
            authorised = {**headers, "Authorization": f"Bearer {token}"}
            return await self.http.send(call, method, path, headers=authorised, content=content)

        token = await self._token.current(call)
        answer = await attempt(token)
        if answer.status == UNAUTHORISED:
            answer = await attempt(await self._token.current(call, refused=token))
        if answer.status in CREDENTIALS_REFUSED:
            raise CredentialsRefused(VENDOR, told(answer, call.operation))
        return answer

    async def read(self, call: Call, path: str) -> Answer:
        """A GET; raises VendorUnavailable on a 5xx."""
        return (await self.send(call, "GET", path)).no_server_error()

    async def _fetch_token(self, call: Call) -> Fields:
        """GET /oauth/token/v2: Avis takes the credentials as headers, where OAuth has a form."""
        headers = {"Accept": "application/json", "client_id": self._client_id, "client_secret": self._client_secret}
        answer = await self.http.send(call, "GET", "/oauth/token/v2", headers=headers)
        if answer.status in TOKEN_REFUSED:
            raise CredentialsRefused(VENDOR, "the client id or secret is not accepted")
        if answer.status != OK:
            raise VendorContractBroken(f"{VENDOR}: token: status {answer.status}")
        return answer.fields("token")


def document_of(answer: Answer, what: str) -> Fields:
    """The body of a success; raises VendorContractBroken on anything else."""
    if answer.status != OK:
        raise VendorContractBroken(told(answer, what))
    return answer.fields(what)


def business_code(answer: Answer) -> str | None:
    """Avis's own reason. None for a success, for a plain HTTP status sent as a code, and where the body is not Avis's.

    The same reason may come with 400 or with 404: it is the code that counts.
    """
    if answer.status not in (400, 404):
        return None
    try:
        document = answer.json()
    except VendorContractBroken:
        return None
    status = Fields(VENDOR, "answer", document).object_or_none("status") if is_object(document) else None
    errors = status.objects_or_none("errors") if status else None
    code = errors[0].text_or_none("code") if errors else None
    return None if code == str(answer.status) else code


def told(answer: Answer, what: str) -> str:
    """A refusal in a line, for people."""
    return f"{VENDOR}: {what}: status {answer.status}, code {business_code(answer) or 'none'}"


def refused(answer: Answer) -> Outcome:
    """What a reservation that was not made means. A 5xx says nothing about the effect, and there is no way to look for it."""
    reason = told(answer, "book")
    if answer.status >= FIRST_SERVER_ERROR or answer.status == REQUEST_TIMEOUT or answer.status < 400:
        return Unknown(reason=reason)
    code = business_code(answer)
    if code in SOLD_OUT:
        return Rejected(code="sold_out", message=reason)
    if code in RATE_GONE:
        return Rejected(code="offer_expired", message=reason)
    return Rejected(code="vendor_rejected", message=reason)
