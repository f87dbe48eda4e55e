"""Stripe's own lists of payments, refunds and disputes: what was made since a moment, page by page, newest first.

Source: vendor-specs/stripe, GET /v1/payment_intents, /v1/refunds, /v1/disputes; `created` and `starting_after` of each.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import stripe

from gateways.fields import Fields
from gateways.http import VendorHttp
from gateways.ports import ListedDispute, ListedPayment, ListedRefund, ListPage
from gateways.stripe_documents import listed_dispute, listed_payment, listed_refund
from gateways.stripe_wire import VENDOR, stripe_call

PAGE_SIZE = 100
"""The most a list call gives."""
CLOCK_MARGIN = timedelta(minutes=5)
"""Stripe's clock and ours may differ by this much."""
Line = TypeVar("Line")


class StripeLists:
    """The port `ListsPayments`, for `StripePayments` to hand on to."""

    def __init__(self, http: VendorHttp, client: stripe.StripeClient) -> None:
        self._http = http
        self._stripe = client

    async def payments(self, since: datetime, cursor: str | None, correlation_id: str) -> ListPage[ListedPayment]:
        """GET /v1/payment_intents, each with its latest charge."""
        query = {**_query(since, cursor), "expand": ["data.latest_charge"]}
        return _page(await self._read("list_payments", "payment_intents", query, correlation_id), listed_payment)

    async def refunds(
        self, since: datetime, cursor: str | None, correlation_id: str, of_payment: str | None
    ) -> ListPage[ListedRefund]:
        """GET /v1/refunds."""
        query = _query(since, cursor, of_payment)
        return _page(await self._read("list_refunds", "refunds", query, correlation_id), listed_refund)

    async def disputes(
        self, since: datetime, cursor: str | None, correlation_id: str, of_payment: str | None
    ) -> ListPage[ListedDispute]:
        """GET /v1/disputes."""
        query = _query(since, cursor, of_payment)
        return _page(await self._read("list_disputes", "disputes", query, correlation_id), listed_dispute)

    async def _read(self, operation: str, objects: str, query: dict[str, object], correlation_id: str) -> Fields:
        """By the library's raw request: to make its objects of a page takes many times the time of the call itself."""
        with stripe_call(self._http.booking(operation, correlation_id), reading=True):
            answer = await self._stripe.raw_request_async("get", f"/v1/{objects}", **query)
        return Fields.of(VENDOR, objects, answer.data)


def _query(since: datetime, cursor: str | None, of_payment: str | None = None) -> dict[str, object]:
    created_from_s = int((since.astimezone(UTC) - CLOCK_MARGIN).timestamp())
    query: dict[str, object] = {"created": {"gte": created_from_s}, "limit": PAGE_SIZE}
    if cursor is not None:
        query["starting_after"] = cursor
    if of_payment is not None:
        query["payment_intent"] = of_payment
    return query


def _page(listed: Fields, line_of: Callable[[Fields], Line]) -> ListPage[Line]:
    objects = listed.objects("data")
    more = bool(objects) and listed.flag("has_more")
    return ListPage(lines=[line_of(each) for each in objects], cursor=objects[-1].text("id") if more else None)
