"""The words for our calls to a vendor: who goes first, how a call ended, how the vendor stands."""

from typing import Literal

from schema.model import Message

Priority = Literal["booking", "search"]
"""Booking goes first: search may not use the last part of a vendor's quota, and gives way in the queue."""
Ended = Literal["answered", "failed", "limited", "abandoned"]
"""`answered`: by the vendor, a refusal included. `failed`: not connected, no answer, a 5xx, or not readable. `limited`: 429.
`abandoned`: we gave up before the vendor's time was over, which says nothing about it."""
Circuit = Literal["closed", "open", "half_open"]


class VendorTraffic(Message):
    """How one vendor stands, for operators and for the search."""

    vendor: str
    circuit: Circuit
    opens_again_in_s: float | None = None
    """Until one probe is let through; None while the circuit is closed."""
    calls: int
    """In the last minute, by all processes."""
    failed: int
    limited: int
    retries: int
    quota_per_minute: int | None
    """None: no quota is set."""
    quota_left: int | None
    shared: bool
    """False while Valkey is away: these are this process's own figures."""
