"""Stripe's payments API, simulated: PaymentIntents, charges, refunds and events of
the published contract (API 2026-05-27.dahlia), with real idempotency and signed webhooks."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, TypeAlias, cast

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.faults import FAULT_SCOPE_KEY, Fault
from sandbox.vendors.stripe_control import control_routes
from sandbox.vendors.stripe_disputes import Dispute, Disputes, dispute_document
from sandbox.vendors.stripe_documents import Intent, Refund, charge_document, intent_document, refund_document
from sandbox.vendors.stripe_idempotency import KeyedRequest, claim_key, remember_fault
from sandbox.vendors.stripe_lists import LIST_PARAMETERS, page
from sandbox.vendors.stripe_payments import VENDOR, Payments
from sandbox.vendors.stripe_refunds import Refunds
from sandbox.vendors.stripe_webhooks import Event
from sandbox.vendors.stripe_wire import (
    API_VERSION,
    FormValue,
    Kind,
    StripeError,
    checked,
    decode_form,
    invalid,
    json_response,
    missing,
)
from sandbox.world import JsonObject, Shelf, World

__all__ = ["PREFIX", "VENDOR", "books", "claim_key", "control_routes", "fault_response", "remember_fault", "routes"]

PREFIX: Final = "/stripe"

_TEST_KEY: Final = re.compile(r"^(sk|rk)_test_\w+$")
_CAPTURE_METHODS: Final = frozenset({"automatic", "automatic_async", "manual"})

_CONFIRM_PARAMETERS: Final[dict[str, Kind]] = {
    "capture_method": _CAPTURE_METHODS,
    "error_on_requires_action": "boolean",
    "expand": "list",
    "mandate_data": "object",
    "off_session": "any",
    "payment_method": "string",
    "payment_method_options": "object",
    "payment_method_types": "list",
    "receipt_email": "string",
    "return_url": "string",
    "setup_future_usage": frozenset({"off_session", "on_session"}),
    "shipping": "object",
    "use_stripe_sdk": "boolean",
}
_CREATE_PARAMETERS: Final[dict[str, Kind]] = {
    **_CONFIRM_PARAMETERS,
    "amount": "integer",
    "automatic_payment_methods": "object",
    "confirm": "boolean",
    "confirmation_method": frozenset({"automatic", "manual"}),
    "currency": "string",
    "customer": "string",
    "description": "string",
    "metadata": "object",
    "statement_descriptor": "string",
    "statement_descriptor_suffix": "string",
    "transfer_group": "string",
}
_CAPTURE_PARAMETERS: Final[dict[str, Kind]] = {
    "amount_to_capture": "integer",
    "expand": "list",
    "final_capture": "boolean",
    "metadata": "object",
    "statement_descriptor_suffix": "string",
}
_CANCEL_PARAMETERS: Final[dict[str, Kind]] = {
    "cancellation_reason": frozenset({"duplicate", "fraudulent", "requested_by_customer", "abandoned"}),
    "expand": "list",
}
_REFUND_PARAMETERS: Final[dict[str, Kind]] = {
    "amount": "integer",
    "charge": "string",
    "expand": "list",
    "metadata": "object",
    "payment_intent": "string",
    "reason": frozenset({"duplicate", "fraudulent", "requested_by_customer"}),
}


@dataclass(frozen=True, slots=True)
class Call:
    """One authenticated request, its parameters not yet checked."""

    form: dict[str, FormValue]
    path: dict[str, str]
    fault: Fault | None
    key: str | None


Operation: TypeAlias = Callable[[Call], JsonObject]


class _Api:
    """The endpoints. Every one is synchronous: between reading a request and keeping its answer nothing interleaves."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.payments = Payments(world)
        self.refunds = Refunds(world, self.payments)
        self.disputes = Disputes(world, self.payments)

    # ------------------------------------------------------------------------------------------ payment intents

    def create_intent(self, call: Call) -> JsonObject:
        parameters = checked(call.form, _CREATE_PARAMETERS, ("amount", "currency"))
        return self._shown(self.payments.create(parameters, call.fault, call.key), parameters.strings("expand"))

    def confirm_intent(self, call: Call) -> JsonObject:
        parameters = checked(call.form, _CONFIRM_PARAMETERS)
        intent = self.payments.confirm(call.path["intent"], parameters, call.fault, call.key)
        return self._shown(intent, parameters.strings("expand"))

    def capture_intent(self, call: Call) -> JsonObject:
        parameters = checked(call.form, _CAPTURE_PARAMETERS)
        intent = self.payments.capture(call.path["intent"], parameters, call.fault, call.key)
        return self._shown(intent, parameters.strings("expand"))

    def cancel_intent(self, call: Call) -> JsonObject:
        parameters = checked(call.form, _CANCEL_PARAMETERS)
        return self._shown(
            self.payments.cancel(call.path["intent"], parameters, call.key), parameters.strings("expand")
        )

    def read_intent(self, call: Call) -> JsonObject:
        parameters = checked(call.form, {"client_secret": "string", "expand": "list"})
        return self._shown(self.payments.intent(call.path["intent"]), parameters.strings("expand"))

    def list_intents(self, call: Call) -> JsonObject:
        parameters = checked(call.form, {**LIST_PARAMETERS, "customer": "string"})
        customer = parameters.text("customer")
        expand = [name.removeprefix("data.") for name in parameters.strings("expand")]

        def wanted(row: Intent) -> bool:
            return customer is None or row["customer"] == customer

        found = page(parameters, self.world.shelf(VENDOR, "payment_intent"), wanted)
        return _list("/v1/payment_intents", [self._shown(row, expand) for row in found.rows], more=found.more)

    # ------------------------------------------------------------------------------------- charges and refunds

    def read_charge(self, call: Call) -> JsonObject:
        parameters = checked(call.form, {"expand": "list"})
        charge = self.payments.charge(call.path["charge"])
        intent = self.payments.intent(charge["payment_intent"])
        document = charge_document(charge, intent)
        for name in parameters.strings("expand"):
            if name == "refunds":
                refunds = [refund_document(refund) for refund in reversed(self.refunds.of_intent(intent))]
                document["refunds"] = _list(f"/v1/charges/{charge['id']}/refunds", refunds, more=False)
            elif name == "payment_intent":
                document["payment_intent"] = intent_document(intent)
            else:
                raise _not_expandable(name)
        return document

    def create_refund(self, call: Call) -> JsonObject:
        parameters = checked(call.form, _REFUND_PARAMETERS)
        refund = self.refunds.create(parameters, call.fault, call.key)
        return self._refund_shown(refund, parameters.strings("expand"))

    def read_refund(self, call: Call) -> JsonObject:
        parameters = checked(call.form, {"expand": "list"})
        return self._refund_shown(self.refunds.refund(call.path["refund"]), parameters.strings("expand"))

    def list_refunds(self, call: Call) -> JsonObject:
        parameters = checked(call.form, {**LIST_PARAMETERS, "payment_intent": "string", "charge": "string"})
        intent_id = parameters.text("payment_intent")
        charge_id = parameters.text("charge")
        if intent_id is not None:
            shelf = Shelf()
            for refund in self.refunds.of_intent(self.payments.intent(intent_id, "payment_intent")):
                shelf.put(refund["id"], cast(JsonObject, cast(object, refund)))
        else:
            shelf = self.world.shelf(VENDOR, "refund")

        def wanted(row: Refund) -> bool:
            return charge_id is None or row["charge"] == charge_id

        found = page(parameters, shelf, wanted)
        return _list("/v1/refunds", [refund_document(row) for row in found.rows], more=found.more)

    def read_dispute(self, call: Call) -> JsonObject:
        checked(call.form, {"expand": "list"})
        return dispute_document(self.disputes.dispute(call.path["dispute"]))

    def list_disputes(self, call: Call) -> JsonObject:
        parameters = checked(call.form, {**LIST_PARAMETERS, "payment_intent": "string", "charge": "string"})
        intent_id, charge_id = parameters.text("payment_intent"), parameters.text("charge")

        def wanted(row: Dispute) -> bool:
            return row["payment_intent"] == (intent_id or row["payment_intent"]) and row["charge"] == (
                charge_id or row["charge"]
            )

        found = page(parameters, self.world.shelf(VENDOR, "dispute"), wanted)
        return _list("/v1/disputes", [dispute_document(row) for row in found.rows], more=found.more)

    # -------------------------------------------------------------------------------------------------- events

    def read_event(self, call: Call) -> JsonObject:
        event = cast("Event | None", self.world.get(VENDOR, "event", call.path["event"]))
        if event is None:
            raise missing("event", call.path["event"], "id")
        return cast(JsonObject, orjson.loads(event["body"]))

    def list_events(self, call: Call) -> JsonObject:
        parameters = checked(call.form, {**LIST_PARAMETERS, "type": "string", "types": "list"})
        one = parameters.text("type")
        types = {one} if one else set(parameters.strings("types"))

        def wanted(row: Event) -> bool:
            return not types or row["type"] in types

        found = page(parameters, self.world.shelf(VENDOR, "event"), wanted)
        documents = [cast(JsonObject, orjson.loads(row["body"])) for row in found.rows]
        return _list("/v1/events", documents, more=found.more)

    # --------------------------------------------------------------------------------------------------- small

    def _shown(self, intent: Intent, expand: list[str]) -> JsonObject:
        for name in expand:
            if name != "latest_charge":
                raise _not_expandable(name)
        return intent_document(intent, self.payments.charge_of(intent) if expand else None)

    def _refund_shown(self, refund: Refund, expand: list[str]) -> JsonObject:
        document = refund_document(refund)
        for name in expand:
            intent = self.payments.intent(refund["payment_intent"], "payment_intent")
            if name == "payment_intent":
                document["payment_intent"] = intent_document(intent)
            elif name == "charge":
                document["charge"] = self.payments.charge_of(intent)
            else:
                raise _not_expandable(name)
        return document


def _list(url: str, data: list[JsonObject], *, more: bool) -> JsonObject:
    return {"object": "list", "data": data, "has_more": more, "url": url}


def _not_expandable(name: str) -> StripeError:
    return invalid(f"This property cannot be expanded ({name}).", param="expand")


def _check_key(request: Request) -> None:
    """Bearer or Basic (the key as user name); only test keys exist here."""
    scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not credentials:
        message = "You did not provide an API key. You need to provide your API key in the Authorization header."
        raise StripeError(401, "invalid_request_error", message, executed=False)
    if not _TEST_KEY.match(credentials):
        message = f"Invalid API Key provided: {credentials[:8]}****"
        raise StripeError(401, "invalid_request_error", message, executed=False)


def routes(world: World) -> list[Route]:
    """The endpoints below `/stripe`, and the timers that a restart lost."""
    api = _Api(world)
    api.payments.resume()
    api.refunds.resume()

    def endpoint(method: str, path: str, operation: Operation) -> Route:
        async def answer(request: Request) -> Response:
            request_id = world.new_id("req_")
            try:
                _check_key(request)
                response = await _run(world, request, operation)
            except StripeError as error:
                response = json_response(error.body, error.status)
            response.headers["request-id"] = request_id
            response.headers["stripe-version"] = API_VERSION
            return response

        return Route(path, answer, methods=[method])

    return [
        endpoint("POST", "/v1/payment_intents", api.create_intent),
        endpoint("GET", "/v1/payment_intents", api.list_intents),
        endpoint("GET", "/v1/payment_intents/{intent}", api.read_intent),
        endpoint("POST", "/v1/payment_intents/{intent}/confirm", api.confirm_intent),
        endpoint("POST", "/v1/payment_intents/{intent}/capture", api.capture_intent),
        endpoint("POST", "/v1/payment_intents/{intent}/cancel", api.cancel_intent),
        endpoint("GET", "/v1/charges/{charge}", api.read_charge),
        endpoint("POST", "/v1/refunds", api.create_refund),
        endpoint("GET", "/v1/refunds", api.list_refunds),
        endpoint("GET", "/v1/refunds/{refund}", api.read_refund),
        endpoint("GET", "/v1/disputes", api.list_disputes),
        endpoint("GET", "/v1/disputes/{dispute}", api.read_dispute),
        endpoint("GET", "/v1/events", api.list_events),
        endpoint("GET", "/v1/events/{event}", api.read_event),
    ]


async def _run(world: World, request: Request, operation: Operation) -> Response:
    """Run an endpoint, or replay what its Idempotency-Key was answered before."""
    posted = request.method == "POST"
    body = await request.body() if posted else cast(bytes, request.scope["query_string"])
    key = request.headers.get("idempotency-key") if posted else None
    keyed = KeyedRequest(world, key, request.scope["path"], body) if key else None
    replay = keyed.replay() if keyed else None
    if replay is not None:
        return replay
    fault = cast("Fault | None", request.scope.get(FAULT_SCOPE_KEY))
    call = Call(decode_form(body), cast("dict[str, str]", request.path_params), fault, key)
    try:
        answer = orjson.dumps(operation(call))
    except StripeError as error:
        if keyed and error.executed:
            keyed.keep(error.status, error.body)
        raise
    if keyed:
        keyed.keep(200, answer)
    return json_response(answer)


def fault_response(fault: Fault) -> Response:
    """`refuse`, `server_error` and `rate_limited` in Stripe's words."""
    if fault.action == "rate_limited":
        error: JsonObject = {
            "code": "rate_limit",
            "message": "Request rate limit exceeded. Learn more about rate limits here https://stripe.com/docs/rate-limits.",
            "type": "invalid_request_error",
        }
        return json_response(orjson.dumps({"error": error}), 429, {"Retry-After": str(fault.retry_after_s)})
    if fault.action == "refuse":
        code = fault.code or "account_invalid"
        error = {"code": code, "message": f"The request was refused: {code}.", "type": "invalid_request_error"}
        return json_response(orjson.dumps({"error": error}), 400)
    error = {"message": "An unknown error occurred while processing your request.", "type": "api_error"}
    return json_response(orjson.dumps({"error": error}), fault.status)


def books(world: World) -> dict[str, list[JsonObject]]:
    """What Stripe's own books say of every payment: its part of `/_sandbox/books`."""
    payments: list[JsonObject] = []
    for document in world.all(VENDOR, "payment_intent"):
        intent = cast(Intent, cast(object, document))
        pending = 0
        refunded = 0
        for refund_id in intent["refunds"]:
            refund = cast(Refund, cast(object, world.get(VENDOR, "refund", refund_id)))
            pending += refund["amount"] if refund["status"] == "pending" else 0
            refunded += refund["amount"] if refund["status"] == "succeeded" else 0
        payments.append(
            {
                "vendor": VENDOR,
                "object_id": intent["id"],
                "metadata": intent["metadata"],
                "status": intent["status"],
                "authorised_minor": intent["authorised"],
                "captured_minor": intent["received"],
                "refunded_minor": refunded,
                "refund_pending_minor": pending,
                "currency": intent["currency"].upper(),
                "authorisation_open": intent["capturable"] > 0,
                "created_at": datetime.fromtimestamp(intent["created"], UTC).isoformat(),
            }
        )
    return {"payments": payments}
