"""The clocks of the simulated PayPal that a test may want to run faster."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field

from sandbox.vendors.paypal_wire import VENDOR
from sandbox.world import World


class Settings(BaseModel):
    """Seconds; the defaults are PayPal's own, but for the reports' lag, which there is up to three hours."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    order_keys_s: float = Field(default=6 * 3600, ge=0)
    """How long a PayPal-Request-Id of an order's call is known."""
    payment_keys_s: float = Field(default=45 * 24 * 3600, ge=0)
    """How long one of a payment's call is known."""
    reporting_lag_s: float = Field(default=0, ge=0)
    """A transaction is listed after so long."""

    @classmethod
    def of(cls, world: World) -> Self:
        """Those of this world."""
        return cls.model_validate(world.get(VENDOR, "settings", "only") or {})

    def keep(self, world: World) -> None:
        """Let these hold from now on."""
        world.put(VENDOR, "settings", "only", self.model_dump())
