"""PayPal's two lists: events, and GET /v1/reporting/transactions, by which reconciliation pages through all payments.

Transactions follow Transaction Search 1.9 (paypal-rest-api-specifications), which is not among the stored contracts, so
nothing judges them. The event codes, the limit of 10,000 and its error are from PayPal's guides, unverified.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice, takewhile
from typing import Final, NamedTuple, cast
from urllib.parse import urlencode

import orjson

from sandbox.vendors.paypal_documents import Authorization, Capture, Refund
from sandbox.vendors.paypal_records import Records
from sandbox.vendors.paypal_settings import Settings
from sandbox.vendors.paypal_webhooks import Event
from sandbox.vendors.paypal_wire import VENDOR, PayPalError, moment, money
from sandbox.world import JsonObject, World

_RANGE_MAX_S: Final = 31 * 24 * 3600
_RESULT_MAX: Final = 10_000
_PAGE_MAX: Final = 500
_EVENTS_MAX: Final = 300

_AUTHORISED, _REAUTHORISED, _PAID, _REFUNDED = "T1300", "T1301", "T0006", "T1107"


class _Listed(NamedTuple):
    """A transaction, not yet rendered: a page shows few of those that are counted."""

    row: Authorization | Capture | Refund
    code: str
    reference: str | None
    """The transaction it follows from."""
    state: Authorization | Capture | Refund
    """Whose status it has."""


def transactions(records: Records, query: Mapping[str, str], base: str) -> JsonObject:
    """GET /v1/reporting/transactions: captures and refunds, with `balance_affecting_records_only=N` authorisations too."""
    starts, ends = _time(query, "start_date"), _time(query, "end_date")
    if not 0 <= ends - starts <= _RANGE_MAX_S:
        raise PayPalError(400, "INVALID_DATE_RANGE", field="/end_date")
    size = _number(query, "page_size", 100, _PAGE_MAX)
    page = _number(query, "page", 1, 2**31 - 1)
    refreshed = records.now() - Settings.of(records.world).reporting_lag_s
    latest, wanted = min(ends, refreshed), query.get("transaction_id")
    everything = query.get("balance_affecting_records_only") == "N"
    rows = [
        listed
        for listed in _since(records, starts, everything=everything)
        if listed.row["recorded"] <= latest and wanted in (None, listed.row["id"])
    ]
    if len(rows) > _RESULT_MAX:
        raise PayPalError(400, "RESULTSET_TOO_LARGE")
    rows.sort(key=lambda listed: listed.row["recorded"])
    pages = -(-len(rows) // size)
    return {
        "transaction_details": [
            {"transaction_info": _transaction(listed)} for listed in rows[(page - 1) * size : page * size]
        ],
        "account_number": "SANDBOXMERCHANT",
        "start_date": moment(starts),
        "end_date": moment(ends),
        "last_refreshed_datetime": moment(refreshed),
        "page": page,
        "total_items": len(rows),
        "total_pages": pages,
        "links": _page_links(query, page, pages, base),
    }


def events(world: World, query: Mapping[str, str]) -> JsonObject:
    """GET /v1/notifications/webhooks-events, newest first."""
    starts = _time(query, "start_time") if "start_time" in query else 0.0
    ends = _time(query, "end_time") if "end_time" in query else float("inf")
    rows = (cast(Event, cast(object, document)) for document in world.newest(VENDOR, "event"))
    found = (
        orjson.loads(row["body"])
        for row in rows
        if starts <= row["created"] <= ends
        and query.get("event_type") in (None, row["type"])
        and query.get("transaction_id") in (None, row["resource_id"])
    )
    listed = cast("list[object]", list(islice(found, _number(query, "page_size", 10, _EVENTS_MAX))))
    return {"events": listed, "count": len(listed), "links": []}


def _since(records: Records, starts: float, *, everything: bool) -> Iterator[_Listed]:
    """Transactions since a time. Each kind is kept in the order it was recorded, so older ones are never looked at."""

    def newest(kind: str) -> Iterator[JsonObject]:
        return takewhile(lambda row: cast(float, row["recorded"]) >= starts, records.world.newest(VENDOR, kind))

    for capture in cast("Iterator[Capture]", newest("capture")):
        yield _Listed(capture, _PAID, capture["authorization"], capture)
    for refund in cast("Iterator[Refund]", newest("refund")):
        yield _Listed(refund, _REFUNDED, refund["capture"], refund)
    if everything:
        for authorization in cast("Iterator[Authorization]", newest("authorization")):
            parent = authorization["parent"]
            code = _REAUTHORISED if parent else _AUTHORISED
            yield _Listed(authorization, code, parent, records.state_of(authorization))


def _transaction(listed: _Listed) -> JsonObject:
    row = listed.row
    sign = -1 if listed.code == _REFUNDED else 1
    info: JsonObject = {
        "transaction_id": row["id"],
        "transaction_event_code": listed.code,
        "transaction_initiation_date": moment(row["recorded"]),
        "transaction_updated_date": moment(row["updated"]),
        "transaction_amount": money(sign * row["amount"], row["currency"]),
        "transaction_status": _status(listed.state),
    }
    if listed.reference is not None:
        info |= {"paypal_reference_id": listed.reference, "paypal_reference_id_type": "TXN"}
    if row["invoice_id"] is not None:
        info["invoice_id"] = row["invoice_id"]
    if row["custom_id"] is not None:
        info["custom_field"] = row["custom_id"]
    return info


def _status(row: Authorization | Capture | Refund) -> str:
    """S for success, P for pending, D for denied, V for what was taken back."""
    letters = {"PENDING": "P", "DECLINED": "D", "DENIED": "D", "FAILED": "D", "VOIDED": "V", "REFUNDED": "V"}
    return letters.get(row["status"], "S")


def _page_links(query: Mapping[str, str], page: int, pages: int, base: str) -> list[JsonObject]:
    named = {"self": page, "next": page + 1 if page < pages else None, "last": pages or None}
    return [
        {
            "href": f"{base}/v1/reporting/transactions?{urlencode({**query, 'page': number})}",
            "rel": rel,
            "method": "GET",
        }
        for rel, number in named.items()
        if number is not None
    ]


def _time(query: Mapping[str, str], name: str) -> float:
    try:
        found = datetime.fromisoformat(query[name])
    except (KeyError, ValueError):
        issue = "INVALID_PARAMETER_SYNTAX" if name in query else "MISSING_REQUIRED_PARAMETER"
        raise PayPalError(400, issue, field=f"/{name}") from None
    if found.tzinfo is None:
        raise PayPalError(400, "INVALID_PARAMETER_SYNTAX", field=f"/{name}")
    return found.timestamp()


def _number(query: Mapping[str, str], name: str, default: int, most: int) -> int:
    text = query.get(name, str(default))
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise PayPalError(400, "INVALID_PARAMETER_VALUE", field=f"/{name}")
    return int(text)
