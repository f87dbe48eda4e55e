"""Google's token endpoint for service accounts: a signed assertion in, a bearer out; and the service account itself."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha1
from typing import Final, cast
from urllib.parse import parse_qs

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from starlette.responses import Response

from sandbox.vendors.calls import Call, Refusal, json_response
from sandbox.vendors.fcm_wire import PREFIX, PROJECT, VENDOR
from sandbox.vendors.signing_keys import rsa_key, rsa_private_pem
from sandbox.world import JsonObject, World

_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_EMAIL: Final = f"notices@{PROJECT}.iam.gserviceaccount.com"
_SCOPES: Final = frozenset(
    {"https://www.googleapis.com/auth/firebase.messaging", "https://www.googleapis.com/auth/cloud-platform"}
)
_TOKEN_S: Final = 3599
_LONGEST_GRANT_S: Final = 3600
_CLOCK_SKEW_S: Final = 60


def service_account(private_key: str, sandbox_url: str) -> JsonObject:
    """The JSON that Google hands out, for the sandbox at this address; the key is PEM."""
    return {
        "type": "service_account",
        "project_id": PROJECT,
        "private_key_id": sha1(private_key.encode(), usedforsecurity=False).hexdigest(),
        "private_key": private_key,
        "client_email": _EMAIL,
        "client_id": "100000000000000000001",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": f"{sandbox_url.rstrip('/')}{PREFIX}/token",
        "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
        "universe_domain": "googleapis.com",
    }


def service_account_of(world: World, sandbox_url: str) -> JsonObject:
    """The one account that this sandbox knows."""
    return service_account(rsa_private_pem(world.seed), sandbox_url)


@dataclass(slots=True)
class GrantError(Refusal):
    """What the token endpoint says, in the words of OAuth."""

    error: str
    description: str
    status: int = 400

    def response(self) -> Response:
        return json_response({"error": self.error, "error_description": self.description}, self.status)


def create_token(call: Call) -> Response:
    """POST /token"""
    form = {name: values[-1] for name, values in parse_qs(call.body.decode()).items()}
    if form.get("grant_type") != _GRANT:
        raise GrantError("unsupported_grant_type", f"Invalid grant_type: {form.get('grant_type')}")
    _check(call.world, form.get("assertion", ""))
    world = call.world
    token = world.new_id("ya29.")
    settings = world.get(VENDOR, "settings", "only") or {}
    life_s = cast(float, settings.get("token_s", _TOKEN_S))
    world.put(VENDOR, "access_token", token, {"expires_at": (world.now() + timedelta(seconds=life_s)).isoformat()})
    return json_response({"access_token": token, "expires_in": int(life_s), "token_type": "Bearer"})


def _check(world: World, assertion: str) -> None:
    """That the assertion is the account's own, for this endpoint, for messaging, and of now."""
    signed, _, signature = assertion.rpartition(".")
    try:
        header, claims = (cast(JsonObject, orjson.loads(_decoded(part))) for part in signed.split("."))
        rsa_key(world.seed).public_key().verify(_decoded(signature), signed.encode(), PKCS1v15(), SHA256())
    except (ValueError, InvalidSignature) as error:
        raise GrantError("invalid_grant", "Invalid JWT Signature.") from error
    if header.get("alg") != "RS256" or claims.get("iss") != _EMAIL:
        raise GrantError("invalid_grant", "Invalid grant: account not found")
    if not str(claims.get("aud")).endswith("/token"):
        raise GrantError("invalid_grant", "Invalid JWT: the audience is not the token endpoint.")
    if not _SCOPES & set(str(claims.get("scope", "")).split()):
        raise GrantError("invalid_scope", "Invalid OAuth scope or ID token audience provided.")
    now, issued, expires = world.now().timestamp(), claims.get("iat"), claims.get("exp")
    if not isinstance(issued, int) or not isinstance(expires, int):
        raise GrantError("invalid_grant", "Invalid JWT: iat and exp are required.")
    if not (issued - _CLOCK_SKEW_S <= now < expires <= issued + _LONGEST_GRANT_S):
        message = "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe."
        raise GrantError("invalid_grant", message)


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))
