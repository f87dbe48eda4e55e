"""Suppliers' answers in Valkey: compressed documents, the lock of whoever is asking, and the news of what was dropped."""

import asyncio
import zlib
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Final, cast

from pydantic import ValidationError
from redis.asyncio import Redis
from redis.asyncio.lock import Lock
from redis.exceptions import LockError
from structlog.stdlib import get_logger

from schema.searches import Entry
from store.valkey import Valkey

_log = get_logger(__name__)
KEPT: Final = timedelta(hours=24)
"""For read-only mode; how long an entry is fresh is written in it."""
DROPPED_CHANNEL: Final = "search:dropped"
_DROPPED_KEPT_S: Final = 120
"""Longer than any supplier takes to answer: whoever was asking when an item was dropped must still see that it was."""
_LEVEL: Final = 1
"""Of compression: the first level already makes JSON a seventh of its size."""
LOCK_S: Final = 2.0
"""Renewed while its holder lives; so long may a dead one keep the others waiting."""


def _document_key(cache_key: str) -> str:
    # Versioned: releases that overlap must not read each other's documents when their form changes.
    return f"search:entry:1:{cache_key}"


def _lock_key(cache_key: str) -> str:
    return f"search:asking:{cache_key}"


def _dropped_key(supplier: str) -> str:
    return f"search:dropped:{supplier}"


async def read(valkey: Valkey, cache_keys: Sequence[str]) -> dict[str, Entry]:
    """The entries that are there, fresh or not, in one round trip; none while Valkey is away."""
    keys = [_document_key(key) for key in cache_keys]
    documents = await valkey.attempt("search_read", lambda redis: redis.mget(keys)) if keys else None
    found: dict[str, Entry] = {}
    for cache_key, document in zip(cache_keys, documents or (), strict=bool(documents)):
        if isinstance(document, bytes) and (entry := _entry(document)) is not None:
            found[cache_key] = entry
    return found


def _entry(document: bytes) -> Entry | None:
    try:
        return Entry.model_validate_json(zlib.decompress(document))
    except (zlib.error, ValidationError) as error:
        _log.warning("search_document_unreadable", error=type(error).__name__)
        return None


async def write(valkey: Valkey, entry: Entry, max_bytes: int) -> bool:
    """Keeps the entry for a day. False if it is larger than `max_bytes`, before compression: then it is not kept."""
    document = entry.model_dump_json().encode()
    if len(document) > max_bytes:
        _log.warning("search_document_refused", supplier=entry.supplier, kind=entry.kind, size_bytes=len(document))
        return False
    packed = zlib.compress(document, _LEVEL)
    key = _document_key(entry.cache_key)
    await valkey.attempt("search_write", lambda redis: redis.set(key, packed, ex=KEPT))
    return True


async def drop(valkey: Valkey, cache_keys: Sequence[str]) -> None:
    """Forgets the documents, and tells every API process, which may hold answers made of them."""
    if not cache_keys:
        return

    async def command(redis: Redis) -> None:
        async with redis.pipeline(transaction=True) as pipeline:
            pipeline.unlink(*(_document_key(key) for key in cache_keys))
            pipeline.publish(DROPPED_CHANNEL, "\n".join(cache_keys))
            await pipeline.execute()

    await valkey.attempt("search_drop", command)


async def mark_dropped(valkey: Valkey, items: Sequence[tuple[str, str]], at: datetime, *, stale: bool) -> None:
    """For those who are asking the suppliers at this moment: their answers may be older than the news. `items`: supplier and
    item key, or a part of one."""

    async def command(redis: Redis) -> None:
        async with redis.pipeline(transaction=True) as pipeline:
            for supplier, item_key in items:
                key = _dropped_key(supplier)
                pipeline.zadd(key, {f"{int(stale)}{item_key}": at.timestamp()})
                pipeline.zremrangebyscore(key, 0, at.timestamp() - _DROPPED_KEPT_S)
                pipeline.expire(key, _DROPPED_KEPT_S)
            await pipeline.execute()

    await valkey.attempt("search_mark_dropped", command)


async def dropped_since(valkey: Valkey, supplier: str, since: datetime) -> dict[str, bool]:
    """Items that were dropped, and whether what was offered of them is stale."""
    key = _dropped_key(supplier)
    members = await valkey.attempt(
        "search_dropped_since", lambda redis: redis.zrangebyscore(key, since.timestamp(), "+inf")
    )
    texts = [member.decode() for member in cast(list[bytes], members or [])]
    return {text[1:]: text[0] == "1" or f"1{text[1:]}" in texts for text in texts}


@asynccontextmanager
async def asking(valkey: Valkey, cache_key: str) -> AsyncIterator[bool]:
    """Whether we may ask the supplier this query now: False while another process does. While Valkey is away, everybody may."""
    lock = Lock(valkey.client, _lock_key(cache_key), timeout=LOCK_S, blocking=False, thread_local=False)
    acquired = await valkey.attempt("search_lock", lambda _: lock.acquire())
    if not acquired:
        yield acquired is None
        return
    over = asyncio.Event()
    renewing = asyncio.create_task(_renew(valkey, lock, over))
    try:
        yield True
    finally:
        over.set()
        renewing.cancel()
        await valkey.attempt("search_unlock", lambda _: _unless_lost(lock.release()))


async def _renew(valkey: Valkey, lock: Lock, over: asyncio.Event) -> None:
    """Until it is over; never a lock that has been released."""
    while not over.is_set():
        await asyncio.sleep(LOCK_S / 4)
        if not over.is_set():
            await valkey.attempt("search_lock_renewed", lambda _: _unless_lost(lock.reacquire()))


async def _unless_lost(command: Awaitable[object]) -> None:
    """A lock that ran out meanwhile means that two may ask at once, which costs a call and breaks nothing."""
    with suppress(LockError):
        await command
