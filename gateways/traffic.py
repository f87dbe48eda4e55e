"""The port that keeps our calls to a vendor within bounds: its quota, its circuit, and the budget of retries.

Implemented in store/, where processes share it; here is what every gateway's HTTP client asks of it.
"""

from typing import Protocol

from schema.traffic import Circuit, Ended, Priority, VendorTraffic

__all__ = ["Circuit", "Ended", "Priority", "Traffic", "Unbounded", "VendorTraffic"]


class Traffic(Protocol):
    """Asked before and told after each HTTP call to a vendor; `vendor` is `VendorHttp.vendor`."""

    async def admit(self, vendor: str, priority: Priority, wait_at_most_s: float) -> None:
        """Returns when the call may go, after queueing for the quota if need be.

        Raises CircuitOpen, or RateLimited when the quota would not let it go in time; both with `retry_after_s`.
        """
        ...

    async def record(self, vendor: str, ended: Ended) -> None:
        """How an admitted call ended. Must follow each `admit` that returned."""
        ...

    async def may_retry(self, vendor: str) -> bool:
        """Takes one retry out of the budget (10 % of the vendor's calls of the last minute); False if it is used up."""
        ...

    async def status(self, vendor: str) -> VendorTraffic: ...


class Unbounded:
    """Lets everything pass: for tools and tests that are about something else."""

    async def admit(self, vendor: str, priority: Priority, wait_at_most_s: float) -> None:
        """Never waits."""

    async def record(self, vendor: str, ended: Ended) -> None:
        """Forgets it."""

    async def may_retry(self, vendor: str) -> bool:
        """Never: whoever wants retries wants a budget."""
        return False

    async def status(self, vendor: str) -> VendorTraffic:
        return VendorTraffic(
            vendor=vendor,
            circuit="closed",
            calls=0,
            failed=0,
            limited=0,
            retries=0,
            quota_per_minute=None,
            quota_left=None,
            shared=False,
        )
