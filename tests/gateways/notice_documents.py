"""Those who take messages: gateways that talk to a scripted vendor, what they are asked to send, and their keys."""

from __future__ import annotations

import base64
import time
from functools import cache
from typing import Any

import httpx
import orjson
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from pydantic import SecretStr

from gateways.fcm import FcmPush, ServiceAccount
from gateways.notice_ports import Notice
from gateways.sendgrid import SendGridMail
from gateways.twilio import TwilioSms
from tests.gateways.support import CORRELATION_ID, Answer, Vendor

EMAIL, PHONE, DEVICE = "amelia@example.com", "+442080160509", "device:token"
NOTIFICATION_ID = "ntf_1"
ACCOUNT_SID, AUTH_TOKEN = "AC" + "0f" * 16, "twilio-auth-token"
MESSAGE_SID = "SM" + "ab" * 16
MESSAGES = f"/2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json"
PUBLIC_URL = "https://travel.example/"
RECEIPTS_URL = f"{PUBLIC_URL}v1/webhooks/twilio?notification_id={NOTIFICATION_ID}"
TOKEN_URL = "https://oauth2.googleapis.com/token"
SEND_PUSH = "/v1/projects/travel/messages:send"
PUSHED = "projects/travel/messages/0:1500415314455276%31bd1c9631bd1c96"
MAIL_KEY = ec.generate_private_key(ec.SECP256R1())
WEBHOOK_KEY = MAIL_KEY.public_key()
SHOWN_KEY = base64.b64encode(WEBHOOK_KEY.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def notice(to: str, **changes: object) -> Notice:
    return Notice.model_validate(
        {
            "notification_id": NOTIFICATION_ID,
            "to": to,
            "subject": "Your flight LH400 is late",
            "text": "LH400 now leaves at 11:30. 遅れています。",
            "html": "<p>LH400 now leaves at <b>11:30</b>.</p>",
            "link": "https://travel.example/trips/itn_1?token=x",
            "collapse_key": "itn_1-LH400-2027-03-01-FRA",
            "correlation_id": CORRELATION_ID,
            **changes,
        }
    )


# --------------------------------------------------------------------------------------------------------- SendGrid


def mail(vendor: Vendor, *, key: ec.EllipticCurvePublicKey | None = WEBHOOK_KEY) -> SendGridMail:
    http = vendor.http("sendgrid", "https://api.sendgrid.com")
    return SendGridMail(http, "SG.key", sender="trips@travelhub.example", webhook_key=key)


def mail_taken(**headers: str) -> httpx.Response:
    return httpx.Response(202, headers=headers)


def mail_error(status: int, field: str | None = None) -> httpx.Response:
    return httpx.Response(status, json={"errors": [{"message": f"{EMAIL} is bad", "field": field, "help": None}]})


def mail_signed(body: bytes, *, key: ec.EllipticCurvePrivateKey = MAIL_KEY, age_s: float = 0) -> dict[str, str]:
    signed_at = str(int(time.time() - age_s))
    signature = base64.b64encode(key.sign(signed_at.encode() + body, ec.ECDSA(SHA256()))).decode()
    return {
        "X-Twilio-Email-Event-Webhook-Signature": signature,
        "X-Twilio-Email-Event-Webhook-Timestamp": signed_at,
    }


# ----------------------------------------------------------------------------------------------------------- Twilio


def sms(vendor: Vendor) -> TwilioSms:
    http = vendor.http("twilio", "https://api.twilio.com")
    return TwilioSms(http, ACCOUNT_SID, SecretStr(AUTH_TOKEN), sender="+15005550006", public_url=PUBLIC_URL)


def message(**changes: object) -> dict[str, Any]:
    return {
        "sid": MESSAGE_SID,
        "status": "queued",
        "to": PHONE,
        "body": notice(PHONE).text,
        "date_created": "Thu, 24 Aug 2028 05:01:45 +0000",
        "date_sent": None,
        **changes,
    }


def sms_taken() -> httpx.Response:
    return httpx.Response(201, json=message())


def sms_error(status: int, code: int, **headers: str) -> httpx.Response:
    told = {"code": code, "message": f"{PHONE} is bad", "more_info": "https://www.twilio.com", "status": status}
    return httpx.Response(status, json=told, headers=headers)


def sms_page(*messages: dict[str, Any], following: str | None = None) -> httpx.Response:
    return httpx.Response(200, json={"messages": list(messages), "next_page_uri": following, "page": 0})


# -------------------------------------------------------------------------------------------------------------- FCM


@cache
def service_account() -> dict[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return {
        "type": "service_account",
        "private_key_id": "key-1",
        "private_key": private,
        "client_email": "push@travel.iam.gserviceaccount.com",
        "public": public,
    }


def push(vendor: Vendor) -> FcmPush:
    http = vendor.http("fcm", "https://fcm.googleapis.com")
    return FcmPush(http, "travel", ServiceAccount(service_account()), token_url=TOKEN_URL)


def google_token(value: str = "first") -> httpx.Response:
    return httpx.Response(200, json={"access_token": value, "expires_in": 3599, "token_type": "Bearer"})


def pushed() -> httpx.Response:
    return httpx.Response(200, json={"name": PUSHED})


def push_error(status: int, code: str, *, field: str | None = None, **headers: str) -> httpx.Response:
    details: list[dict[str, Any]] = [
        {"@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError", "errorCode": code}
    ]
    if field is not None:
        violation = {"field": field, "description": DEVICE}
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": [violation]})
    error = {"code": status, "message": f"{DEVICE} is bad", "status": "NOT_FOUND", "details": details}
    return httpx.Response(status, json={"error": error}, headers=headers)


def behind_google(*answers: Answer) -> Vendor:
    """A vendor that is asked for a token first."""
    return Vendor(google_token(), *answers)


def form_of(request: httpx.Request) -> dict[str, str]:
    return dict(httpx.QueryParams(request.content.decode()))


def body_of(request: httpx.Request) -> Any:
    return orjson.loads(request.content)
