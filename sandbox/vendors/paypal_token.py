"""Who may call PayPal: POST /v1/oauth2/token, and the bearer token it gives."""

from __future__ import annotations

import base64
import binascii
import hmac
from hashlib import blake2b
from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from sandbox.vendors.paypal_wire import PayPalError, json_response
from sandbox.world import JsonObject, World

TOKEN_LIFE_S: Final = 32_400
"""Nine hours, as in PayPal's example."""


def issue_token(world: World, request: Request, body: bytes) -> Response:
    """A token for any client whose secret does not say that it is wrong. Errors are OAuth's, not the API's."""
    client_id, secret = _basic(request.headers.get("authorization", ""))
    if not client_id or not secret or "wrong" in secret:
        return _refused(401, "invalid_client", "Client Authentication failed")
    if parse_qs(body.decode("utf-8", "replace")).get("grant_type") != ["client_credentials"]:
        return _refused(400, "unsupported_grant_type", "Grant Type is unsupported or missing")
    expires = int(world.now().timestamp()) + TOKEN_LIFE_S
    token: JsonObject = {
        "scope": "https://uri.paypal.com/services/payments/payment/authcapture "
        "https://uri.paypal.com/services/reporting/search/read",
        "access_token": f"A21AA{expires}-{_seal(world, expires)}",
        "token_type": "Bearer",
        "app_id": "APP-80W284485P519543T",
        "expires_in": TOKEN_LIFE_S,
    }
    return json_response(token)


def check_token(world: World, request: Request) -> None:
    """Raises 401 for a token that is missing, made up, or over."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    expires, _, seal = token.removeprefix("A21AA").partition("-")
    alive = expires.isdecimal() and int(expires) > world.now().timestamp()
    if scheme.lower() != "bearer" or not alive or not hmac.compare_digest(seal, _seal(world, int(expires))):
        raise PayPalError(401)


def _seal(world: World, expires: int) -> str:
    # A seal and not a document: a reset of the sandbox is no reason for clients to lose their tokens.
    return blake2b(str(expires).encode(), key=f"paypal|{world.seed}".encode(), digest_size=16).hexdigest()


def _basic(header: str) -> tuple[str, str]:
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return client_id, secret


def _refused(status: int, error: str, description: str) -> Response:
    return json_response({"error": error, "error_description": description}, status)
