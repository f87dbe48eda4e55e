"""Push by Firebase Cloud Messaging. Source: vendor-specs/fcm/fcm.v1.discovery.json and vendor-specs/README.md section 7.

A message cannot be looked up, and Google tells nobody by webhook what became of it. One that is sent again takes the place of the
first on the device, because both have the same collapse key: that makes a repeat harmless to look at, not impossible.
"""

import time
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Final
from urllib.parse import urlencode

import orjson
from google.auth import crypt, jwt

from gateways.fields import Fields, is_list, is_object
from gateways.http import Answer, Call, VendorHttp, path_segment
from gateways.notice_ports import Notice, Receipt
from gateways.notice_wire import not_taken, sending, taken
from gateways.oauth import AccessToken
from gateways.parts import Parts
from schema.errors import CredentialsRefused, NotFound, VendorContractBroken, VendorUnavailable
from schema.notifications import Channel
from schema.outcomes import Confirmed, Outcome, Rejected
from schema.settings import SettingsError, variable_of

VENDOR: Final = "fcm"
SCOPE: Final = "https://www.googleapis.com/auth/firebase.messaging"
GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ASSERTION_LIFE_S: Final = 3600
"""Google's longest."""
OK: Final = 200
UNAUTHORISED: Final = 401
UNAVAILABLE: Final = 503
TOKEN_REFUSED: Final = frozenset({400, 401, 403})
MAX_KEY: Final = 32
"""The shortest of the limits of those who take a collapse key: Apple's is 64 bytes, a web push topic's 32."""
REJECTIONS: Final[dict[str, str]] = {"UNREGISTERED": "device_gone"}
"""A token of another project (SENDER_ID_MISMATCH) is not gone: with a wrong project in our settings, all of them would be."""


class ServiceAccount:
    """Who we are at Google: a key that signs."""

    def __init__(self, document: Mapping[str, object]) -> None:
        """From the JSON of the key, as Google hands it out. Raises ValueError."""
        key, email = document.get("private_key"), document.get("client_email")
        if not isinstance(key, str) or not isinstance(email, str):
            raise ValueError("a service account has a private_key and a client_email")  # noqa: TRY004  # a wrong setting, whatever its type
        self._signer: crypt.Signer = crypt.RSASigner.from_string(key, str(document.get("private_key_id") or ""))
        self._email = email

    def assertion(self, audience: str) -> str:
        """A JWT that asks `audience` for a token with our scope."""
        now = int(time.time())
        claims = {"iss": self._email, "scope": SCOPE, "aud": audience, "iat": now, "exp": now + ASSERTION_LIFE_S}
        return jwt.encode(self._signer, claims).decode()


class FcmPush:
    """The port `NoticeSender`."""

    def __init__(self, http: VendorHttp, project_id: str, account: ServiceAccount, *, token_url: str) -> None:
        self._http = http
        self._path = f"/v1/projects/{path_segment(project_id)}/messages:send"
        self._account = account
        self._token_url = token_url
        self._token = AccessToken(VENDOR, self._fetch_token)

    @property
    def code(self) -> str:
        return VENDOR

    @property
    def channel(self) -> Channel:
        return "push"

    async def send(self, notice: Notice) -> Outcome:
        """POST messages:send; the reference is the message's name."""
        return await taken(self._send(notice))

    async def find(self, notice: Notice, since: datetime) -> Outcome | None:
        """FCM has no list of what it took."""
        return None

    def read_receipts(self, headers: Mapping[str, str], body: bytes, url: str) -> list[Receipt]:
        """FCM sends none."""
        raise NotFound("no receipts are taken from this vendor")

    async def _send(self, notice: Notice) -> Outcome:
        call = sending(self._http, notice)
        content = orjson.dumps({"message": _message(notice)})

        async def attempt(token: str) -> Answer:
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            return await self._http.send(call, "POST", self._path, headers=headers, content=content)

        token = await self._token.current(call)
        answer = await attempt(token)
        # A 401 with a code of FCM's own is not about our token.
        if answer.status == UNAUTHORISED and _error_code(answer) is None:
            answer = await attempt(await self._token.current(call, refused=token))
        if answer.status == OK:
            return Confirmed(provider_reference=answer.fields("message").text("name"))
        return _refused(answer)

    async def _fetch_token(self, call: Call) -> Fields:
        form = {"grant_type": GRANT, "assertion": self._account.assertion(self._token_url)}
        headers = {"Accept": "application/json", "Content-Type": "application/x-www-form-urlencoded"}
        answer = await self._http.send(call, "POST", self._token_url, headers=headers, content=urlencode(form).encode())
        if answer.status in TOKEN_REFUSED:
            raise CredentialsRefused(VENDOR, "the service account is not accepted")
        if answer.status != OK:
            raise VendorContractBroken(f"{VENDOR}: token: status {answer.status}")
        return answer.fields("token")


def _message(notice: Notice) -> dict[str, object]:
    """Message. `token` takes the registration tokens of today's apps, and the installation ids that are to replace them."""
    shown = {"title": notice.subject, "body": notice.text} if notice.subject else {"body": notice.text}
    data = {"notification_id": notice.notification_id, **({"link": notice.link} if notice.link else {})}
    key = _collapse_key(notice.collapse_key or notice.notification_id)
    web: dict[str, object] = {
        "headers": {"Urgency": "high" if notice.urgent else "normal", "Topic": key},
        "notification": {"tag": key},
    }
    if notice.link and notice.link.startswith("https://"):
        web["fcmOptions"] = {"link": notice.link}
    return {
        "token": notice.to,
        "notification": shown,
        "data": data,
        # The key holds until the message is on the device; the tag, once it is shown.
        "android": {
            "collapseKey": key,
            "priority": "HIGH" if notice.urgent else "NORMAL",
            "notification": {"tag": key},
        },
        "apns": {"headers": {"apns-collapse-id": key, "apns-priority": "10" if notice.urgent else "5"}},
        "webpush": web,
    }


def _collapse_key(text: str) -> str:
    """As short as all who take it allow, and in letters that all of them take."""
    return sha256(text.encode()).hexdigest()[:MAX_KEY]


def _refused(answer: Answer) -> Outcome:
    """Raises VendorUnavailable for FCM's own UNAVAILABLE: Google asks for it to be sent again after Retry-After, and the collapse key
    hides a repeat. A 503 of somebody else proves nothing."""
    code = _error_code(answer)
    if answer.status == UNAVAILABLE and code == "UNAVAILABLE":
        raise VendorUnavailable(VENDOR, f"status {answer.status}, {code}", retry_after_s=answer.retry_after_s)
    ours = "address_unusable" if _names_the_token(answer) else REJECTIONS.get(code or "", "vendor_rejected")
    if code == "SENDER_ID_MISMATCH":
        # A 403 that is about the token, and not about us.
        return Rejected(code=ours, message=f"{VENDOR} refused: status {answer.status}, {code}")
    return not_taken(answer, code or "no code", ours)


def _error_code(answer: Answer) -> str | None:
    """`errorCode` of the FcmError among the details, else the status of a google.rpc error that says UNAVAILABLE; None where the body
    is not FCM's own."""
    error = _error(answer)
    told = [detail.text_or_none("errorCode") for detail in _details(error)]
    status = error.text_or_none("status")
    return next((code for code in told if code), None) or (status if status == "UNAVAILABLE" else None)


def _names_the_token(answer: Answer) -> bool:
    """Whether the device's token is what is wrong (google.rpc.BadRequest)."""
    violations = [one for detail in _details(_error(answer)) for one in detail.objects_or_none("fieldViolations") or []]
    return any(one.text_or_none("field") == "message.token" for one in violations)


def _error(answer: Answer) -> Fields:
    """The google.rpc error; an empty one where the body is somebody else's."""
    try:
        document = answer.json()
    except VendorContractBroken:
        document = None
    error = document.get("error") if is_object(document) else None
    return Fields(VENDOR, "error", error if is_object(error) else {})


def _details(error: Fields) -> list[Fields]:
    listed = error.values.get("details")
    return [Fields(VENDOR, "details", one) for one in listed if is_object(one)] if is_list(listed) else []


def _account(text: str) -> ServiceAccount:
    """Raises SettingsError, which shows nothing of the key."""
    try:
        document = orjson.loads(text)
        return ServiceAccount(document if is_object(document) else {})
    except ValueError:
        raise SettingsError(f"{variable_of('fcm_service_account')} is no service account's key in JSON") from None


def build(parts: Parts) -> FcmPush | None:
    """From the settings; None without project and service account. Raises SettingsError."""
    settings = parts.settings
    if not settings.fcm_project_id or settings.fcm_service_account is None:
        return None
    return FcmPush(
        parts.http(VENDOR, settings.fcm_url),
        settings.fcm_project_id,
        _account(settings.fcm_service_account.get_secret_value()),
        token_url=str(settings.fcm_token_url),
    )
