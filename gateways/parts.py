"""What a gateway is built from: the settings, and one HTTP client for each vendor's host."""

from dataclasses import dataclass, field

from gateways.http import MayRepeat, VendorHttp, repeat_when_busy
from gateways.traffic import Traffic
from schema.settings import Settings


@dataclass(frozen=True)
class Parts:
    """Handed to the `build` of every gateway."""

    settings: Settings
    traffic: Traffic
    https: dict[tuple[str, str], VendorHttp] = field(default_factory=dict[tuple[str, str], VendorHttp])

    def http(self, vendor: str, url: object, may_repeat: MayRepeat = repeat_when_busy) -> VendorHttp:
        """The client of this vendor's host; gateways of one vendor share it, and with it circuit and quota."""
        key = (vendor, str(url))
        if key not in self.https:
            self.https[key] = VendorHttp(
                vendor,
                str(url),
                booking_timeout_s=self.settings.vendor_timeout_s,
                read_timeout_s=self.settings.vendor_read_timeout_s,
                traffic=self.traffic,
                may_repeat=may_repeat,
            )
        return self.https[key]
