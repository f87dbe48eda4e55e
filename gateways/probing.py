"""What is wrong with a supplier, in plain words: one harmless call and what its ending means to an operator."""

import socket
import ssl
import time
from collections.abc import Iterator
from typing import Literal, cast

import httpx

from gateways.http import LostAnswer
from gateways.ports import Supplier
from schema.errors import CredentialsRefused, OutcomeUnclear, RateLimited, VendorContractBroken, VendorUnavailable
from schema.model import Message

Verdict = Literal["ok", "unreachable", "credentials", "contract", "quota", "trouble"]
"""`trouble`: it is there and says itself that it cannot answer now."""


class Probe(Message):
    """How the call of one supplier went."""

    supplier: str
    verdict: Verdict
    told: str
    duration_ms: int


async def probe(supplier: Supplier, correlation_id: str) -> Probe:
    """Never raises for what the supplier does."""
    started_s = time.perf_counter()
    try:
        await supplier.check(correlation_id)
        verdict, told = "ok", "ok"
    except CredentialsRefused as error:
        verdict, told = "credentials", f"does not know our credentials ({error.message})"
    except RateLimited as error:
        later = "" if error.retry_after_s is None else f"; again in {error.retry_after_s:.0f} s"
        verdict, told = "quota", f"our quota there is used up{later}"
    except VendorContractBroken as error:
        verdict, told = "contract", f"answers something its contract does not allow ({error.message})"
    except (VendorUnavailable, OutcomeUnclear) as error:
        verdict, told = _network(error)
    duration_ms = round((time.perf_counter() - started_s) * 1000)
    return Probe(supplier=supplier.code, verdict=verdict, told=told, duration_ms=duration_ms)


def _network(error: VendorUnavailable | OutcomeUnclear) -> tuple[Verdict, str]:
    causes = list(_causes(error))
    # The first that fits: a handshake that is cut off in time also leaves an SSLError behind.
    lost = any(isinstance(cause, LostAnswer) for cause in causes)
    for kinds, why in (
        (socket.gaierror, "no such host (DNS)"),
        (ConnectionRefusedError, "the connection is refused"),
        ((httpx.ConnectTimeout, TimeoutError), "connected, but no answer in time" if lost else "no connection in time"),
        (ssl.SSLError, "no secure connection (TLS)"),
        (httpx.TransportError, "the connection is lost" if lost else "no connection"),
    ):
        if any(isinstance(cause, kinds) for cause in causes):
            return "unreachable", f"cannot be reached: {why}"
    return "trouble", f"is there, but cannot answer now ({error.message})"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that it came from; connecting to several addresses fails as a group."""
    yield error
    if isinstance(error, BaseExceptionGroup):
        for one in cast("BaseExceptionGroup[BaseException]", error).exceptions:
            yield from _causes(one)
    origin = error.__cause__ or error.__context__
    if origin is not None:
        yield from _causes(origin)
