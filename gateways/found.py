"""What every search does with a supplier's documents: leave out the unusable, tell versions apart, put the cheapest first."""

from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Final, TypeVar

import orjson
import structlog

from schema.errors import VendorContractBroken
from schema.offers import FoundOffer, Version

FINGERPRINT_LENGTH: Final = 16

Document = TypeVar("Document")

_logger = structlog.stdlib.get_logger("gateways.found")


def found_offers(
    vendor: str, documents: Iterable[Document], make: Callable[[Document], FoundOffer | None], currency: str
) -> list[FoundOffer]:
    """An offer of each document, cheapest first; `make` gives None for what is not for us.

    A document that breaks the contract is left out and told; if all of them do, VendorContractBroken is raised. Offers in
    another currency than asked for come last, because they cannot be compared.
    """
    found: list[FoundOffer] = []
    broken: list[VendorContractBroken] = []
    for document in documents:
        try:
            offer = make(document)
        except VendorContractBroken as error:
            broken.append(error)
        else:
            if offer is not None:
                found.append(offer)
    if broken and not found:
        raise broken[0]
    if broken:
        _logger.warning("offers_left_out", vendor=vendor, count=len(broken), problem=broken[0].message)

    def order(item: FoundOffer) -> tuple[bool, str, int]:
        price = item.offer.price
        return price.currency != currency, price.currency, price.amount_minor

    return sorted(found, key=order)


def version_of(last_updated: str | None, *facts: object) -> Version:
    """The version of an offer that sells these facts, which are what JSON can say, and dates; their order counts.

    The price is none of them. The same facts give the same fingerprint, at search as at a price check.
    """
    canonical = orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)
    return Version(last_updated=last_updated, facts=sha256(canonical).hexdigest()[:FINGERPRINT_LENGTH])
