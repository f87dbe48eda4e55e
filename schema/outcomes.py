"""How a step that moves money or inventory ends: Confirmed, Rejected or Unknown; and what a vendor can do about Unknown.

A timeout, a dropped connection, a 5xx after the request left, or a vendor's "202, ask later" is Unknown: never success, never
failure. How it is resolved follows from the vendor's capabilities, and only from them.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from schema.model import Message
from schema.money import Money


class Confirmed(Message):
    """The vendor says that the effect is there."""

    kind: Literal["confirmed"] = "confirmed"
    provider_reference: str
    """The vendor's id of its object: a Duffel order id, a Rapid itinerary id, a Stripe payment intent id."""
    price: Money | None = None
    """What the vendor charges for it, if the answer says so."""
    expires_at: datetime | None = None
    """When the vendor lets go of a hold or an authorisation by itself."""
    record_locator: str | None = None
    """The code a traveller shows: an airline's PNR, a hotel's confirmation number."""


class Rejected(Message):
    """The vendor says definitely no; nothing was done."""

    kind: Literal["rejected"] = "rejected"
    code: str
    """Ours, from schema/errors.py: sold_out, price_changed, card_declined, hold_expired, ..."""
    message: str
    price: Money | None = None
    """The new price, when that is the reason."""


class Unknown(Message):
    """Nobody here can say whether the effect exists."""

    kind: Literal["unknown"] = "unknown"
    reason: str
    used_up: bool = False
    """The vendor has made an order of this offer before: by an earlier try of this very call, or for somebody else."""


class ActionRequired(Message):
    """Payments only: the money is not reserved until the customer has done something, such as 3-D Secure."""

    kind: Literal["action_required"] = "action_required"
    provider_reference: str


Outcome = Annotated[Confirmed | Rejected | Unknown, Field(discriminator="kind")]
PaymentOutcome = Annotated[Confirmed | Rejected | Unknown | ActionRequired, Field(discriminator="kind")]


class Capabilities(Message):
    """What a vendor declares about itself; the saga's way out of Unknown is chosen from this table alone."""

    idempotent_create: bool
    """Sending a create again cannot make a second effect: the vendor keeps our key, or refuses a second one of the same reference."""
    lookup_by_reference: bool
    """An effect can be found by our own reference."""
    hold: bool
    """Inventory can be held without paying, then confirmed or dropped."""
    void: bool
    """A confirmed effect can be undone by API."""
    async_confirm: bool
    """A create may be accepted now and finish later."""
    reauthorise: bool = False
    """What is reserved can be reserved anew before the provider lets go of it."""
    key_life_s: float | None = None
    """For how long the vendor answers a repeated key with what the first call did; None: for longer than any saga asks."""
    lookup_lag_s: float = 0
    """For how long after a call an effect may still be invisible to a look-up; absence before that proves nothing."""
