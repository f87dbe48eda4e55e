"""What only the sandbox has: the payer, who approves an order or turns away, authorisations that grow old, settings, and
where webhooks go."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from html import escape
from urllib.parse import urlencode

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox.vendors.control import answering_422
from sandbox.vendors.paypal_authorizations import DAY_S, Authorizations
from sandbox.vendors.paypal_captures import Captures
from sandbox.vendors.paypal_documents import Order, authorization_document, order_document
from sandbox.vendors.paypal_orders import Orders
from sandbox.vendors.paypal_records import Records
from sandbox.vendors.paypal_settings import Settings
from sandbox.vendors.paypal_webhooks import HOST
from sandbox.vendors.paypal_wire import PayPalError, money
from sandbox.vendors.webhook_sender import Endpoint, Mode
from sandbox.world import World

_PAGE = """<!doctype html><html lang="en"><title>PayPal sandbox</title>
<h1>{amount} to the merchant</h1><p>{description}</p>
<form method="post"><button formaction="?token={order}&amp;decision=approve">Pay</button>
<button formaction="?token={order}&amp;decision=cancel">Cancel</button></form></html>"""


class _Webhook(BaseModel):
    """The one webhook. `doubled` sends each event twice, `silent` none, `reordered` each after a while of its own."""

    model_config = ConfigDict(extra="forbid")

    url: str = Field(pattern=r"^https?://")
    webhook_id: str = Field(min_length=1, max_length=50, pattern=r"^[a-zA-Z0-9]+$")
    mode: Mode = "normal"


class _Age(BaseModel):
    """How much older an authorisation gets."""

    model_config = ConfigDict(extra="forbid")

    days: float = Field(gt=0, le=365)


def control_routes(world: World) -> list[Route]:
    """What the application mounts at `/_sandbox/paypal`."""
    records = Records(world)
    captures = Captures(records)
    authorizations = Authorizations(records, captures)
    orders = Orders(records, authorizations, captures)

    def decided(decide: Callable[[str], Order]) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            return JSONResponse(order_document(decide(request.path_params["order"]), HOST, {}))

        return answering_422(_speaking(answer))

    async def age(request: Request) -> Response:
        asked = _Age.model_validate_json(await request.body())
        aged = authorizations.age(request.path_params["authorization"], asked.days * DAY_S)
        return JSONResponse(authorization_document(aged, HOST))

    async def change_settings(request: Request) -> Response:
        asked = Settings.model_validate_json(await request.body())
        asked.keep(world)
        return JSONResponse(asked.model_dump())

    async def set_webhook(request: Request) -> Response:
        asked = _Webhook.model_validate_json(await request.body())
        records.webhooks.sender.endpoint = Endpoint(url=asked.url, secret=asked.webhook_id, mode=asked.mode)
        return JSONResponse(asked.model_dump())

    return [
        Route("/orders/{order}/approve", decided(orders.approve), methods=["POST"]),
        Route("/orders/{order}/decline", decided(orders.decline), methods=["POST"]),
        Route("/authorizations/{authorization}/age", answering_422(_speaking(age)), methods=["POST"]),
        Route("/settings", answering_422(change_settings), methods=["PUT"]),
        Route("/webhook", answering_422(set_webhook), methods=["PUT"]),
    ]


def checkout_routes(orders: Orders, records: Records) -> list[Route]:
    """The page that the approval link names, below `/paypal`: the payer sees the order and decides."""

    async def show(request: Request) -> Response:
        order = records.order(request.query_params.get("token", ""))
        amount = money(order["amount"], order["currency"])
        page = _PAGE.format(
            amount=f"{amount['value']} {amount['currency_code']}",
            description=escape(order["description"] or ""),
            order=order["id"],
        )
        return HTMLResponse(page)

    async def decide(request: Request) -> Response:
        order_id = request.query_params.get("token", "")
        approved = request.query_params.get("decision") == "approve"
        order = orders.approve(order_id) if approved else orders.decline(order_id)
        back = order["return_url"] if approved else order["cancel_url"]
        if back is None:
            return HTMLResponse("<!doctype html><title>PayPal sandbox</title><p>You can close this page.</p>")
        joined = "&" if "?" in back else "?"
        return RedirectResponse(f"{back}{joined}{urlencode({'token': order_id})}", 303)

    return [
        Route("/checkoutnow", _speaking(show), methods=["GET"]),
        Route("/checkoutnow", _speaking(decide), methods=["POST"]),
    ]


def _speaking(handler: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """The handler, whose PayPalError is answered as in the API."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except PayPalError as error:
            return error.response("orders")

    return answer
