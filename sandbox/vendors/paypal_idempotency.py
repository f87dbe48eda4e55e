"""PayPal-Request-Id: a repeat is answered with what became of the first request, as it is now.

Only what was done is kept, with its id: 6 hours for orders, 45 days for payments. A request that failed may be made again
under its id. What the same id means at another address is not documented; here it is another request.
Source: the contracts' header parameters, developer.paypal.com/reference/guidelines/idempotency.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypedDict, cast
from weakref import WeakKeyDictionary

from starlette.datastructures import Headers
from starlette.types import Scope

from sandbox.vendors.paypal_settings import Settings
from sandbox.vendors.paypal_wire import PREFIX, VENDOR, PayPalError
from sandbox.world import JsonObject, World

HEADER: Final = "PayPal-Request-Id"
_KIND: Final = "kept_request"
_KEY_LENGTH_MAX: Final = 108

_in_progress: WeakKeyDictionary[World, dict[str, float]] = WeakKeyDictionary()
"""Requests that run now, and until when (seconds since 1970) that is believed: a timer that a reset cancelled must not
block its request for ever."""


class _Kept(TypedDict):
    object_id: str
    kept_until: float


class KeyedRequest:
    """One request with an id."""

    def __init__(self, world: World, key: str, path: str) -> None:
        """`path` is the whole one, with our prefix. Raises for a key that is too long."""
        if len(key) > _KEY_LENGTH_MAX:
            raise PayPalError(400, "INVALID_STRING_LENGTH", field=HEADER)
        self._world = world
        self._name = f"{path.removeprefix(PREFIX)} {key}"
        settings = Settings.of(world)
        self._kept_s = settings.order_keys_s if "/v2/checkout/" in path else settings.payment_keys_s

    def made(self) -> str | None:
        """The id of what was made under this key; raises while that is in progress."""
        kept = cast("_Kept | None", self._world.get(VENDOR, _KIND, self._name))
        now = self._world.now().timestamp()
        if kept is not None and kept["kept_until"] > now:
            return kept["object_id"]
        if _in_progress.get(self._world, {}).get(self._name, 0) > now:
            raise PayPalError(409, "PREVIOUS_REQUEST_IN_PROGRESS")
        return None

    def keep(self, object_id: str) -> None:
        """Bind the key to what was made."""
        kept = _Kept(object_id=object_id, kept_until=self._world.now().timestamp() + self._kept_s)
        self._world.put(VENDOR, _KIND, self._name, cast(JsonObject, cast(object, kept)))

    def claim(self, duration_s: float) -> Callable[[], None]:
        """Mark the key as in progress for at most so long; call the result when the request goes on."""
        running = _in_progress.setdefault(self._world, {})
        running[self._name] = self._world.now().timestamp() + duration_s

        def release() -> None:
            running.pop(self._name, None)

        return release


def claim_key(world: World, scope: Scope, _body: bytes, duration_s: float) -> Callable[[], None]:
    """For the fault gate: while a request with an id is delayed, the same request is answered 409."""
    key = Headers(scope=scope).get(HEADER) if scope["method"] == "POST" else None
    if not key or len(key) > _KEY_LENGTH_MAX:
        return lambda: None
    # A second beyond the delay: the timer may be late, and the key must not open before its request runs.
    return KeyedRequest(world, key, scope["path"]).claim(duration_s + 1)
