"""The read path: every supplier of the asked kinds in parallel, each with its own few seconds; one that is slow or broken takes
nothing from the others."""

import asyncio
from typing import Final, Literal

from structlog.stdlib import get_logger

from gateways.ports import Supplier, Vendors
from schema.model import Message
from schema.offers import FoundOffer, Kind, SearchRequest

_log = get_logger(__name__)
SUPPLIER_TIMEOUT_S: Final = 5
MAX_OFFERS_OF_A_SUPPLIER: Final = 50
"""The cheapest ones: each offer is stored under an id of ours, and nobody reads the hundredth."""


class SupplierAnswer(Message):
    """What one supplier brought, or why it brought nothing."""

    supplier: str
    kind: Kind
    outcome: Literal["ok", "timeout", "error"]
    found: list[FoundOffer] = []


async def search_all(
    vendors: Vendors, request: SearchRequest, correlation_id: str, timeout_s: float = SUPPLIER_TIMEOUT_S
) -> list[SupplierAnswer]:
    """One answer for each supplier of the kinds asked for, in the order of the registry. Never raises for a supplier."""
    kinds = set(request.kinds)
    asked = [supplier for supplier in vendors.suppliers() if supplier.kind in kinds]
    return await asyncio.gather(*(_ask(supplier, request, correlation_id, timeout_s) for supplier in asked))


async def _ask(supplier: Supplier, request: SearchRequest, correlation_id: str, timeout_s: float) -> SupplierAnswer:
    try:
        async with asyncio.timeout(timeout_s):
            found = await supplier.search(request, correlation_id)
    except TimeoutError:
        _log.warning("supplier_search_timeout", supplier=supplier.code, kind=supplier.kind, timeout_s=timeout_s)
        return SupplierAnswer(supplier=supplier.code, kind=supplier.kind, outcome="timeout")
    except Exception as error:  # noqa: BLE001  # a broken supplier must not take the others' offers with it
        _log.warning("supplier_search_failed", supplier=supplier.code, kind=supplier.kind, error=type(error).__name__)
        return SupplierAnswer(supplier=supplier.code, kind=supplier.kind, outcome="error")
    return SupplierAnswer(
        supplier=supplier.code, kind=supplier.kind, outcome="ok", found=found[:MAX_OFFERS_OF_A_SUPPLIER]
    )
