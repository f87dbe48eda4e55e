"""What every search does with a supplier's documents: leave out what is unusable, and put the cheapest first."""

from collections.abc import Callable, Iterable
from typing import TypeVar

import structlog

from schema.errors import VendorContractBroken
from schema.offers import FoundOffer

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
