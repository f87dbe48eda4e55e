"""Expedia Rapid on the wire: the signature, the headers every call needs, links, and what its errors mean.

Sources: vendor-specs/expedia-rapid (parameters, schemas Link, Error) and vendor-specs/README.md section 4.
"""

import hashlib
import time

import orjson

from gateways.fields import Fields, is_list, is_object
from gateways.http import FIRST_SERVER_ERROR, Answer, Call, VendorHttp, header_text
from schema.errors import CredentialsRefused, VendorContractBroken
from schema.outcomes import Outcome, Rejected, Unknown

VENDOR = "expedia_rapid"
OK = 200
FOUND = frozenset({200, 206})
"""206: what is there so far."""
DONE = frozenset({200, 204})
ACCEPTED = 202
NOT_FOUND = 404
REQUEST_TIMEOUT = 408
PRICE_MISMATCH = 409
SOLD_OUT = 410
CREDENTIALS_REFUSED = frozenset({401, 403})
_ONE_REGION = "include=standard&language=en-US&iata_location_code=LHR&supply_source=expedia"
DUPLICATE = "duplicate_itinerary"
MAY_REPEAT = frozenset({429, 503})
ALREADY_CANCELLED = "room_already_cancelled"


def may_repeat(answer: Answer) -> bool:
    """Whether Rapid lets a read be sent again after this answer."""
    return answer.status in MAY_REPEAT


class RapidWire:
    """Sends one call in Rapid's way."""

    def __init__(
        self, http: VendorHttp, api_key: str, secret: str, *, customer_ip: str, test_header: str | None
    ) -> None:
        self.http = http
        self._api_key = api_key
        self._secret = secret
        self._customer_ip = customer_ip
        self._test_header = test_header

    async def send(self, call: Call, method: str, href: str, body: dict[str, object] | None = None) -> Answer:
        """`href`: an absolute path such as /v3/itineraries?token=…, followed as it is: the token carries Rapid's state."""
        content = None if body is None else orjson.dumps(body)
        headers = self._headers(call, href, has_body=body is not None)
        return await self.http.send(call, method, self._address(href), headers=headers, content=content)

    async def read(self, call: Call, href: str) -> Answer:
        """A GET; raises VendorUnavailable on a 5xx."""
        return (await self.send(call, "GET", href)).no_server_error()

    async def check(self, call: Call) -> None:
        """GET /regions at one airport: content that hardly changes, and that only partners get. Raises CredentialsRefused if Rapid
        does not know us."""
        answer = await self.read(call, f"/v3/regions?{_ONE_REGION}")
        if answer.status in CREDENTIALS_REFUSED:
            raise CredentialsRefused(VENDOR, f"status {answer.status}, {', '.join(sorted(error_types(answer)))}")
        if answer.status != OK or not is_list(answer.json()):
            raise VendorContractBroken(f"{VENDOR}: regions: status {answer.status}")

    def _address(self, href: str) -> str:
        """Links may be absolute: one to another host would carry our signature there, so it is not followed."""
        if href.startswith("/") and not href.startswith("//"):
            return self.http.base_url + href
        if href.startswith(f"{self.http.base_url}/"):
            return href
        raise VendorContractBroken(f"{VENDOR}: a link leads away from the vendor")

    def _headers(self, call: Call, href: str, *, has_body: bool) -> dict[str, str]:
        timestamp_s = int(time.time())
        signature = hashlib.sha512(f"{self._api_key}{self._secret}{timestamp_s}".encode()).hexdigest()
        headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            "Authorization": f"EAN apikey={self._api_key},signature={signature},timestamp={timestamp_s}",
            "Customer-Ip": self._customer_ip,
            "Customer-Session-Id": header_text(call.correlation_id),
        }
        if has_body:
            headers["Content-Type"] = "application/json"
        if self._test_header and "/v3/itineraries" in href:
            # Only what books has the value `standard`; elsewhere the header would ask for canned answers.
            headers["Test"] = self._test_header
        return headers


def link(document: Fields, name: str) -> Fields | None:
    """A link by its name: href, method, expires."""
    links = document.object_or_none("links")
    return links.object_or_none(name) if links else None


def href(document: Fields, name: str) -> str | None:
    """A link's address, or None if the document has no such link."""
    found = link(document, name)
    return found.text_or_none("href") if found else None


def error_types(answer: Answer) -> set[str]:
    """The types of the error and of the errors in it; empty where the body is not Rapid's own."""
    try:
        document = answer.json()
    except VendorContractBroken:
        return set()
    if not is_object(document):
        return set()
    nested = document.get("errors")
    errors = [document, *(nested if is_list(nested) else [])]
    return {kind for error in errors if is_object(error) and isinstance(kind := error.get("type"), str)}


def refused(answer: Answer) -> Outcome:
    """What a create that did not succeed means.

    500, 503 and 504 say nothing about the effect: the vendor's advice is to look the reference up. Raises CredentialsRefused if
    our credentials are refused: nothing was done, and it is no answer about the trip either.
    """
    types = error_types(answer)
    told = f"{VENDOR}: status {answer.status}, {', '.join(sorted(types)) or 'no type'}"
    if answer.status in CREDENTIALS_REFUSED:
        raise CredentialsRefused(VENDOR, told)
    if answer.status == ACCEPTED:
        return Unknown(reason=f"{VENDOR} accepted it and finishes later")
    if DUPLICATE in types:
        return Unknown(reason=f"{VENDOR}: duplicate itinerary: look it up")
    if answer.status >= FIRST_SERVER_ERROR or answer.status == REQUEST_TIMEOUT or answer.status < 400:
        return Unknown(reason=told)
    if answer.status == PRICE_MISMATCH:
        return Rejected(code="price_changed", message=told)
    if answer.status == SOLD_OUT:
        return Rejected(code="sold_out", message=told)
    if any(kind.startswith("link.") for kind in types):
        return Rejected(code="offer_expired", message=told)
    return Rejected(code="vendor_rejected", message=told)
