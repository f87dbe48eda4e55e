"""PayPal's Orders v2, Payments v2 and webhooks, simulated after the published contracts, with real idempotency by
PayPal-Request-Id, and with the transaction search by which a merchant lists its payments."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.faults import FAULT_SCOPE_KEY, Fault
from sandbox.vendors.paypal_authorizations import Authorizations
from sandbox.vendors.paypal_books import books
from sandbox.vendors.paypal_captures import Captures
from sandbox.vendors.paypal_control import checkout_routes, control_routes
from sandbox.vendors.paypal_documents import (
    authorization_links,
    capture_links,
    minimal,
    order_links,
    refund_document,
    refund_links,
)
from sandbox.vendors.paypal_idempotency import HEADER, KeyedRequest, claim_key
from sandbox.vendors.paypal_lists import events, transactions
from sandbox.vendors.paypal_orders import Orders
from sandbox.vendors.paypal_records import Records, authorization_shown, capture_shown
from sandbox.vendors.paypal_refunds import Refunds
from sandbox.vendors.paypal_requests import (
    CaptureRequest,
    CompletionRequest,
    OrderRequest,
    ReauthoriseRequest,
    RefundRequest,
    parsed,
)
from sandbox.vendors.paypal_token import check_token, issue_token
from sandbox.vendors.paypal_webhooks import Verification
from sandbox.vendors.paypal_wire import PREFIX, VENDOR, Api, PayPalError, json_response
from sandbox.world import JsonObject, World

__all__ = ["PREFIX", "VENDOR", "books", "claim_key", "control_routes", "fault_response", "routes"]

_LATER: Final = ("decline", "accept_later")
_COMPLETING: Final = (*_LATER, "three_d_secure")


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request."""

    address: str
    """The path with our prefix."""
    path: dict[str, str]
    query: dict[str, str]
    body: bytes
    fault: Fault | None
    key: str | None
    base: str
    """What our links begin with."""
    whole: bool
    """All is to be shown: to a GET, and to a client that prefers the representation."""

    @property
    def api(self) -> Api:
        return "orders" if "/v2/checkout/" in self.address else "payments"


Act: TypeAlias = Callable[[Call], str]
"""Does what is asked; the id of what there is to show."""
Show: TypeAlias = Callable[[str, Call], JsonObject]
Handler: TypeAlias = Callable[[Call], Response]


class _PayPal:
    """The calls. Every one is synchronous: between reading a request and keeping its answer nothing interleaves."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.records = Records(world)
        self.captures = Captures(self.records)
        self.authorizations = Authorizations(self.records, self.captures)
        self.orders = Orders(self.records, self.authorizations, self.captures)
        self.refunds = Refunds(self.records)

    def resume(self) -> None:
        """The timers that a restart lost."""
        self.captures.resume()
        self.authorizations.resume()
        self.refunds.resume()

    # ---------------------------------------------------------------------------------------------------- acts

    def create_order(self, call: Call) -> str:
        return self.orders.create(parsed(call.body, OrderRequest, "orders"), call.fault, call.key)["id"]

    def authorise_order(self, call: Call) -> str:
        asked = parsed(call.body, CompletionRequest, "orders")
        self.orders.authorise(call.path["id"], asked, call.fault, call.base)
        return call.path["id"]

    def capture_order(self, call: Call) -> str:
        asked = parsed(call.body, CompletionRequest, "orders")
        self.orders.capture(call.path["id"], asked, call.fault, call.base)
        return call.path["id"]

    def capture_authorization(self, call: Call) -> str:
        asked = parsed(call.body, CaptureRequest, "payments")
        return self.authorizations.capture(call.path["id"], asked, call.fault)["id"]

    def reauthorise(self, call: Call) -> str:
        asked = parsed(call.body, ReauthoriseRequest, "payments")
        return self.authorizations.reauthorise(call.path["id"], asked, call.fault)["id"]

    def refund(self, call: Call) -> str:
        asked = parsed(call.body, RefundRequest, "payments")
        return self.refunds.make(call.path["id"], asked, call.fault, call.key)["id"]

    # --------------------------------------------------------------------------------------------------- shows

    def show_order(self, order_id: str, call: Call) -> JsonObject:
        order = self.records.order(order_id)
        if call.whole:
            return self.records.order_shown(order, call.base)
        return minimal(order, order_links(order, call.base))

    def show_authorization(self, authorization_id: str, call: Call) -> JsonObject:
        shown = self.records.current(authorization_id)
        if call.whole:
            return authorization_shown(shown, call.base)
        return minimal(shown, authorization_links(shown, call.base))

    def show_capture(self, capture_id: str, call: Call) -> JsonObject:
        capture = self.records.capture(capture_id)
        return capture_shown(capture, call.base) if call.whole else minimal(capture, capture_links(capture, call.base))

    def show_refund(self, refund_id: str, call: Call) -> JsonObject:
        refund = self.records.refund(refund_id)
        return refund_document(refund, call.base) if call.whole else minimal(refund, refund_links(refund, call.base))


def routes(world: World) -> list[Route]:
    """The endpoints below `/paypal`, and the timers that a restart lost."""
    paypal = _PayPal(world)
    paypal.resume()
    order, authorization = "/v2/checkout/orders/{id}", "/v2/payments/authorizations/{id}"
    capture, event = "/v2/payments/captures/{id}", "/v1/notifications/webhooks-events"

    def made(path: str, act: Act, show: Show, *faults: str) -> Route:
        return Route(path, _answering(world, _keyed(world, act, show), *faults), methods=["POST"])

    def read(path: str, handler: Handler) -> Route:
        return Route(path, _answering(world, handler), methods=["GET"])

    def shown(path: str, show: Show) -> Route:
        return read(path, lambda call: json_response(show(call.path["id"], call)))

    async def token(request: Request) -> Response:
        try:
            _check_fault(_fault_of(request))
            return issue_token(world, request, await request.body())
        except PayPalError as error:
            return error.response("payments")

    def verify(call: Call) -> Response:
        return json_response(paypal.records.webhooks.verify(parsed(call.body, Verification, "payments")))

    def void(call: Call) -> Response:
        paypal.authorizations.void(call.path["id"])
        if not call.whole:
            return Response(status_code=204)
        return json_response(paypal.show_authorization(call.path["id"], call))

    return [
        Route("/v1/oauth2/token", token, methods=["POST"]),
        made("/v2/checkout/orders", paypal.create_order, paypal.show_order, "decline", "three_d_secure"),
        shown(order, paypal.show_order),
        made(f"{order}/authorize", paypal.authorise_order, paypal.show_order, *_COMPLETING, "aged"),
        made(f"{order}/capture", paypal.capture_order, paypal.show_order, *_COMPLETING),
        shown(authorization, paypal.show_authorization),
        made(f"{authorization}/capture", paypal.capture_authorization, paypal.show_capture, *_LATER),
        made(f"{authorization}/reauthorize", paypal.reauthorise, paypal.show_authorization, "decline"),
        Route(f"{authorization}/void", _answering(world, void), methods=["POST"]),
        shown(capture, paypal.show_capture),
        made(f"{capture}/refund", paypal.refund, paypal.show_refund, "refund_pending", "refund_fails", "accept_later"),
        shown("/v2/payments/refunds/{id}", paypal.show_refund),
        Route("/v1/notifications/verify-webhook-signature", _answering(world, verify), methods=["POST"]),
        read(event, lambda call: json_response(events(world, call.query))),
        shown(f"{event}/{{id}}", lambda event_id, _call: paypal.records.webhooks.event(event_id)),
        read(
            "/v1/reporting/transactions",
            lambda call: json_response(transactions(paypal.records, call.query, call.base)),
        ),
        *checkout_routes(paypal.orders, paypal.records),
    ]


def _keyed(world: World, act: Act, show: Show) -> Handler:
    """Do it once per PayPal-Request-Id. A repeat is answered 200 where the contract has that, which is for orders only."""

    def handle(call: Call) -> Response:
        keyed = KeyedRequest(world, call.key, call.address) if call.key else None
        before = keyed.made() if keyed else None
        if before is not None:
            return json_response(show(before, call), 200 if call.api == "orders" else 201)
        made = act(call)
        if keyed:
            keyed.keep(made)
        return json_response(show(made, call), 201)

    return handle


def _answering(world: World, handler: Handler, *faults: str) -> Callable[[Request], Awaitable[Response]]:
    """A handler as Starlette calls it, and the faults that it can show."""

    async def answer(request: Request) -> Response:
        call = await _call(request)
        try:
            check_token(world, request)
            if call.body and not request.headers.get("content-type", "").startswith("application/json"):
                raise PayPalError(415)
            _check_fault(call.fault, *faults)
            return handler(call)
        except PayPalError as error:
            return error.response(call.api)

    return answer


def _check_fault(fault: Fault | None, *possible: str) -> None:
    """A fault that a call cannot show is answered 501, so that the test that plans it fails."""
    if fault is not None and fault.action not in possible:
        raise PayPalError(501, f"sandbox_fault_not_supported: {fault.action}")


def _fault_of(request: Request) -> Fault | None:
    return cast("Fault | None", request.scope.get(FAULT_SCOPE_KEY))


async def _call(request: Request) -> Call:
    prefers = request.headers.get("prefer", "").replace(" ", "")
    return Call(
        address=cast(str, request.scope["path"]),
        path=cast("dict[str, str]", request.path_params),
        query=dict(request.query_params),
        body=await request.body(),
        fault=_fault_of(request),
        key=request.headers.get(HEADER),
        base=str(request.base_url).rstrip("/") + PREFIX,
        whole=request.method == "GET" or prefers == "return=representation",
    )


def fault_response(fault: Fault) -> Response:
    """`refuse`, `server_error` and `rate_limited` in PayPal's words."""
    if fault.action == "rate_limited":
        return PayPalError(429).response("payments", {"Retry-After": str(fault.retry_after_s)})
    if fault.action == "refuse":
        return PayPalError(422, fault.code or "TRANSACTION_REFUSED").response("payments")
    return PayPalError(fault.status).response("payments")
