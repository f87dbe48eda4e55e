"""What PayPal lists by itself: the events it keeps, read for the refunds among them, also those that people make in its own pages.

Its contracts list no payments: GET /v1/notifications/webhooks-events is the one list there is. An event tells of a refund as it was
then, and not of which order; both are read anew from the capture that it links to.
Source: vendor-specs/paypal/notifications_webhooks_v1.json and payments_payment_v2.json.
"""

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from gateways.fields import Fields
from gateways.http import Call, path_segment
from gateways.paypal_documents import Order, key_of, refund_of
from gateways.paypal_wire import VENDOR, PayPalWire
from gateways.ports import ListedRefund, ListPage
from schema.errors import VendorContractBroken

EVENTS = "/v1/notifications/webhooks-events"
CAPTURES = "/v2/payments/captures"
REFUNDED = "PAYMENT.CAPTURE.REFUNDED"
PAGE_SIZE = 100
CLOCK_MARGIN = timedelta(minutes=5)
"""PayPal's clock may be behind ours."""


class RefundList:
    """The port's `list_refunds`."""

    def __init__(self, wire: PayPalWire) -> None:
        self._wire = wire

    async def since(self, since: datetime, cursor: str | None, correlation_id: str) -> ListPage[ListedRefund]:
        """One page of events, newest first; the contract pages by nothing but time, so the next page ends where this one does."""
        call = self._wire.http.booking("list_refunds", correlation_id)
        query = {
            "event_type": REFUNDED,
            "page_size": str(PAGE_SIZE),
            "start_time": _moment(since - CLOCK_MARGIN),
            "end_time": cursor or _moment(datetime.now(UTC) + CLOCK_MARGIN),
        }
        page = await self._wire.read(call, f"{EVENTS}?{urlencode(query)}")
        events = page.objects_or_none("events") or []
        captures = {_capture_of(event.object("resource")): None for event in events}
        lines = [line for capture_id in captures for line in await self._of_capture(call, capture_id)]
        return ListPage(lines=lines, cursor=_next(events, cursor))

    async def of_order(self, order_id: str, correlation_id: str) -> ListPage[ListedRefund]:
        """All refunds of one order, which shows them itself."""
        call = self._wire.http.booking("list_refunds", correlation_id)
        return ListPage(lines=await self._of_order(call, order_id), cursor=None)

    async def _of_capture(self, call: Call, capture_id: str) -> list[ListedRefund]:
        capture = await self._wire.read(call, f"{CAPTURES}/{path_segment(capture_id)}")
        supplement = capture.object_or_none("supplementary_data")
        related = supplement.object_or_none("related_ids") if supplement else None
        order_id = related.text_or_none("order_id") if related else None
        return await self._of_order(call, order_id) if order_id else []  # sold without an order: nothing of ours

    async def _of_order(self, call: Call, order_id: str) -> list[ListedRefund]:
        order = Order(await self._wire.read(call, f"/v2/checkout/orders/{path_segment(order_id)}"))
        return [
            ListedRefund(
                payment_reference=order.reference, key=key_of(each.text_or_none("custom_id")), refund=refund_of(each)
            )
            for each in order.refunds
        ]


def _capture_of(refund: Fields) -> str:
    links = refund.objects_or_none("links") or []
    up = next((link.text("href") for link in links if link.text_or_none("rel") == "up"), None)
    if up is None:
        raise VendorContractBroken(f"{VENDOR}: refund {refund.text('id')} names no capture")
    return up.rstrip("/").rpartition("/")[2]


def _next(events: list[Fields], cursor: str | None) -> str | None:
    if len(events) < PAGE_SIZE:
        return None
    oldest = _moment(min(event.moment("create_time") for event in events))
    if oldest == cursor:
        raise VendorContractBroken(f"{VENDOR}: {PAGE_SIZE} refunds of one moment cannot be told apart")
    return oldest


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
