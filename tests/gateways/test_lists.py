"""What vendors list, told in our words: PayPal's refunds by its events, LiteAPI's bookings."""

from datetime import timedelta

import pytest

from gateways import paypal_lists
from schema.errors import VendorContractBroken
from tests.gateways import liteapi_documents, paypal_documents
from tests.gateways.paypal_documents import (
    CAPTURE_ID,
    MADE_AT,
    OF_ORDER,
    ORDER_ID,
    READ,
    REFUND_ID,
    REFUND_KEY,
    TOKEN_ASKED,
    behind_token,
    capture,
    captured,
    events,
    refund,
    shown,
)
from tests.gateways.support import NOW, PAYMENT_ID, PRICE, REFERENCE, Vendor

BY_HAND = refund(id="9JU08902781691419", custom_id=PAYMENT_ID)
READ_CAPTURE = f"GET /v2/payments/captures/{CAPTURE_ID}"
READ_EVENTS = f"GET {paypal_lists.EVENTS}"


async def test_paypals_refunds_are_those_of_the_orders_that_its_events_tell_of() -> None:
    vendor = behind_token(
        shown(events(BY_HAND, refund())), shown(capture(**OF_ORDER)), shown(captured("REFUNDED", refund(), BY_HAND))
    )
    page = await paypal_documents.gateway(vendor).list_refunds(NOW, None, "trip-1")
    assert vendor.asked() == [TOKEN_ASKED, READ_EVENTS, READ_CAPTURE, READ]
    assert [(line.payment_reference, line.key, line.refund.provider_reference) for line in page.lines] == [
        (ORDER_ID, REFUND_KEY, REFUND_ID),
        (ORDER_ID, None, BY_HAND["id"]),
    ]
    assert page.cursor is None


async def test_the_next_page_ends_where_this_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paypal_lists, "PAGE_SIZE", 1)
    answers = [shown(events(BY_HAND)), shown(capture(**OF_ORDER)), shown(captured("REFUNDED", BY_HAND))]
    vendor = behind_token(*answers, *answers)
    gateway = paypal_documents.gateway(vendor)
    page = await gateway.list_refunds(MADE_AT - timedelta(days=1), None, "trip-1")
    assert page.cursor is not None
    with pytest.raises(VendorContractBroken, match="cannot be told apart"):  # rather than to go round for ever
        await gateway.list_refunds(MADE_AT - timedelta(days=1), page.cursor, "trip-1")
    assert vendor.requests[-3].url.params["end_time"] == page.cursor


async def test_what_was_sold_without_an_order_is_nothing_of_ours() -> None:
    vendor = behind_token(shown(events(BY_HAND)), shown(capture()))
    assert (await paypal_documents.gateway(vendor).list_refunds(NOW, None, "trip-1")).lines == []


@pytest.mark.parametrize("name", ["bookingId", "booking_Id"])
async def test_liteapis_bookings_are_listed_with_our_references(name: str) -> None:
    """Its schema and its example write the id in two ways."""
    line = {"status": "CONFIRMED", "currency": PRICE.currency, "created_at": NOW.isoformat()}
    ours = {**line, name: "lb_1", "client_reference": REFERENCE, "retail_rate": "123.40"}
    foreign = {**line, name: "lb_2", "client_reference": "", "retail_rate": "dear", "status": "CANCELED"}
    old = {**ours, name: "lb_0", "created_at": (NOW - timedelta(hours=1)).isoformat()}
    vendor = Vendor(liteapi_documents.data([ours, foreign, old]))
    page = await liteapi_documents.gateway(vendor).list_reservations(NOW, None, "trip-1")
    assert vendor.requests[0].url.path == "/v3.0/bookings/"
    told = [(each.reference, each.reservation.provider_reference, each.reservation.status) for each in page.lines]
    assert told == [(REFERENCE, "lb_1", "confirmed"), (None, "lb_2", "cancelled")]
    assert page.lines[0].reservation.price == PRICE.model_copy(update={"amount_minor": 12_340})
