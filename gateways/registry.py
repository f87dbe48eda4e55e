"""Every vendor of this process, built from the settings."""

from gateways import airports
from gateways.duffel import DuffelFlights
from gateways.duffel_cars import DuffelCars
from gateways.duffel_wire import VENDOR as DUFFEL
from gateways.http import VendorHttp
from gateways.ports import PaymentProvider, Supplier, Vendors
from gateways.rapid import RapidHotels
from gateways.rapid_wire import VENDOR as RAPID
from gateways.rapid_wire import RapidWire
from gateways.stripe import StripePayments
from gateways.stripe_wire import VENDOR as STRIPE
from schema.offers import Kind
from schema.settings import Settings

RAPID_BILLING_ADDRESS = {"line_1": "TravelHub", "city": "Dublin", "country_code": "IE"}
"""Whom Expedia bills: us. Ireland, because its addresses need neither a postal code nor a state (BillingContactRequestAddress)."""


class VendorRegistry:
    """The port `Vendors`."""

    def __init__(self, suppliers: list[Supplier], payments: list[PaymentProvider], https: list[VendorHttp]) -> None:
        """Owns `https` and closes them."""
        self._suppliers = {supplier.code: supplier for supplier in suppliers}
        self._payments = {provider.code: provider for provider in payments}
        self._https = https

    def supplier(self, code: str) -> Supplier:
        return self._suppliers[code]

    def suppliers(self, kind: Kind | None = None) -> list[Supplier]:
        return [supplier for supplier in self._suppliers.values() if kind is None or supplier.kind == kind]

    def payments(self, code: str) -> PaymentProvider:
        return self._payments[code]

    async def aclose(self) -> None:
        for http in self._https:
            await http.aclose()


def build_vendors(settings: Settings) -> Vendors:
    """One pool of connections for each vendor's host; Duffel's flights and cars share one."""

    def http(vendor: str, url: object) -> VendorHttp:
        return VendorHttp(
            vendor,
            str(url),
            booking_timeout_s=settings.vendor_timeout_s,
            read_timeout_s=settings.vendor_read_timeout_s,
        )

    airports.load()
    scale = settings.vendor_clock_scale
    duffel, rapid, stripe = (
        http(DUFFEL, settings.duffel_url),
        http(RAPID, settings.rapid_url),
        http(STRIPE, settings.stripe_url),
    )
    token = settings.duffel_token.get_secret_value()
    rapid_wire = RapidWire(
        rapid,
        settings.rapid_api_key.get_secret_value(),
        settings.rapid_secret.get_secret_value(),
        customer_ip=settings.rapid_customer_ip,
        test_header=settings.rapid_test_header,
    )
    return VendorRegistry(
        suppliers=[
            DuffelFlights(duffel, token, read_timeout_s=settings.vendor_read_timeout_s, clock_scale=scale),
            DuffelCars(duffel, token, offer_ttl_s=settings.offer_ttl_s),
            RapidHotels(
                rapid_wire,
                billing_address=RAPID_BILLING_ADDRESS,
                offer_ttl_s=settings.offer_ttl_s,
                clock_scale=scale,
            ),
        ],
        payments=[
            StripePayments(
                stripe,
                api_key=settings.stripe_api_key.get_secret_value(),
                webhook_secret=settings.stripe_webhook_secret.get_secret_value(),
                clock_scale=scale,
            )
        ],
        https=[duffel, rapid, stripe],
    )
