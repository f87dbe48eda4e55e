"""PaymentIntents: created, confirmed, captured, cancelled, expired. The rules are Stripe's for cards
(docs.stripe.com/payments/paymentintents): one charge at a time, one capture, and what a capture leaves is released."""

from __future__ import annotations

from typing import Final, NoReturn, cast

from sandbox.faults import Fault
from sandbox.vendors.stripe_documents import (
    TEST_CARDS,
    Charge,
    Intent,
    IntentStatus,
    Pending,
    charge_document,
    decline_message,
    intent_document,
    payment_method_document,
)
from sandbox.vendors.stripe_rules import check_amount, check_return_url, decline_error
from sandbox.vendors.stripe_webhooks import Webhooks
from sandbox.vendors.stripe_wire import Parameters, StripeError, invalid, missing
from sandbox.world import JsonObject, World

VENDOR: Final = "stripe"

AUTHORISATION_S: Final = 7 * 24 * 3600
"""An uncaptured card authorisation lapses after seven days (docs.stripe.com/payments/capture-later)."""

_CANCELLABLE: Final = frozenset(
    {"requires_payment_method", "requires_capture", "requires_confirmation", "requires_action"}
)
_CONFIRMABLE: Final = frozenset({"requires_payment_method", "requires_confirmation", "requires_action"})


class Payments:
    """Every PaymentIntent of a world, and the one place that changes them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.webhooks = Webhooks(world)

    # ------------------------------------------------------------------------------------------------- look up

    def intent(self, intent_id: str, param: str = "intent") -> Intent:
        found = self._world.get(VENDOR, "payment_intent", intent_id)
        if found is None:
            raise missing("payment_intent", intent_id, param, status=404 if param == "intent" else 400)
        return cast(Intent, cast(object, found))

    def charge(self, charge_id: str, param: str = "charge") -> Charge:
        found = self._world.get(VENDOR, "charge", charge_id)
        if found is None:
            raise missing("charge", charge_id, param)
        return cast(Charge, cast(object, found))

    def charge_of(self, intent: Intent) -> JsonObject | None:
        """The latest charge as a document."""
        return charge_document(self.charge(intent["charge"]), intent) if intent["charge"] else None

    # ------------------------------------------------------------------------------------------------- actions

    def create(self, parameters: Parameters, fault: Fault | None, key: str | None) -> Intent:
        """POST /payment_intents, with confirm=true the confirmation too."""
        amount = parameters.integer("amount") or 0
        currency = (parameters.text("currency") or "").lower()
        check_amount(amount, currency)
        token = parameters.text("payment_method")
        confirm = parameters.flag("confirm")
        if confirm and token is None:
            raise invalid(
                "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update "
                "the PaymentIntent with a payment method and then confirm it again, or confirm it again directly with "
                "a payment method or ConfirmationToken.",
                code="payment_intent_unexpected_state",
            )
        intent = self._new_intent(parameters, amount, currency)
        if confirm:
            check_return_url(intent, intent["return_url"], parameters)
        if token is not None:
            self._attach(intent, token)
        self._save(intent)
        if confirm:
            self._run(intent, parameters, fault, key)
        return intent

    def confirm(self, intent_id: str, parameters: Parameters, fault: Fault | None, key: str | None) -> Intent:
        """POST /payment_intents/{intent}/confirm."""
        intent = self.intent(intent_id)
        if intent["status"] not in _CONFIRMABLE:
            status = intent["status"]
            self._unexpected(intent, f"You cannot confirm this PaymentIntent because it has a status of {status}.")
        token = parameters.text("payment_method")
        if token is None and intent["payment_method"] is None:
            self._unexpected(intent, "You cannot confirm this PaymentIntent because it's missing a payment method.")
        return_url = parameters.text("return_url") or intent["return_url"]
        check_return_url(intent, return_url, parameters)
        intent["return_url"] = return_url
        intent["capture_method"] = parameters.text("capture_method") or intent["capture_method"]
        if token is not None:
            self._attach(intent, token)
        self._run(intent, parameters, fault, key)
        return intent

    def authenticate(self, intent_id: str, *, succeed: bool) -> Intent:
        """The customer finishes 3-D Secure, well or not."""
        intent = self.intent(intent_id)
        if intent["status"] != "requires_action":
            self._unexpected(intent, f"There is nothing to authenticate: it has a status of {intent['status']}.")
        if succeed:
            self._authorise(intent, None, authenticated=True)
        else:
            error: JsonObject = {
                "code": "payment_intent_authentication_failure",
                "message": "We are unable to authenticate your payment method. Please choose a different payment "
                "method and try again.",
                "type": "invalid_request_error",
            }
            self._fail(intent, error, None, {"code": "payment_intent_authentication_failure"})
        return intent

    def capture(self, intent_id: str, parameters: Parameters, fault: Fault | None, key: str | None) -> Intent:
        """POST /payment_intents/{intent}/capture: all or a part, once."""
        intent = self.intent(intent_id)
        if intent["status"] == "succeeded":
            self._unexpected(intent, "This PaymentIntent could not be captured because it has already been captured.")
        if intent["status"] != "requires_capture":
            self._unexpected(
                intent,
                f"This PaymentIntent could not be captured because it has a status of {intent['status']}. Only a "
                "PaymentIntent with one of the following statuses may be captured: requires_capture.",
            )
        amount = parameters.integer("amount_to_capture")
        amount = intent["capturable"] if amount is None else amount
        if amount < 1:
            raise invalid("Invalid positive integer", param="amount_to_capture", code="parameter_invalid_integer")
        if amount > intent["capturable"]:
            raise invalid(
                f"You cannot capture more than the amount_capturable ({intent['capturable']}) of this PaymentIntent.",
                param="amount_to_capture",
                code="amount_too_large",
                executed=True,
            )
        intent["metadata"] |= parameters.metadata()
        if fault is not None and fault.action == "accept_later":
            self._postpone(intent, "capture", amount, fault)
        else:
            self._settle(intent, amount, key)
        return intent

    def cancel(self, intent_id: str, parameters: Parameters, key: str | None) -> Intent:
        """POST /payment_intents/{intent}/cancel: releases what is authorised."""
        intent = self.intent(intent_id)
        if intent["status"] not in _CANCELLABLE:
            self._unexpected(
                intent,
                f"You cannot cancel this PaymentIntent because it has a status of {intent['status']}. Only a "
                "PaymentIntent with one of the following statuses may be canceled: requires_payment_method, "
                "requires_capture, requires_confirmation, requires_action, processing.",
            )
        self._release(intent, parameters.text("cancellation_reason"), {}, key)
        return intent

    def resume(self) -> None:
        """Ask again for the timers that a restart of the process lost."""
        for document in self._world.all(VENDOR, "payment_intent"):
            intent = cast(Intent, cast(object, document))
            if intent["pending"]:
                self._finish_later(intent, intent["pending"])
            if intent["status"] == "requires_capture" and intent["capture_before"]:
                self._expire_at(intent["capture_before"], intent)

    # --------------------------------------------------------------------------------------------- what follows

    def _new_intent(self, parameters: Parameters, amount: int, currency: str) -> Intent:
        types = parameters.strings("payment_method_types")
        automatic = parameters.mapping("automatic_payment_methods")
        redirects = None if types else str(automatic.get("allow_redirects") or "always")
        return Intent(
            id=self._world.new_id("pi_"),
            secret=self._world.new_id("secret_").removeprefix("secret_"),
            amount=amount,
            currency=currency,
            status="requires_payment_method",
            capture_method=parameters.text("capture_method") or "automatic_async",
            confirmation_method=parameters.text("confirmation_method") or "automatic",
            created=int(self._world.now().timestamp()),
            metadata=parameters.metadata(),
            description=parameters.text("description"),
            customer=parameters.text("customer"),
            receipt_email=parameters.text("receipt_email"),
            return_url=parameters.text("return_url"),
            statement_descriptor_suffix=parameters.text("statement_descriptor_suffix"),
            allow_redirects=redirects,
            payment_method_types=types or ["card"],
            payment_method=None,
            test_card=None,
            authorised=0,
            capturable=0,
            received=0,
            charge=None,
            capture_before=None,
            canceled_at=None,
            cancellation_reason=None,
            last_payment_error=None,
            refunds=[],
            pending=None,
        )

    def _attach(self, intent: Intent, token: str) -> None:
        """A test token becomes a payment method of its own, as in the real test mode; an id made so is known again."""
        known = self._world.get(VENDOR, "payment_method", token)
        if known is not None:
            intent["payment_method"], intent["test_card"] = token, str(known["card"])
        elif token in TEST_CARDS:
            payment_method = self._world.new_id("pm_")
            self._world.put(VENDOR, "payment_method", payment_method, {"card": token})
            intent["payment_method"], intent["test_card"] = payment_method, token
        else:
            raise missing("PaymentMethod", token, "payment_method", status=400)
        intent["status"] = "requires_confirmation"

    def _run(self, intent: Intent, parameters: Parameters, fault: Fault | None, key: str | None) -> None:
        """The attempt to pay: declined, challenged, accepted for later, or authorised."""
        card = TEST_CARDS[intent["test_card"] or ""]
        action = fault.action if fault else None
        challenge = card.challenge or action == "three_d_secure"
        if action == "decline":
            self._decline(intent, (fault.code if fault else None) or "generic_decline", key)
        elif card.decline:
            self._decline(intent, card.decline, key)
        elif challenge and (parameters.text("off_session") == "true" or parameters.flag("error_on_requires_action")):
            self._decline(intent, "authentication_required", key)
        elif challenge:
            self._change(intent, "requires_action")
            self._effect("payment.action_required", intent, intent["amount"])
            self.webhooks.emit("payment_intent.requires_action", intent_document(intent), key)
        elif fault is not None and action == "accept_later":
            self._postpone(intent, "authorise", intent["amount"], fault)
        else:
            self._authorise(intent, key)

    def _authorise(self, intent: Intent, key: str | None, *, authenticated: bool = False) -> None:
        amount = intent["amount"]
        self._new_charge(intent, decline_code=None, authenticated=authenticated)
        intent["authorised"] = intent["capturable"] = amount
        intent["last_payment_error"] = None
        self._effect("payment.authorised", intent, amount, {"charge": intent["charge"]})
        if intent["capture_method"] != "manual":
            self._settle(intent, amount, key)
            return
        setting = self._world.get(VENDOR, "settings", "only") or {}
        due = self._world.now().timestamp() + cast(float, setting.get("authorisation_s", AUTHORISATION_S))
        intent["capture_before"] = int(due)
        self._change(intent, "requires_capture")
        self._expire_at(due, intent)
        self.webhooks.emit("payment_intent.amount_capturable_updated", intent_document(intent), key)

    def _settle(self, intent: Intent, amount: int, key: str | None) -> None:
        """Money is taken: all that was authorised, or a part of it and the rest is released."""
        released = intent["capturable"] - amount
        intent["received"] = amount
        intent["capturable"] = 0
        self._change(intent, "succeeded")
        charge = self.charge(intent["charge"] or "")
        charge["captured"] = amount
        self._save_charge(charge)
        self._effect("payment.captured", intent, amount, {"charge": charge["id"], "released_minor": released})
        self.webhooks.emit("payment_intent.succeeded", intent_document(intent), key)
        if intent["capture_method"] == "manual":
            self.webhooks.emit("charge.captured", charge_document(charge, intent), key)

    def _release(self, intent: Intent, reason: str | None, details: JsonObject, key: str | None) -> None:
        held = intent["capturable"]
        intent["capturable"] = 0
        intent["pending"] = None
        intent["canceled_at"] = int(self._world.now().timestamp())
        intent["cancellation_reason"] = reason
        self._change(intent, "canceled")
        if held:
            self._effect("payment.voided", intent, held, {"charge": intent["charge"], **details})
        self.webhooks.emit("payment_intent.canceled", intent_document(intent), key)

    def _expire_at(self, due: float, intent: Intent) -> None:
        async def expire() -> None:
            if intent["status"] == "requires_capture":
                self._release(intent, "automatic", {"expired": True}, None)

        self._world.later(max(0.0, due - self._world.now().timestamp()), expire)

    def _postpone(self, intent: Intent, step: str, amount: int, fault: Fault) -> None:
        due = self._world.now().timestamp() + fault.delay_s
        pending = Pending(step="capture" if step == "capture" else "authorise", amount=amount, due=due, fail=fault.fail)
        intent["pending"] = pending
        self._change(intent, "processing")
        self.webhooks.emit("payment_intent.processing", intent_document(intent))
        self._finish_later(intent, pending)

    def _finish_later(self, intent: Intent, pending: Pending) -> None:
        async def finish() -> None:
            if intent["pending"] is not pending:
                return
            intent["pending"] = None
            if not pending["fail"] and pending["step"] == "authorise":
                self._authorise(intent, None)
            elif not pending["fail"]:
                self._settle(intent, pending["amount"], None)
            else:
                self._give_up(intent)

        self._world.later(max(0.0, pending["due"] - self._world.now().timestamp()), finish)

    def _give_up(self, intent: Intent) -> None:
        """What was accepted did not work out; an authorisation that could not be captured is gone."""
        if intent["capturable"]:
            self._effect("payment.voided", intent, intent["capturable"], {"capture_failed": True})
            intent["capturable"] = 0
        self._fail(intent, decline_error("processing_error"), None, {"code": "processing_error"})

    def _decline(self, intent: Intent, decline_code: str, key: str | None) -> None:
        charge = self._new_charge(intent, decline_code=decline_code)
        error = decline_error(decline_code)
        error["charge"] = charge["id"]
        method = intent["payment_method"] or ""
        error["payment_method"] = payment_method_document(method, charge["test_card"], charge["created"])
        self._fail(intent, error, key, {"code": error["code"], "decline_code": error.get("decline_code")})
        raise StripeError(
            402,
            "card_error",
            decline_message(decline_code),
            code=error["code"],
            decline_code=error.get("decline_code"),
            charge=charge["id"],
            payment_method=error["payment_method"],
            payment_intent=intent_document(intent),
        )

    def _fail(self, intent: Intent, error: JsonObject, key: str | None, details: JsonObject) -> None:
        intent["last_payment_error"] = error
        intent["payment_method"] = intent["test_card"] = None
        self._change(intent, "requires_payment_method")
        self._effect("payment.declined", intent, intent["amount"], details)
        self.webhooks.emit("payment_intent.payment_failed", intent_document(intent), key)

    # --------------------------------------------------------------------------------------------------- small

    def _new_charge(self, intent: Intent, *, decline_code: str | None, authenticated: bool = False) -> Charge:
        charge = Charge(
            id=self._world.new_id("ch_"),
            payment_intent=intent["id"],
            amount=intent["amount"],
            captured=0,
            refunded=0,
            paid=decline_code is None,
            decline_code=decline_code,
            created=int(self._world.now().timestamp()),
            payment_method=intent["payment_method"] or "",
            test_card=intent["test_card"] or "",
            authenticated=authenticated,
        )
        intent["charge"] = charge["id"]
        self._save_charge(charge)
        return charge

    def _change(self, intent: Intent, status: IntentStatus) -> None:
        intent["status"] = status
        self._save(intent)

    def _save(self, intent: Intent) -> None:
        self._world.put(VENDOR, "payment_intent", intent["id"], cast(JsonObject, cast(object, intent)))

    def _save_charge(self, charge: Charge) -> None:
        self._world.put(VENDOR, "charge", charge["id"], cast(JsonObject, cast(object, charge)))

    def _effect(self, effect: str, intent: Intent, amount: int, details: JsonObject | None = None) -> None:
        self._world.effect(
            VENDOR,
            effect,
            object_id=intent["id"],
            metadata=cast(JsonObject, intent["metadata"]),
            amount_minor=amount,
            currency=intent["currency"].upper(),
            details=details,
        )

    def _unexpected(self, intent: Intent, message: str) -> NoReturn:
        raise StripeError(
            400,
            "invalid_request_error",
            message,
            code="payment_intent_unexpected_state",
            payment_intent=intent_document(intent),
        )
