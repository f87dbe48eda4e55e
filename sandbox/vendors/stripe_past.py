"""Payments that were taken long ago, many at once: what a list shows to somebody who reads back through years of business."""

from __future__ import annotations

from typing import Final, cast

from pydantic import BaseModel, ConfigDict, Field

from sandbox.vendors.stripe_documents import Charge, Intent
from sandbox.vendors.stripe_payments import AUTHORISATION_S, VENDOR
from sandbox.vendors.stripe_wire import invalid
from sandbox.world import JsonObject, World

_CARD: Final = "pm_card_visa"


class PastPayment(BaseModel):
    """What was taken, when (seconds since 1970), and what the client attached to it."""

    model_config = ConfigDict(extra="forbid")

    created: int = Field(ge=0)
    amount: int = Field(gt=0)
    currency: str = Field(pattern=r"^[a-z]{3}$")
    metadata: dict[str, str] = {}


def take_in_the_past(world: World, payments: list[PastPayment]) -> list[str]:
    """The ids of the payments, authorised and taken at once, without webhooks: those were sent then. Raises StripeError unless they
    come in the order of their creation, after all that are there: that order is what lists go by."""
    latest_s = max((cast(int, newest["created"]) for newest in _newest(world)), default=0)
    now_s = int(world.now().timestamp())
    for payment in payments:
        if not latest_s <= payment.created <= now_s:
            raise invalid("Past payments come in the order of their creation, after all others", param="created")
        latest_s = payment.created
    method = world.new_id("pm_")
    world.put(VENDOR, "payment_method", method, {"card": _CARD})
    return [_take(world, payment, method) for payment in payments]


def _newest(world: World) -> list[JsonObject]:
    return list(world.shelf(VENDOR, "payment_intent").documents[-1:])


def _take(world: World, payment: PastPayment, method: str) -> str:
    charge = Charge(
        id=world.new_id("ch_"),
        payment_intent=world.new_id("pi_"),
        amount=payment.amount,
        captured=payment.amount,
        refunded=0,
        paid=True,
        decline_code=None,
        created=payment.created,
        payment_method=method,
        test_card=_CARD,
        authenticated=False,
    )
    intent = Intent(
        id=charge["payment_intent"],
        secret=world.new_id("secret_").removeprefix("secret_"),
        amount=payment.amount,
        currency=payment.currency,
        status="succeeded",
        capture_method="manual",
        confirmation_method="automatic",
        created=payment.created,
        metadata=payment.metadata,
        description=None,
        customer=None,
        receipt_email=None,
        return_url=None,
        statement_descriptor_suffix=None,
        allow_redirects="never",
        payment_method_types=["card"],
        payment_method=method,
        test_card=_CARD,
        authorised=payment.amount,
        capturable=0,
        received=payment.amount,
        charge=charge["id"],
        capture_before=payment.created + AUTHORISATION_S,
        canceled_at=None,
        cancellation_reason=None,
        last_payment_error=None,
        refunds=[],
        pending=None,
    )
    world.put(VENDOR, "charge", charge["id"], cast(JsonObject, cast(object, charge)))
    world.put(VENDOR, "payment_intent", intent["id"], cast(JsonObject, cast(object, intent)))
    for effect in ("payment.authorised", "payment.captured"):
        world.effect(
            VENDOR,
            effect,
            object_id=intent["id"],
            metadata=cast(JsonObject, intent["metadata"]),
            amount_minor=payment.amount,
            currency=payment.currency.upper(),
            details={"charge": charge["id"]},
        )
    return intent["id"]
