"""A search as server-sent events: each supplier's offers as they arrive."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Final

from fastapi import APIRouter, Depends
from fastapi.sse import EventSourceResponse, ServerSentEvent

from api.documentation import refusals
from api.routes.searches import Searcher, SearchIdPath, stored
from api.search_views import SearchSummary, SupplierOffers, summary_of, supplier_offers_of
from api.services import Serve
from store.searches import StoredSearch

router = APIRouter(prefix="/v1/searches", tags=["searches"])
_LOOK_EVERY_S: Final = 0.15
"""Into the books, because the search may be running in another process."""


@router.get("/{search_id}/stream", response_class=EventSourceResponse, responses=refusals("malformed_id", "not_found"))
async def stream(
    client: Searcher, search_id: SearchIdPath, search: Annotated[StoredSearch, Depends(stored)], services: Serve
) -> AsyncIterator[ServerSentEvent]:
    """Follow a search: one `offers` event for each supplier when it has answered, its code as the event's id; then `done` with
    how the search went, and the end of the stream.

    Whoever connects again gets every event once more, so that nothing is lost; take the newest of each id. Equal offers of
    several suppliers are not put together here. Where the service restarts the stream ends without `done`: connect again.
    """
    told: set[str] = set()
    while True:
        reports = [report for report in search.progress.suppliers if report.outcome != "waiting"]
        news = [report for report in reports if report.supplier not in told]
        if news:
            finding = await services.search.searching.with_offers(search)
            for report in news:
                offers = supplier_offers_of(finding, report, services.search.rates)
                yield _event("offers", report.supplier, offers)
            told.update(report.supplier for report in news)
        if search.status == "complete":
            yield _event("done", "done", summary_of(search))
            return
        try:
            async with asyncio.timeout(_LOOK_EVERY_S):
                await services.draining.wait()
            return
        except TimeoutError:
            search = await stored(client, search_id, services)


def _event(name: str, event_id: str, data: SupplierOffers | SearchSummary) -> ServerSentEvent:
    return ServerSentEvent(raw_data=data.model_dump_json(), event=name, id=event_id)
