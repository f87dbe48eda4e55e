"""Idempotency-Key as Stripe's v1 API keeps it (docs.stripe.com/api/idempotent_requests).

The first answer to a key is kept from the moment execution began, errors and 500s included, and replayed byte for
byte to the same endpoint and parameters for 24 hours. Not kept: what is refused before execution (validation,
authentication, the conflict of two at once), 429, and the 502, 503 and 504 of the proxies in front.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Final, TypedDict, cast
from urllib.parse import parse_qsl
from weakref import WeakKeyDictionary

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import Scope

from sandbox.vendors.stripe_wire import StripeError, json_response
from sandbox.world import JsonObject, World

_KIND: Final = "idempotent_answer"
KEPT_S: Final = 24 * 3600
_KEY_LENGTH_MAX: Final = 255

_in_progress: WeakKeyDictionary[World, dict[str, float]] = WeakKeyDictionary()
"""Keys whose request runs now, and until when (seconds since 1970) that is believed: a timer that a reset
cancelled must not block its key for ever."""


class _Answer(TypedDict):
    endpoint: str
    fingerprint: str
    status: int
    body: str
    kept_until: float


class KeyedRequest:
    """One keyed POST: what its key is bound to."""

    def __init__(self, world: World, key: str, path: str, body: bytes) -> None:
        if len(key) > _KEY_LENGTH_MAX:
            raise StripeError(
                400,
                "idempotency_error",
                f"Keys for idempotent requests must be {_KEY_LENGTH_MAX} characters or less.",
                executed=False,
            )
        self._world = world
        self._key = key
        self._endpoint = "/v1/" + path.partition("/v1/")[2]
        # The order of a form's fields says nothing: the same parameters in another order are the same request.
        pairs = sorted(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
        self._fingerprint = blake2b(repr(pairs).encode(), digest_size=16).hexdigest()

    def replay(self) -> Response | None:
        """The kept answer, if this key has one; raises where the key was for something else or is in progress."""
        answer = cast("_Answer | None", self._world.get("stripe", _KIND, self._key))
        now = self._world.now().timestamp()
        if answer is not None and answer["kept_until"] > now:
            self._same_request(answer)
            return json_response(answer["body"].encode(), answer["status"], {"Idempotent-Replayed": "true"})
        if _in_progress.get(self._world, {}).get(self._key, 0) > now:
            raise StripeError(
                409,
                "idempotency_error",
                "There is currently another in-progress request using this Idempotent Key (that probably means you "
                f"submitted twice, and the other request is still going through): {self._key}. Please try again later.",
                executed=False,
                code="idempotency_key_in_use",
            )
        return None

    def keep(self, status: int, body: bytes) -> None:
        """Bind the key to this answer, unless an earlier one still stands."""
        earlier = cast("_Answer | None", self._world.get("stripe", _KIND, self._key))
        now = self._world.now().timestamp()
        if earlier is not None and earlier["kept_until"] > now:
            return
        answer = _Answer(
            endpoint=self._endpoint,
            fingerprint=self._fingerprint,
            status=status,
            body=body.decode(),
            kept_until=now + self._kept_s(),
        )
        self._world.put("stripe", _KIND, self._key, cast(JsonObject, cast(object, answer)))

    def _kept_s(self) -> float:
        settings = self._world.get("stripe", "settings", "only") or {}
        return cast(float, settings.get("keys_s", KEPT_S))

    def claim(self, duration_s: float) -> Callable[[], None]:
        """Mark the key as in progress for at most so long; call the result when the request goes on."""
        running = _in_progress.setdefault(self._world, {})
        running[self._key] = self._world.now().timestamp() + duration_s

        def release() -> None:
            running.pop(self._key, None)

        return release

    def _same_request(self, answer: _Answer) -> None:
        advice = f"Try using a key other than '{self._key}' if you meant to execute a different request."
        if answer["endpoint"] != self._endpoint:
            what = f"for the same endpoint they were first used for ('{answer['endpoint']}')"
        elif answer["fingerprint"] != self._fingerprint:
            what = "with the same parameters they were first used with"
        else:
            return
        raise StripeError(
            400,
            "idempotency_error",
            f"Keys for idempotent requests can only be used {what}. {advice}",
            executed=False,
        )


def _keyed(world: World, scope: Scope, body: bytes) -> KeyedRequest | None:
    key = Headers(scope=scope).get("idempotency-key") if scope["method"] == "POST" else None
    return KeyedRequest(world, key, scope["path"], body) if key and len(key) <= _KEY_LENGTH_MAX else None


def remember_fault(world: World, scope: Scope, body: bytes, answer: Response) -> None:
    """For the fault gate: a planned 500 is this key's answer for 24 hours, as a real one is."""
    request = _keyed(world, scope, body)
    if request and answer.status_code == 500:
        request.keep(answer.status_code, bytes(answer.body))


def claim_key(world: World, scope: Scope, body: bytes, duration_s: float) -> Callable[[], None]:
    """For the fault gate: while a keyed request is delayed, the same key is answered 409. Call the result when the
    request goes on."""
    request = _keyed(world, scope, body)
    # A second beyond the delay: the timer may be late, and the key must not open before its request runs.
    return request.claim(duration_s + 1) if request else lambda: None
