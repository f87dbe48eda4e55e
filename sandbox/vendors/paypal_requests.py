"""The bodies that PayPal takes, as far as the sandbox looks at them; what it does not know it passes over, as PayPal does."""

from __future__ import annotations

from typing import Annotated, Final, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sandbox.vendors.paypal_wire import Api, PayPalError, minor

_Text127 = Annotated[str, Field(min_length=1, max_length=127)]
_VaultId = Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[0-9a-zA-Z_-]+$")]

_ISSUES: Final = {
    "missing": "MISSING_REQUIRED_PARAMETER",
    "string_too_long": "INVALID_STRING_LENGTH",
    "string_too_short": "INVALID_STRING_LENGTH",
    "literal_error": "INVALID_PARAMETER_VALUE",
    "extra_forbidden": "INVALID_PARAMETER_VALUE",
    "too_long": "INVALID_ARRAY_MAX_ITEMS",
    "too_short": "INVALID_ARRAY_MIN_ITEMS",
}


class Money(BaseModel):
    """An amount as it is written."""

    currency_code: str = Field(min_length=3, max_length=3)
    value: str = Field(max_length=32, pattern=r"^((-?[0-9]+)|(-?([0-9]+)?[.][0-9]+))$")


class Breakdown(BaseModel):
    """What an amount is made of."""

    item_total: Money | None = None
    shipping: Money | None = None
    handling: Money | None = None
    tax_total: Money | None = None
    insurance: Money | None = None
    shipping_discount: Money | None = None
    discount: Money | None = None


class Amount(Money):
    """An order's amount."""

    breakdown: Breakdown | None = None


class PurchaseUnit(BaseModel):
    """What is bought; `custom_id` and `invoice_id` are the client's."""

    reference_id: str = Field(default="default", min_length=1, max_length=256)
    amount: Amount
    description: _Text127 | None = None
    custom_id: _Text127 | None = None
    invoice_id: _Text127 | None = None
    soft_descriptor: str | None = Field(default=None, min_length=1, max_length=22)


class Experience(BaseModel):
    """Where the payer goes after the approval, or without it."""

    return_url: str | None = None
    cancel_url: str | None = None


class Wallet(BaseModel):
    """A PayPal account: one that must still approve, or one that is in the vault."""

    vault_id: _VaultId | None = None
    email_address: str | None = Field(default=None, min_length=3, max_length=254, pattern=r"^[^@]+@[^@]+$")
    experience_context: Experience = Experience()


class Token(BaseModel):
    """A billing agreement."""

    id: _VaultId
    type: Literal["BILLING_AGREEMENT"]


class PaymentSource(BaseModel):
    """Who pays. Cards and the other ways are not simulated."""

    model_config = ConfigDict(extra="forbid")

    paypal: Wallet | None = None
    token: Token | None = None

    @property
    def vaulted(self) -> str | None:
        """The id of a source that needs no payer's approval."""
        return self.token.id if self.token else self.paypal.vault_id if self.paypal else None


class OrderRequest(BaseModel):
    """POST /v2/checkout/orders"""

    intent: Literal["AUTHORIZE", "CAPTURE"]
    purchase_units: list[PurchaseUnit] = Field(min_length=1, max_length=10)
    payment_source: PaymentSource | None = None
    application_context: Experience | None = None


class CompletionRequest(BaseModel):
    """POST …/authorize and …/capture of an order"""

    payment_source: PaymentSource | None = None


class CaptureRequest(BaseModel):
    """POST /v2/payments/authorizations/{id}/capture"""

    amount: Money | None = None
    invoice_id: str | None = Field(default=None, max_length=127)
    final_capture: bool = False


class ReauthoriseRequest(BaseModel):
    """POST /v2/payments/authorizations/{id}/reauthorize"""

    amount: Money | None = None


class RefundRequest(BaseModel):
    """POST /v2/payments/captures/{id}/refund"""

    amount: Money | None = None
    custom_id: _Text127 | None = None
    invoice_id: _Text127 | None = None
    note_to_payer: str | None = Field(default=None, min_length=1, max_length=255)


Asked = TypeVar("Asked", bound=BaseModel)


def parsed(body: bytes, model: type[Asked], api: Api) -> Asked:
    """The body, none being the same as an empty one; refused for the first field that is not as the contract says."""
    try:
        return model.model_validate_json(body or b"{}", strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        malformed = "MALFORMED_REQUEST_JSON" if api == "orders" and first["type"] == "json_invalid" else None
        issue = malformed or _ISSUES.get(first["type"], "INVALID_PARAMETER_SYNTAX")
        raise PayPalError(400, issue, field="".join(f"/{part}" for part in first["loc"])) from error


def order_amount_minor(asked: Amount, field: str) -> int:
    """An order's amount; what it is made of must add up to it."""
    total = minor(asked.value, asked.currency_code, api="orders", field=field)
    if asked.breakdown is None:
        return total
    parts = 0
    for name, part in asked.breakdown:
        if not isinstance(part, Money):
            continue
        if part.currency_code != asked.currency_code:
            raise PayPalError(422, "MULTI_CURRENCY_ORDER", field=f"{field}/breakdown/{name}/currency_code")
        if part.value.strip("0."):
            amount = minor(part.value, part.currency_code, api="orders", field=f"{field}/breakdown/{name}")
            parts += -amount if "discount" in name else amount
    if parts != total:
        raise PayPalError(422, "AMOUNT_MISMATCH", field=f"{field}/value")
    return total
