"""Payments by Stripe, through its library. Source: vendor-specs/README.md section 6 and vendor-specs/stripe.

Every POST carries our key, byte for byte; Stripe keeps the first answer under it for at least 24 h. What a lost answer did is
found by our ids, which Stripe keeps as metadata.
"""

from collections.abc import Mapping
from datetime import datetime

import orjson
import stripe

from gateways.fields import Fields
from gateways.http import VendorHttp
from gateways.parts import Parts
from gateways.ports import (
    ListedDispute,
    ListedPayment,
    ListedRefund,
    ListPage,
    PaymentEvent,
    PaymentRequest,
    ProviderPayment,
    ProviderRefund,
)
from gateways.stripe_documents import authorisation_of, kept_of, money_of, payment_of, refund_of
from gateways.stripe_lists import PAGE_SIZE, StripeLists
from gateways.stripe_wire import (
    VENDOR,
    NotChargeable,
    PooledTransport,
    Refusal,
    document,
    rejected,
    stripe_call,
    to_stripe,
)
from schema.errors import InvariantBroken, Malformed, OutcomeUnclear, UnreadableEvent, VendorContractBroken
from schema.outcomes import Capabilities, Confirmed, Outcome, PaymentOutcome, Rejected, Unknown

LOOKUP_LAG_S = 60.0
KEY_LIFE_S = 24 * 3600.0
"""Lists show an intent at once; a request that lost its answer may itself run for this long."""
MAX_PAGES = 100
WEBHOOK_TOLERANCE_S = 300
NOT_FOUND = 404


class StripePayments:
    """The port `PaymentProvider`."""

    def __init__(self, http: VendorHttp, *, api_key: str, webhook_secret: str, clock_scale: float = 1.0) -> None:
        """`clock_scale` multiplies the look-up lag, for vendors that run on compressed clocks."""
        self._http = http
        self._webhook_secret = webhook_secret
        self._stripe = stripe.StripeClient(
            api_key,
            base_addresses={"api": http.base_url},
            max_network_retries=0,
            http_client=PooledTransport(http),
        )
        self._lists = StripeLists(http, self._stripe)
        self._capabilities = Capabilities(
            idempotent_create=True,
            lookup_by_reference=True,
            hold=True,
            void=True,
            async_confirm=True,
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
        """POST /v1/payment_intents with confirm and manual capture; no methods that would send the customer to another site."""
        if request.payment_method is None:
            raise InvariantBroken("an authorisation needs a payment method")
        try:
            amount = to_stripe(request.amount)
            with stripe_call(self._http.booking("authorise", request.correlation_id)):
                intent = await self._stripe.v1.payment_intents.create_async(
                    {
                        "amount": amount,
                        "currency": request.amount.currency.lower(),
                        "confirm": True,
                        "capture_method": "manual",
                        "payment_method": request.payment_method,
                        "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
                        "description": request.description or request.payment_id,
                        "metadata": _metadata(request),
                        "expand": ["latest_charge"],
                    },
                    {"idempotency_key": request.idempotency_key},
                )
            return authorisation_of(document(intent, "payment intent"))
        except NotChargeable as error:
            return _not_chargeable(error)
        except Refusal as refusal:
            return rejected(refusal)
        except (OutcomeUnclear, VendorContractBroken) as error:
            return Unknown(reason=error.message)

    async def capture(self, request: PaymentRequest) -> Outcome:
        """POST …/capture of `amount`, once: the rest is released (`final_capture` is true by default)."""
        reference = _reference(request)
        try:
            amount = to_stripe(request.amount)
            with stripe_call(self._http.booking("capture", request.correlation_id)):
                intent = await self._stripe.v1.payment_intents.capture_async(
                    reference, {"amount_to_capture": amount}, {"idempotency_key": request.idempotency_key}
                )
            return _captured(document(intent, "payment intent"))
        except NotChargeable as error:
            return _not_chargeable(error)
        except Refusal as refusal:
            return await self._refused_capture(request, reference, refusal)
        except (OutcomeUnclear, VendorContractBroken) as error:
            return Unknown(reason=error.message)

    async def reauthorise(self, request: PaymentRequest) -> Outcome:
        """Stripe cannot: an authorisation that ends is replaced by a new payment."""
        return Rejected(code="cannot_reauthorise", message="The reserved amount cannot be reserved anew.")

    async def void(self, request: PaymentRequest) -> Outcome:
        """POST …/cancel, which releases what is reserved; allowed in every state that still waits for something."""
        reference = _reference(request)
        try:
            with stripe_call(self._http.booking("void", request.correlation_id)):
                intent = await self._stripe.v1.payment_intents.cancel_async(
                    reference, {"cancellation_reason": "abandoned"}, {"idempotency_key": request.idempotency_key}
                )
            return _voided(document(intent, "payment intent"))
        except Refusal as refusal:
            return await self._refused_void(request, reference, refusal)
        except (OutcomeUnclear, VendorContractBroken) as error:
            return Unknown(reason=error.message)

    async def refund(self, request: PaymentRequest) -> tuple[ProviderRefund | None, Outcome]:
        """POST /v1/refunds of `amount`; our key is kept as metadata, so that a lost answer can be found."""
        try:
            amount = to_stripe(request.amount)
            with stripe_call(self._http.booking("refund", request.correlation_id)):
                made = await self._stripe.v1.refunds.create_async(
                    {"payment_intent": _reference(request), "amount": amount, "metadata": _metadata(request)},
                    {"idempotency_key": request.idempotency_key},
                )
            refund = refund_of(document(made, "refund"))
            return refund, Confirmed(provider_reference=refund.provider_reference, price=refund.amount)
        except NotChargeable as error:
            return None, _not_chargeable(error)
        except Refusal as refusal:
            return None, rejected(refusal)
        except (OutcomeUnclear, VendorContractBroken) as error:
            return None, Unknown(reason=error.message)

    async def get(self, provider_reference: str, correlation_id: str) -> ProviderPayment:
        """GET /v1/payment_intents/{id} with its latest charge."""
        return payment_of(await self._intent("get", provider_reference, correlation_id))

    async def get_refund(self, provider_reference: str, correlation_id: str) -> ProviderRefund:
        """GET /v1/refunds/{id}."""
        call = self._http.booking("get_refund", correlation_id)
        with stripe_call(call, reading=True):
            refund = await self._stripe.v1.refunds.retrieve_async(provider_reference)
        return refund_of(document(refund, "refund"))

    async def find(self, payment_id: str, since: datetime, correlation_id: str) -> ProviderPayment | None:
        """Through the list of intents since then: Search may lag by an hour, the list does not.

        Raises OutcomeUnclear when there are too many to look through, because that proves nothing.
        """
        cursor: str | None = None
        for _ in range(MAX_PAGES):
            page = await self._lists.payments(since, cursor, correlation_id)
            for line in page.lines:
                if line.payment_id == payment_id:
                    return line.payment
            cursor = page.cursor
            if cursor is None:
                return None
        raise OutcomeUnclear(f"{VENDOR}: more than {MAX_PAGES * PAGE_SIZE} payments to look through")

    async def find_refund(
        self, payment_reference: str, idempotency_key: str, correlation_id: str
    ) -> ProviderRefund | None:
        """GET /v1/refunds of the payment, matched by the key in the metadata."""
        call = self._http.booking("find_refund", correlation_id)
        with stripe_call(call, reading=True):
            page = await self._stripe.v1.refunds.list_async({"payment_intent": payment_reference, "limit": PAGE_SIZE})
        listed = document(page, "refunds")
        for refund in listed.objects("data"):
            if kept_of(refund, "key") == idempotency_key:
                return refund_of(refund)
        if listed.flag("has_more"):
            raise OutcomeUnclear(f"{VENDOR}: more than {PAGE_SIZE} refunds of one payment")
        return None

    async def list_payments(self, since: datetime, cursor: str | None, correlation_id: str) -> ListPage[ListedPayment]:
        """One page of all payments made since then."""
        return await self._lists.payments(since, cursor, correlation_id)

    async def list_refunds(
        self, since: datetime, cursor: str | None, correlation_id: str, *, of_payment: str | None = None
    ) -> ListPage[ListedRefund]:
        """One page of all refunds made since then, or of those of one payment."""
        return await self._lists.refunds(since, cursor, correlation_id, of_payment)

    async def list_disputes(
        self, since: datetime, cursor: str | None, correlation_id: str, *, of_payment: str | None = None
    ) -> ListPage[ListedDispute]:
        """One page of all disputes opened since then, or of those of one payment."""
        return await self._lists.disputes(since, cursor, correlation_id, of_payment)

    async def read_webhook(self, headers: Mapping[str, str], body: bytes) -> PaymentEvent:
        """Checks Stripe-Signature (HMAC-SHA256, 300 s tolerance), then picks our ids from the object's metadata."""
        given = {name.lower(): value for name, value in headers.items()}
        signature = given.get("stripe-signature", "")
        try:
            # What is not ASCII would fail the comparison instead of refusing.
            signature.encode("ascii")
            stripe.WebhookSignature.verify_header(body, signature, self._webhook_secret, WEBHOOK_TOLERANCE_S)
        except (stripe.SignatureVerificationError, UnicodeError):
            raise Malformed("the webhook's signature does not match", code="invalid_signature") from None
        event: Fields | None = None
        try:
            event = Fields.of(VENDOR, "event", orjson.loads(body))
            about = event.object("data").object("object")
            ids = about.object_or_none("metadata")
            return PaymentEvent(
                event_id=event.text("id"),
                type=event.text("type"),
                payment_id=ids.text_or_none("payment_id") if ids else None,
                booking_id=ids.text_or_none("booking_id") if ids else None,
            )
        except (orjson.JSONDecodeError, VendorContractBroken):
            raise UnreadableEvent(event.text_or_none("id") if event else None) from None

    async def _intent(self, operation: str, reference: str, correlation_id: str) -> Fields:
        call = self._http.booking(operation, correlation_id)
        with stripe_call(call, reading=True):
            intent = await self._stripe.v1.payment_intents.retrieve_async(reference, {"expand": ["latest_charge"]})
        return document(intent, "payment intent")

    async def _refused_capture(self, request: PaymentRequest, reference: str, refusal: Refusal) -> Outcome:
        """Refused because it is captured already, or can no longer be: the intent itself knows."""
        if refusal.status == NOT_FOUND:
            return rejected(refusal)
        try:
            intent = await self._intent("capture_refused", reference, request.correlation_id)
            status = intent.text("status")
            if status == "succeeded" and money_of(intent, "amount_received") == request.amount:
                return _captured(intent)
            if status == "succeeded":
                return Rejected(
                    code="already_captured",
                    message="Another amount was captured already.",
                    price=money_of(intent, "amount_received"),
                )
            if status == "processing":
                return Unknown(reason=f"{VENDOR}: the capture is being processed")
            if status == "canceled":
                return Rejected(code="payment_not_completed", message="The authorisation has ended.")
        except (OutcomeUnclear, VendorContractBroken) as error:
            return Unknown(reason=error.message)
        return rejected(refusal)

    async def _refused_void(self, request: PaymentRequest, reference: str, refusal: Refusal) -> Outcome:
        """Refused because it is voided or captured already: the intent itself knows which."""
        if refusal.status == NOT_FOUND:
            return rejected(refusal)
        try:
            intent = await self._intent("void_refused", reference, request.correlation_id)
            # Still reserved: the refusal stands. Anything else than an end of the payment stays unknown.
            return rejected(refusal) if intent.text("status") == "requires_capture" else _voided(intent)
        except (OutcomeUnclear, VendorContractBroken) as error:
            return Unknown(reason=error.message)


def _metadata(request: PaymentRequest) -> dict[str, str]:
    return {
        "booking_id": request.booking_id,
        "payment_id": request.payment_id,
        "key": request.idempotency_key,
    }


def _reference(request: PaymentRequest) -> str:
    if request.provider_reference is None:
        raise InvariantBroken("the payment intent's id is not known; find it first")
    return request.provider_reference


def _not_chargeable(error: NotChargeable) -> Rejected:
    return Rejected(code="amount_out_of_range", message=str(error))


def _captured(intent: Fields) -> Outcome:
    if intent.text("status") == "succeeded":
        return Confirmed(provider_reference=intent.text("id"), price=money_of(intent, "amount_received"))
    return Unknown(reason=f"{VENDOR}: captured, but the payment is {intent.text('status')}")


def _voided(intent: Fields) -> Outcome:
    status = intent.text("status")
    if status == "canceled":
        return Confirmed(provider_reference=intent.text("id"))
    if status == "succeeded":
        return Rejected(
            code="already_captured",
            message="The money was taken already.",
            price=money_of(intent, "amount_received"),
        )
    return Unknown(reason=f"{VENDOR}: cancelled, but the payment is {status}")


def build(parts: Parts) -> StripePayments:
    """From the settings."""
    settings = parts.settings
    return StripePayments(
        parts.http(VENDOR, settings.stripe_url),
        api_key=settings.stripe_api_key.get_secret_value(),
        webhook_secret=settings.stripe_webhook_secret.get_secret_value(),
        clock_scale=settings.vendor_clock_scale,
    )
