"""Who asks: bearer tokens, of which PostgreSQL knows only the hash, and the scopes they carry."""

from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Annotated, Final, Literal

from fastapi import Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.requests import Request

from api.scope import remember_client
from schema.errors import Forbidden, Unauthenticated
from store.clients import ApiClient, find_by_token, token_hash
from store.database import Database

Scope = Literal[
    "bookings:read",
    "bookings:write",
    "searches:write",
    "payments:read",
    "webhooks:read",
    "webhooks:write",
    "itineraries:read",
    "itineraries:write",
    "me:read",
    "me:write",
    "ops:read",
    "ops:write",
]

_REMEMBERED_S: Final = 5
"""For so long a disabled token may still work."""
_REMEMBERED_TOKENS: Final = 10_000

_bearer = HTTPBearer(
    scheme_name="bearer", description="A token of yours, with the scopes it was given", auto_error=False
)


class Tokens:
    """Looks tokens up, and remembers those it found for a few seconds, by their hash. Unknown ones are not remembered: a token
    works as soon as it is minted."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known: dict[bytes, tuple[float, ApiClient]] = {}

    async def client(self, token: str) -> ApiClient | None:
        key = token_hash(token)
        until, client = self._known.get(key, (0.0, None))
        if client is not None and monotonic() < until:
            return client
        async with self._database.read() as connection:
            client = await find_by_token(connection, token)
        if client is None:
            self._known.pop(key, None)
            return None
        if len(self._known) >= _REMEMBERED_TOKENS:
            self._known.clear()
        self._known[key] = (monotonic() + _REMEMBERED_S, client)
        return client


def requires(*scopes: Scope) -> Callable[..., Awaitable[ApiClient]]:
    """A dependency: the client that asks. Raises Unauthenticated, or Forbidden when its token has none of the scopes."""

    async def authenticated(
        request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(_bearer)]
    ) -> ApiClient:
        if credentials is None:
            raise Unauthenticated("send Authorization: Bearer with a token", field="Authorization")
        tokens: Tokens = request.app.state.services.tokens
        client = await tokens.client(credentials.credentials)
        if client is None:
            raise Unauthenticated("the token is not one of ours, or was disabled", field="Authorization")
        remember_client(request.scope, client.client_id)
        if client.scopes.isdisjoint(scopes):
            raise Forbidden(f"the token lacks the scope {' or '.join(scopes)}", field="Authorization")
        return client

    return authenticated
