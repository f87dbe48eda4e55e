"""A search that was answered a moment ago is answered again with the same bytes, before anything else is done for it.

The copies are a client's own, made only of answers whose entries are fresh, and gone the moment one of these is dropped.
"""

from datetime import UTC, datetime
from typing import Final

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.scope import remember_client, remember_route
from api.search_views import SearchResult
from api.services import Services
from search.copies import Copy, Key
from search.searching import Finding

PATH: Final = "/v1/searches"
_BEARER: Final = b"Bearer "
_SCOPE: Final = "searches:write"
_MOST_BODY_BYTES: Final = 16 * 1024
"""A search is smaller; anything larger is none of ours."""


class RepeatedSearches:
    """A layer before the router, because the router alone takes as long as the answer. Whatever is unusual about a request,
    refusals included, is left to the application behind it, which gets the body as if nobody had read it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] != PATH or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        read: list[Message] = []
        body = b""
        # Read no further than a search can reach; what was read is handed on.
        while not read or (read[-1].get("more_body") and len(body) <= _MOST_BODY_BYTES):
            read.append(await receive())
            body += read[-1].get("body", b"")
        copy = None if read[-1].get("more_body") else await _copy_of(scope, body)
        if copy is not None:
            await _answer(copy, send)
            return
        read.reverse()

        async def receive_again() -> Message:
            return read.pop() if read else await receive()

        await self._app(scope, receive_again, send)


async def _copy_of(scope: Scope, body: bytes) -> Copy | None:
    headers: dict[bytes, bytes] = dict(scope["headers"])
    authorization = headers.get(b"authorization", b"")
    usual = headers.get(b"content-type") == b"application/json" and b"prefer" not in headers
    if not usual or not authorization.startswith(_BEARER):
        return None
    services: Services = scope["app"].state.services
    client = await services.tokens.client(authorization.removeprefix(_BEARER).decode("latin-1"))
    key = None if client is None or _SCOPE not in client.scopes else _key(client.client_id, body)
    copy = None if key is None else services.search.copies.find(key, datetime.now(UTC))
    if key is None or copy is None or await services.search.circuits.read_only(copy.kinds):
        return None
    remember_client(scope, key[0])
    remember_route(scope, PATH)
    services.search.ages.served(copy.found_at)
    return copy


def _key(client_id: str, body: bytes) -> Key | None:
    try:
        return client_id, orjson.dumps(orjson.loads(body), option=orjson.OPT_SORT_KEYS)
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None


async def _answer(copy: Copy, send: Send) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(copy.body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": copy.body})


def keep_for_repeats(services: Services, finding: Finding, result: SearchResult, body: bytes, epoch: int) -> None:
    """Keeps the answer if all of it may be served from the cache; `epoch` is that of the copies before the search began."""
    progress = finding.search.progress
    now = datetime.now(UTC)
    fresh_until = min((entry.fresh_until for entry in finding.entries), default=now)
    if not result.complete or progress.read_only or progress.cache == "away" or fresh_until <= now:
        return
    reports = [report.model_copy(update={"outcome": "cached"}) for report in progress.suppliers]
    copy = Copy(
        body=result.model_copy(update={"suppliers": reports}).model_dump_json().encode(),
        cache_keys=tuple(entry.cache_key for entry in finding.entries),
        found_at=tuple(entry.found_at for entry in finding.entries),
        fresh_until=fresh_until,
        kinds=tuple(dict.fromkeys(report.kind for report in progress.suppliers)),
    )
    services.search.copies.keep((finding.search.client_id, body), copy, epoch)
