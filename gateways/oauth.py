"""The access token of OAuth's client credentials: asked for once, shared by every call of the process, renewed before it ends."""

import asyncio
from collections.abc import Awaitable, Callable

from gateways.fields import Fields
from gateways.http import Call, before_effect
from schema.errors import VendorUnavailable

MARGIN_S = 60.0
"""A token this close to its end is renewed, so that it does not end on the way."""

Fetch = Callable[[Call], Awaitable[Fields]]
"""Asks the vendor for a token document (`access_token`, `expires_in` in seconds); raises CredentialsRefused if we are not known."""


class AccessToken:
    """The token of one client id. Only one renewal is under way at a time; the others wait for it, within their own deadline."""

    def __init__(self, vendor: str, fetch: Fetch) -> None:
        self._vendor = vendor
        self._fetch = fetch
        self._value: str | None = None
        self._renew_at = 0.0
        self._renewing = asyncio.Lock()

    async def current(self, call: Call, *, refused: str | None = None) -> str:
        """A token to send; another one than `refused`, which the vendor did not accept.

        Raises CredentialsRefused, or VendorUnavailable whatever else went wrong: `call` itself was not sent.
        """
        if (value := self._usable(refused)) is not None:
            return value
        try:
            async with asyncio.timeout_at(call.ends_at), self._renewing:
                # Somebody else may have renewed it while we waited.
                return self._usable(refused) or await before_effect(self._vendor, self._renew(call))
        except TimeoutError as error:
            raise VendorUnavailable(self._vendor, f"{call.operation}: no token in time, nothing was sent") from error

    def _usable(self, refused: str | None) -> str | None:
        fresh = asyncio.get_running_loop().time() < self._renew_at
        return self._value if fresh and self._value != refused else None

    async def _renew(self, call: Call) -> str:
        asked_at = asyncio.get_running_loop().time()
        document = await self._fetch(call)
        value = document.text("access_token")
        self._renew_at = asked_at + document.whole("expires_in") - MARGIN_S
        self._value = value
        return value
