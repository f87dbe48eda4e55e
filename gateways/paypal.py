"""Payments by PayPal: orders with intent AUTHORIZE. Source: vendor-specs/README.md section 6 and vendor-specs/paypal.

A payment is known by its order's id throughout; the ids of authorisations and captures are read from the order when needed. Each
call has a PayPal-Request-Id of its own: our key as it is for creating the order, for everything else on the order too but for
authorising it, which is a second call of the same step and adds `AUTHORIZE_SUFFIX`. PayPal then answers a repeat with how the
object stands now: for 6 hours of orders, for 45 days of captures, re-authorisations and refunds.

    authorise   a lost answer is found out by calling it again with the same key; once the order's id is known, at any time
    capture     the order is read first; what it shows to be taken is not taken again
    void        has no key: voiding what is voided is no effect
    refund      the key is kept as the refund's `custom_id`, by which `find_refund` finds it in the order
"""

from collections.abc import Awaitable, Mapping
from datetime import datetime
from typing import TypeVar

from gateways.http import Call, VendorHttp, before_effect, path_segment
from gateways.parts import Parts
from gateways.paypal_documents import (
    ENDED,
    TAKEN,
    VAULTED,
    Order,
    authorisation_of,
    authorised_as,
    captured_as,
    mark_of,
    order_request,
    payment_of,
    refund_of,
)
from gateways.paypal_lists import RefundList
from gateways.paypal_webhooks import Webhooks
from gateways.paypal_wire import OK, VENDOR, NotPayable, PayPalWire, Refusal, money_of, rejected, to_paypal
from gateways.ports import ListedRefund, ListPage, PaymentEvent, PaymentRequest, ProviderPayment, ProviderRefund
from schema.errors import InvariantBroken, OutcomeUnclear, VendorContractBroken
from schema.outcomes import ActionRequired, Capabilities, Confirmed, Outcome, PaymentOutcome, Rejected, Unknown

ORDERS = "/v2/checkout/orders"
AUTHORISATIONS = "/v2/payments/authorizations"
AUTHORIZE_SUFFIX = ":authorize"
KEY_LIFE_S = 6 * 3600.0
"""Of an order's PayPal-Request-Id; those of payments live for 45 days."""
LOOKUP_LAG_S = 60.0
"""Nothing is looked up by our reference; a request that lost its answer may itself run for this long."""
DUPLICATE_INVOICE = "DUPLICATE_INVOICE_ID"
NOT_APPROVED = frozenset({"ORDER_NOT_APPROVED", "PAYER_ACTION_REQUIRED"})
AUTHORISED_BEFORE = frozenset(
    {"ORDER_ALREADY_AUTHORIZED", "ORDER_COMPLETED_OR_VOIDED", "MAX_AUTHORIZATION_COUNT_EXCEEDED", DUPLICATE_INVOICE}
)
CAPTURED_BEFORE = frozenset({"AUTHORIZATION_ALREADY_CAPTURED", "MAX_CAPTURE_COUNT_EXCEEDED", DUPLICATE_INVOICE})
LET_GO_BEFORE = frozenset({"PREVIOUSLY_VOIDED", "AUTHORIZATION_EXPIRED"})

Ended = TypeVar("Ended")


class PayPalPayments:
    """The ports `PaymentProvider` and `ListsRefunds`."""

    def __init__(
        self,
        http: VendorHttp,
        *,
        client_id: str,
        client_secret: str,
        webhook_id: str | None,
        return_url: str,
        clock_scale: float = 1.0,
    ) -> None:
        """`return_url` is where the payer comes back to; `clock_scale` multiplies the look-up lag, for vendors that run on
        compressed clocks."""
        self._wire = PayPalWire(http, client_id, client_secret)
        self._webhooks = Webhooks(self._wire, webhook_id)
        self._refund_list = RefundList(self._wire)
        self._return_url = return_url
        self._capabilities = Capabilities(
            idempotent_create=True,
            lookup_by_reference=False,
            hold=True,
            void=True,
            async_confirm=True,
            reauthorise=True,
            key_life_s=KEY_LIFE_S,
            lookup_lag_s=LOOKUP_LAG_S * clock_scale,
        )

    @property
    def code(self) -> str:
        return VENDOR

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    async def authorise(self, request: PaymentRequest) -> PaymentOutcome:
        """Creates the order, then authorises it if the payer has agreed; ActionRequired while not.

        Called again after the payer's approval it goes on from there: with `provider_reference` from that order at any time,
        without it only for the 6 hours in which PayPal knows the key. Confirmed lasts as `honoured_until` says.
        """
        if request.payment_method is None:
            raise InvariantBroken("an authorisation needs a payment method")
        return await _ended(self._authorise(request))

    async def capture(self, request: PaymentRequest) -> Outcome:
        """Takes `amount` as the final capture, which releases the rest; Unknown while PayPal has it pending."""
        return await _ended(self._capture(request))

    async def reauthorise(self, request: PaymentRequest) -> Outcome:
        """Reserves `amount` anew for three days: from day 4 to 29 of the authorisation."""
        return await _ended(self._reauthorise(request))

    async def void(self, request: PaymentRequest) -> Outcome:
        """Releases the authorisation, with all that renewed it. Of an order that was never authorised there is nothing to
        release; PayPal has no call to end such an order, which ends by itself some hours later."""
        return await _ended(self._void(request))

    async def refund(self, request: PaymentRequest) -> tuple[ProviderRefund | None, Outcome]:
        """Gives `amount` of the capture back. Raises VendorUnavailable while the capture itself is pending."""
        result = await _ended(self._refund(request))
        if isinstance(result, ProviderRefund):
            return result, Confirmed(provider_reference=result.provider_reference, price=result.amount)
        return None, result

    async def get(self, provider_reference: str, correlation_id: str) -> ProviderPayment:
        """GET of the order."""
        return payment_of(await self._order(self._wire.http.booking("get", correlation_id), provider_reference))

    async def get_refund(self, provider_reference: str, correlation_id: str) -> ProviderRefund:
        """GET of the refund."""
        call = self._wire.http.booking("get_refund", correlation_id)
        return refund_of(await self._wire.read(call, f"/v2/payments/refunds/{path_segment(provider_reference)}"))

    async def find(self, payment_id: str, since: datetime, correlation_id: str) -> ProviderPayment | None:
        """Raises NotImplementedError: PayPal shows an order to whoever knows its id. Call `authorise` again instead."""
        raise NotImplementedError(f"{VENDOR} cannot be searched for {payment_id}")

    async def find_refund(
        self, payment_reference: str, idempotency_key: str, correlation_id: str
    ) -> ProviderRefund | None:
        """Among the refunds of the order, by the mark that our key left on it."""
        call = self._wire.http.booking("find_refund", correlation_id)
        order = await self._order(call, payment_reference)
        mark = mark_of(idempotency_key)
        return next((refund_of(one) for one in order.refunds if one.text_or_none("custom_id") == mark), None)

    async def list_refunds(
        self, since: datetime, cursor: str | None, correlation_id: str, *, of_payment: str | None = None
    ) -> ListPage[ListedRefund]:
        """By the events that PayPal keeps, which are the only list in its contracts; of one payment, by its order."""
        if of_payment is not None:
            return await self._refund_list.of_order(of_payment, correlation_id)
        return await self._refund_list.since(since, cursor, correlation_id)

    async def read_webhook(self, headers: Mapping[str, str], body: bytes) -> PaymentEvent:
        """Asks PayPal whether the signature is its own; `custom_id` names the payment. Raises also as a read does."""
        return await self._webhooks.read(headers, body)

    async def _authorise(self, request: PaymentRequest) -> PaymentOutcome:
        call = self._wire.http.booking("authorise", request.correlation_id)
        if request.provider_reference is not None:
            order = await before_effect(VENDOR, self._order(call, request.provider_reference))
        else:
            body = order_request(request, self._return_url)
            try:
                answer = await self._wire.post(call, ORDERS, body, request_id=request.idempotency_key)
            except Refusal as refusal:
                if refusal.issue == DUPLICATE_INVOICE:
                    return Unknown(reason=f"{VENDOR}: this payment was made by an order whose id is not known")
                raise
            order = Order(answer.fields("order"))
        agreed = order.status == "APPROVED" or (order.status == "CREATED" and _vaulted(request))
        if order.authorisations or not agreed:
            return authorisation_of(order)
        return await self._authorise_order(call, order.reference, request)

    async def _authorise_order(self, call: Call, reference: str, request: PaymentRequest) -> PaymentOutcome:
        request_id = request.idempotency_key + AUTHORIZE_SUFFIX
        path = f"{ORDERS}/{path_segment(reference)}/authorize"
        try:
            answer = await self._wire.post(call, path, {}, request_id=request_id)
            return authorisation_of(Order(answer.fields("order")))
        except Refusal as refusal:
            if refusal.issue in NOT_APPROVED:
                return ActionRequired(provider_reference=reference)
            if refusal.issue not in AUTHORISED_BEFORE:
                raise
            proven = authorisation_of(await self._order(call, reference))
            if isinstance(proven, ActionRequired):
                return Unknown(reason=f"{VENDOR}: {refusal.issue}, but the order shows no authorisation")
            return proven

    async def _capture(self, request: PaymentRequest) -> Outcome:
        call = self._wire.http.booking("capture", request.correlation_id)
        body: dict[str, object] = {"amount": to_paypal(request.amount), "final_capture": True}
        order = await before_effect(VENDOR, self._order(call, _reference(request)))
        if (known := _capture_known(order, request)) is not None:
            return known
        path = f"{_path_of(order)}/capture"
        try:
            answer = await self._wire.post(call, path, body, request_id=request.idempotency_key)
        except Refusal as refusal:
            known = _capture_known(await self._order(call, order.reference), request)
            if known is None and refusal.issue in CAPTURED_BEFORE:
                return Unknown(reason=f"{VENDOR}: {refusal.issue}, but the order shows no capture")
            return known or rejected(refusal)
        return captured_as(order.reference, answer.fields("capture"), request.amount)

    async def _reauthorise(self, request: PaymentRequest) -> Outcome:
        call = self._wire.http.booking("reauthorise", request.correlation_id)
        body: dict[str, object] = {"amount": to_paypal(request.amount)}
        order = await before_effect(VENDOR, self._order(call, _reference(request)))
        if not order.authorisations:
            return Rejected(code="cannot_reauthorise", message="Nothing was authorised.")
        path = f"{_path_of(order, original=True)}/reauthorize"
        try:
            answer = await self._wire.post(call, path, body, request_id=request.idempotency_key)
        except Refusal as refusal:
            refused = rejected(refusal)
            # Too early, too late, or not for this kind of payment: it stays as it is.
            unable = refused.code == "vendor_rejected"
            return refused.model_copy(update={"code": "cannot_reauthorise"}) if unable else refused
        return authorised_as(order.reference, answer.fields("authorisation"))

    async def _void(self, request: PaymentRequest) -> Outcome:
        call = self._wire.http.booking("void", request.correlation_id)
        order = await before_effect(VENDOR, self._order(call, _reference(request)))
        released = Confirmed(provider_reference=order.reference)
        if order.taking is not None:
            if order.taking.text("status") not in TAKEN:
                return Unknown(reason=f"{VENDOR}: a capture is {order.taking.text('status')}")
            taken = money_of(order.taking)
            return Rejected(code="already_captured", message="The money was taken already.", price=taken)
        if order.reserving is None or order.reserving.text("status") in ENDED:
            return released
        try:
            answer = await self._wire.post(call, f"{_path_of(order, original=True)}/void")
        except Refusal as refusal:
            return released if refusal.issue in LET_GO_BEFORE else rejected(refusal)
        status = answer.fields("authorisation").text("status") if answer.status == OK else "VOIDED"
        return released if status == "VOIDED" else Unknown(reason=f"{VENDOR}: voided, but it is {status}")

    async def _refund(self, request: PaymentRequest) -> ProviderRefund | Rejected | Unknown:
        call = self._wire.http.booking("refund", request.correlation_id)
        mark = mark_of(request.idempotency_key)
        body: dict[str, object] = {"amount": to_paypal(request.amount), "custom_id": mark, "invoice_id": mark}
        order = await before_effect(VENDOR, self._order(call, _reference(request)))
        if order.taking is None:
            return Rejected(code="vendor_rejected", message="Nothing was captured.")
        path = f"/v2/payments/captures/{path_segment(order.taking.text('id'))}/refund"
        try:
            answer = await self._wire.post(call, path, body, request_id=request.idempotency_key)
        except Refusal as refusal:
            if refusal.issue != DUPLICATE_INVOICE:
                raise
            found = await self.find_refund(order.reference, request.idempotency_key, request.correlation_id)
            return found or Unknown(reason=f"{VENDOR}: {refusal.issue}, but the order shows no such refund")
        return refund_of(answer.fields("refund"))

    async def _order(self, call: Call, reference: str) -> Order:
        return Order(await self._wire.read(call, f"{ORDERS}/{path_segment(reference)}"))


async def _ended(attempt: Awaitable[Ended]) -> Ended | Rejected | Unknown:
    """An effect's outcome: a definite no is Rejected, a lost or unreadable answer Unknown."""
    try:
        return await attempt
    except NotPayable as error:
        return Rejected(code=error.code, message=str(error))
    except Refusal as refusal:
        return rejected(refusal)
    except (OutcomeUnclear, VendorContractBroken) as error:
        return Unknown(reason=error.message)


def _vaulted(request: PaymentRequest) -> bool:
    return (request.payment_method or "").startswith(VAULTED)


def _capture_known(order: Order, request: PaymentRequest) -> Outcome | None:
    """What the order itself proves of a capture; None if there may yet be one."""
    if order.taking is not None:
        return captured_as(order.reference, order.taking, request.amount)
    if order.reserving is None:
        return Rejected(code="payment_not_completed", message="Nothing was authorised.")
    if order.reserving.text("status") in ENDED:
        return Rejected(code="authorisation_expired", message="The authorisation has ended.")
    return None


def _path_of(order: Order, *, original: bool = False) -> str:
    """Where an authorisation is acted on. What was renewed is captured by the renewal, but voided and renewed by the original."""
    authorisation = order.authorisations[0] if original else order.reserving
    assert authorisation is not None, "the callers have seen that there is one"
    return f"{AUTHORISATIONS}/{path_segment(authorisation.text('id'))}"


def _reference(request: PaymentRequest) -> str:
    if request.provider_reference is None:
        raise InvariantBroken("the order's id is not known; authorise again with the same key first")
    return request.provider_reference


def build(parts: Parts) -> PayPalPayments | None:
    """From the settings; None without credentials."""
    settings = parts.settings
    if settings.paypal_client_id is None or settings.paypal_client_secret is None:
        return None
    return PayPalPayments(
        parts.http(VENDOR, settings.paypal_url),
        client_id=settings.paypal_client_id,
        client_secret=settings.paypal_client_secret.get_secret_value(),
        webhook_id=settings.paypal_webhook_id,
        return_url=str(settings.paypal_return_url),
        clock_scale=settings.vendor_clock_scale,
    )
