"""Failover: the same flight, room or class of car from another supplier, after one has definitely refused (P-1)."""

import asyncio

from structlog.stdlib import get_logger
from temporalio import activity

from activities.admission import item_plan
from activities.failures import told_to_temporal
from gateways.http import retried_by_caller
from gateways.ports import Supplier, Vendors
from schema.bookings import Substitute, SubstituteWanted
from schema.errors import TravelHubError
from schema.offers import FoundOffer, Offer, SearchRequest
from schema.references import item_reference, new_id
from store import items
from store.database import Database
from store.records import StoredItem

_SEARCH_TIMEOUT_S = 5
_log = get_logger(__name__)


class Substituting:
    """Finds an equal offer and puts it into the refused one's place."""

    def __init__(self, database: Database, vendors: Vendors) -> None:
        self._database = database
        self._vendors = vendors

    @activity.defn
    async def find_equal(self, wanted: SubstituteWanted) -> Substitute:
        """The cheapest equal offer within the limit, priced anew; None if nobody else has one. Run again, it finds its own work
        done: the item's generation says so."""
        async with told_to_temporal(wanted.retry_initial_s):
            async with self._database.read() as connection:
                item = await items.get(connection, wanted.booking_id, wanted.item_no)
            if item.generation == wanted.generation:
                found = await self._equal_offer(wanted, item)
                if found is None:
                    return Substitute(plan=None)
                reference = item_reference(wanted.booking_id, item.item_no, item.generation + 1)
                async with self._database.transaction() as connection:
                    await items.substitute(connection, item, wanted.booking_id, found, reference, wanted.reason)
                    item = await items.get(connection, wanted.booking_id, wanted.item_no)
            return Substitute(plan=item_plan(item, self._vendors, wanted.step_timeout_s))

    async def _equal_offer(self, wanted: SubstituteWanted, item: StoredItem) -> FoundOffer | None:
        if item.search_request is None:
            return None
        tried = {item.supplier, *(replaced.supplier for replaced in item.replaces)}
        others = [other for other in self._vendors.suppliers(item.offer.kind) if other.code not in tried]
        answers = await asyncio.gather(*(_search(other, item.search_request, wanted) for other in others))
        equal = [
            (other, found)
            for other, answer in zip(others, answers, strict=True)
            for found in answer
            if _is_equal(found.offer, item.offer) and _within(found.offer, wanted)
        ]
        for other, found in sorted(equal, key=lambda entry: entry[1].offer.price.amount_minor):
            checked = await _priced_anew(other, found, wanted)
            if checked is not None and _within(checked.offer, wanted):
                return checked
        return None


def _is_equal(offer: Offer, refused: Offer) -> bool:
    """What the traveller would take for the same, and nothing less: as many people, bags, and as refundable."""
    if offer.equal_key() != refused.equal_key() or offer.seats < refused.seats:
        return False
    if refused.refundable and not offer.refundable:
        return False
    if offer.kind == "flight" and refused.kind == "flight":
        return (offer.checked_bags or 0) >= (refused.checked_bags or 0)
    return True


def _within(offer: Offer, wanted: SubstituteWanted) -> bool:
    return offer.price.currency == wanted.limit.currency and offer.price <= wanted.limit


async def _search(supplier: Supplier, request: SearchRequest, wanted: SubstituteWanted) -> list[FoundOffer]:
    """Nothing where the supplier is slow or broken: the others may have it."""
    try:
        with retried_by_caller():
            async with asyncio.timeout(_SEARCH_TIMEOUT_S):
                return await supplier.search(request, wanted.correlation_id)
    except (TravelHubError, TimeoutError) as error:
        _log.warning("substitute_not_searched", supplier=supplier.code, error=type(error).__name__)
        return []


async def _priced_anew(supplier: Supplier, found: FoundOffer, wanted: SubstituteWanted) -> FoundOffer | None:
    """As it can be booked now, under an id of ours; None if it cannot."""
    try:
        check = await supplier.price(found.supplier_state, wanted.correlation_id)
    except TravelHubError as error:
        _log.warning("substitute_not_priced", supplier=supplier.code, error=type(error).__name__)
        return None
    changed = check.version is not None and found.version is not None and check.version.facts != found.version.facts
    if check.price is None or changed:
        return None
    offer = found.offer.model_copy(update={"offer_id": new_id("off"), "price": check.price})
    state = found.supplier_state if check.supplier_state is None else check.supplier_state
    return found.model_copy(update={"offer": offer, "supplier_state": state})
