"""Stripe's own lists of payments, refunds and disputes: what was made since a moment, page by page, newest first.

Source: vendor-specs/stripe, GET /v1/payment_intents, /v1/refunds, /v1/disputes; `created` and `starting_after` of each.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import stripe
from stripe.params import DisputeListParams, PaymentIntentListParams, RefundListParams

from gateways.fields import Fields
from gateways.http import VendorHttp
from gateways.ports import ListedDispute, ListedPayment, ListedRefund, ListPage
from gateways.stripe_documents import listed_dispute, listed_payment, listed_refund
from gateways.stripe_wire import document, stripe_call

PAGE_SIZE = 100
"""The most a list call gives."""
CLOCK_MARGIN = timedelta(minutes=5)
"""Stripe's clock and ours may differ by this much."""
Line = TypeVar("Line")


def _created_from_s(since: datetime) -> int:
    """The bound of `created`, in Stripe's seconds since 1970."""
    return int((since.astimezone(UTC) - CLOCK_MARGIN).timestamp())


class StripeLists:
    """The port `ListsPayments`, for `StripePayments` to hand on to."""

    def __init__(self, http: VendorHttp, client: stripe.StripeClient) -> None:
        self._http = http
        self._stripe = client

    async def payments(self, since: datetime, cursor: str | None, correlation_id: str) -> ListPage[ListedPayment]:
        """GET /v1/payment_intents, each with its latest charge."""
        query: PaymentIntentListParams = {
            "created": {"gte": _created_from_s(since)},
            "limit": PAGE_SIZE,
            "expand": ["data.latest_charge"],
        }
        if cursor is not None:
            query["starting_after"] = cursor
        with stripe_call(self._http.booking("list_payments", correlation_id), reading=True):
            page = await self._stripe.v1.payment_intents.list_async(query)
        return _page(document(page, "payment intents"), listed_payment)

    async def refunds(
        self, since: datetime, cursor: str | None, correlation_id: str, of_payment: str | None
    ) -> ListPage[ListedRefund]:
        """GET /v1/refunds."""
        query: RefundListParams = {"created": {"gte": _created_from_s(since)}, "limit": PAGE_SIZE}
        if cursor is not None:
            query["starting_after"] = cursor
        if of_payment is not None:
            query["payment_intent"] = of_payment
        with stripe_call(self._http.booking("list_refunds", correlation_id), reading=True):
            page = await self._stripe.v1.refunds.list_async(query)
        return _page(document(page, "refunds"), listed_refund)

    async def disputes(
        self, since: datetime, cursor: str | None, correlation_id: str, of_payment: str | None
    ) -> ListPage[ListedDispute]:
        """GET /v1/disputes."""
        query: DisputeListParams = {"created": {"gte": _created_from_s(since)}, "limit": PAGE_SIZE}
        if cursor is not None:
            query["starting_after"] = cursor
        if of_payment is not None:
            query["payment_intent"] = of_payment
        with stripe_call(self._http.booking("list_disputes", correlation_id), reading=True):
            page = await self._stripe.v1.disputes.list_async(query)
        return _page(document(page, "disputes"), listed_dispute)


def _page(listed: Fields, line_of: Callable[[Fields], Line]) -> ListPage[Line]:
    objects = listed.objects("data")
    more = bool(objects) and listed.flag("has_more")
    return ListPage(lines=[line_of(each) for each in objects], cursor=objects[-1].text("id") if more else None)
