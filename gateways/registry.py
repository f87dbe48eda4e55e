"""Every vendor of this process. A supplier is added by one line in `SUPPLIERS`; see docs/suppliers.md."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import httpx
from pydantic import HttpUrl

from gateways import (
    airports,
    amadeus,
    amadeus_status,
    avis,
    duffel,
    duffel_cars,
    duffel_notices,
    fcm,
    liteapi,
    paypal,
    rapid,
    sendgrid,
    stripe,
    twilio,
)
from gateways.flight_ports import FlightStatusSource
from gateways.http import VendorHttp
from gateways.notice_ports import NoticeSender
from gateways.parts import Parts
from gateways.ports import Notifying, PaymentProvider, Supplier, Vendors
from gateways.traffic import Traffic, Unbounded
from schema.notifications import Channel
from schema.offers import Kind
from schema.settings import Settings, variable_of

Build = Callable[[Parts], Supplier | None]
"""Builds a gateway; None where the settings have no credentials for it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A supplier as it is registered: known to operators also while it is not configured."""

    code: str
    kind: Kind
    build: Build
    url: str
    """The setting that names its host."""
    needs: tuple[str, ...]
    """The settings that hold its credentials; without one of them it is not offered."""

    @property
    def credentials(self) -> list[str]:
        """The environment variables of its credentials."""
        return [variable_of(name) for name in self.needs]

    def missing(self, settings: Settings) -> list[str]:
        """Those of them that are not set."""
        return [variable_of(name) for name in self.needs if not getattr(settings, name)]

    def host(self, settings: Settings) -> str:
        """With its port, where one is named."""
        url: HttpUrl = getattr(settings, self.url)
        return httpx.URL(str(url)).netloc.decode()


SUPPLIERS: Final[tuple[Entry, ...]] = (
    Entry("duffel", "flight", duffel.build, url="duffel_url", needs=("duffel_token",)),
    Entry("amadeus", "flight", amadeus.build, url="amadeus_url", needs=("amadeus_client_id", "amadeus_client_secret")),
    Entry("duffel_cars", "car", duffel_cars.build, url="duffel_url", needs=("duffel_token",)),
    Entry("avis", "car", avis.build, url="avis_url", needs=("avis_client_id", "avis_client_secret")),
    Entry("expedia_rapid", "hotel", rapid.build, url="rapid_url", needs=("rapid_api_key", "rapid_secret")),
    Entry("liteapi", "hotel", liteapi.build, url="liteapi_url", needs=("liteapi_api_key",)),
)

PAYMENTS: Final[tuple[Callable[[Parts], PaymentProvider | None], ...]] = (stripe.build, paypal.build)
"""None where the settings have no credentials for it."""

NOTIFYING: Final[tuple[Callable[[Parts], Notifying], ...]] = (duffel_notices.build,)
"""Who tells of changes by itself: whose webhooks are taken at /v1/webhooks/{supplier}."""


SENDERS: Final[tuple[Callable[[Parts], NoticeSender | None], ...]] = (sendgrid.build, twilio.build, fcm.build)
"""One for each channel. None where the settings have no credentials for it."""

FLIGHT_STATUS: Final[tuple[Callable[[Parts], FlightStatusSource | None], ...]] = (amadeus_status.build,)
"""Who can be asked how a flight stands; the first with credentials is."""


class VendorRegistry:
    """The port `Vendors`."""

    def __init__(
        self,
        suppliers: list[Supplier],
        payments: list[PaymentProvider],
        notifying: list[Notifying],
        senders: list[NoticeSender],
        flight_status: FlightStatusSource | None,
        https: list[VendorHttp],
        traffic: Traffic,
    ) -> None:
        """Owns `https` and closes them."""
        self._senders: dict[Channel, NoticeSender] = {sender.channel: sender for sender in senders}
        self._flight_status = flight_status
        self._suppliers = {supplier.code: supplier for supplier in suppliers}
        self._payments = {provider.code: provider for provider in payments}
        self._notifying = {supplier.code: supplier for supplier in notifying}
        self._https = https
        self._traffic = traffic

    def notice_sender(self, channel: Channel) -> NoticeSender | None:
        return self._senders.get(channel)

    def flight_status(self) -> FlightStatusSource | None:
        return self._flight_status

    @property
    def traffic(self) -> Traffic:
        return self._traffic

    def supplier(self, code: str) -> Supplier:
        return self._suppliers[code]

    def suppliers(self, kind: Kind | None = None) -> list[Supplier]:
        return [supplier for supplier in self._suppliers.values() if kind is None or supplier.kind == kind]

    def payments(self, code: str) -> PaymentProvider:
        return self._payments[code]

    def notifying(self, code: str) -> Notifying:
        return self._notifying[code]

    async def aclose(self) -> None:
        for http in self._https:
            await http.aclose()


def build_vendors(settings: Settings, traffic: Traffic | None = None) -> Vendors:
    """Those the settings have credentials for. Without `traffic`, nothing bounds the calls."""
    airports.load()
    parts = Parts(settings, traffic or Unbounded())
    suppliers = [
        supplier for entry in SUPPLIERS if not entry.missing(settings) and (supplier := entry.build(parts)) is not None
    ]
    payments: list[PaymentProvider] = [provider for build in PAYMENTS if (provider := build(parts)) is not None]
    notifying: list[Notifying] = [build(parts) for build in NOTIFYING]
    senders: list[NoticeSender] = [sender for build in SENDERS if (sender := build(parts)) is not None]
    statuses = (status for build in FLIGHT_STATUS if (status := build(parts)) is not None)
    return VendorRegistry(
        suppliers, payments, notifying, senders, next(statuses, None), list(parts.https.values()), parts.traffic
    )
