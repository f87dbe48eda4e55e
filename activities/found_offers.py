"""What bookings teach about offers found by searches: one that is sold out or has changed, and one of which there is one less now."""

from structlog.stdlib import get_logger

from search.invalidation import drop_item, drop_taken
from store import items
from store.database import AWAY, Database
from store.items import StepItem
from store.valkey import Valkey

_log = get_logger(__name__)


class FoundOffers:
    """Drops what searches would still show. A booking never fails for it: what stays is checked again when it is booked."""

    def __init__(self, database: Database, valkey: Valkey) -> None:
        self._database = database
        self._valkey = valkey

    async def is_gone(self, item: StepItem) -> None:
        """Sold out, or not what was offered any more (C-4b): nobody is to see it, and who has seen it cannot book it."""
        if item.item_key is None:
            return
        try:
            await drop_item(self._database, self._valkey, item.supplier, item.item_key, stale=True)
        except AWAY as error:
            _told_late(error)

    async def was_used_up(self, item: StepItem) -> None:
        """The supplier sells it, but not by this offer: the next search asks it again."""
        if item.item_key is None:
            return
        try:
            await drop_taken(self._database, self._valkey, [(item.supplier, item.item_key)])
        except AWAY as error:
            _told_late(error)

    async def were_taken(self, booking_id: str) -> None:
        """A confirmed trip: the next search asks the suppliers again (C-4d); others may still book what they have seen."""
        try:
            async with self._database.read() as connection:
                taken = await items.confirmed_keys(connection, booking_id)
            await drop_taken(self._database, self._valkey, taken)
        except AWAY as error:
            _told_late(error)


def _told_late(error: Exception) -> None:
    _log.warning("found_offers_not_dropped", error=type(error).__name__)
