"""The vendors' own lists, read page by page: everything on them once, nothing from before."""

from datetime import UTC, datetime, timedelta

import pytest

from gateways import duffel, stripe_lists
from gateways.ports import ListsPayments, ListsReservations
from tests.reconciliation.conftest import Reconciled

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120), pytest.mark.stack]


async def _all(list_page, since: datetime) -> list[object]:
    lines, cursor = [], None
    while True:
        page = await list_page(since, cursor, "test")
        lines += page.lines
        cursor = page.cursor
        if cursor is None:
            return lines


async def test_small_pages_show_what_one_page_shows(reconciled: Reconciled, monkeypatch: pytest.MonkeyPatch) -> None:
    stripe, flights = reconciled.house.vendors.payments("stripe"), reconciled.house.vendors.supplier("duffel")
    assert isinstance(stripe, ListsPayments)
    assert isinstance(flights, ListsReservations)
    since = datetime.now(UTC) - timedelta(hours=1)
    lists = (stripe.list_payments, stripe.list_refunds, stripe.list_disputes, flights.list_reservations)
    whole = [await _all(each, since) for each in lists]
    assert [len(lines) > 0 for lines in whole] == [True] * len(lists)
    monkeypatch.setattr(stripe_lists, "PAGE_SIZE", 3)
    monkeypatch.setattr(duffel, "PAGE_SIZE", 3)
    assert [await _all(each, since) for each in lists] == whole


async def test_nothing_older_is_shown(reconciled: Reconciled) -> None:
    stripe, flights = reconciled.house.vendors.payments("stripe"), reconciled.house.vendors.supplier("duffel")
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    lists = (stripe.list_payments, stripe.list_refunds, stripe.list_disputes, flights.list_reservations)
    assert [await _all(each, tomorrow) for each in lists] == [[], [], [], []]
