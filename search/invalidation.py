"""What is known to be sold, booked or changed leaves the cache at once, and can no longer be booked where it is stale."""

from collections.abc import Sequence
from datetime import UTC, datetime

from structlog.stdlib import get_logger

from store import search_cache, searches
from store.database import Database
from store.valkey import Valkey

_log = get_logger(__name__)


async def drop_item(database: Database, valkey: Valkey, supplier: str, item_key: str, *, stale: bool) -> int:
    """Drops the cached entries that show the supplier's item (`offer.item_key()`), and only those; returns how many.

    `stale`: it is sold out or has changed, so its offers cannot be booked from now on. Without it, as after a booking of ours,
    what was found can still be tried. Raises what PostgreSQL raises, and nothing because of Valkey.
    """
    return await _drop(database, valkey, [(supplier, item_key)], stale=stale)


async def drop_taken(database: Database, valkey: Valkey, items: Sequence[tuple[str, str]]) -> int:
    """The same, for what one booking has taken: suppliers and item keys. Others may still try what they have found."""
    return await _drop(database, valkey, items, stale=False) if items else 0


async def _drop(database: Database, valkey: Valkey, items: Sequence[tuple[str, str]], *, stale: bool) -> int:
    now = datetime.now(UTC)
    # Before PostgreSQL is asked: an answer that is written after that sees the mark.
    await search_cache.mark_dropped(valkey, items, now, stale=stale)
    async with database.read() as connection:
        if stale:
            for supplier, item_key in items:
                await searches.mark_stale(connection, supplier, item_key)
        keys = await searches.keys_of_items(connection, items, now - search_cache.KEPT)
    await search_cache.drop(valkey, keys)
    _log.info("search_entries_dropped", suppliers=[supplier for supplier, _ in items], entries=len(keys), stale=stale)
    return len(keys)


async def drop_items_with(database: Database, valkey: Valkey, supplier: str, part: str) -> int:
    """Drops, as stale, every item of the supplier that has the part in its key: a flight (`FlightSegment.key()`), with whatever
    flight back it is sold. Returns how many items; raises as `drop_item` does."""
    now = datetime.now(UTC)
    # Answers on their way may sell it in combinations that nobody has found before.
    await search_cache.mark_dropped(valkey, [(supplier, part)], now, stale=True)
    async with database.read() as connection:
        item_keys = await searches.items_with(connection, supplier, part, now - search_cache.KEPT)
    for item_key in item_keys:
        await drop_item(database, valkey, supplier, item_key, stale=True)
    return len(item_keys)
