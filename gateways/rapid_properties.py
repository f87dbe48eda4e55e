"""Which hotels are near an airport, and what they are called: slow-moving facts, kept in memory for an hour.

Sources: vendor-specs/expedia-rapid, GET /regions (iata_location_code) and GET /properties/content.
"""

from urllib.parse import urlencode

import structlog

from gateways.airports import place_of
from gateways.fields import Fields, is_list
from gateways.http import Call
from gateways.kept import Kept
from gateways.rapid_documents import Property
from gateways.rapid_wire import FOUND, VENDOR, RapidWire
from schema.errors import OutcomeUnclear, VendorContractBroken, VendorUnavailable

MAX_PROPERTIES = 50
"""Asked for availability at once; the contract allows 250, and a traveller looks at the first few."""
LANGUAGE = "en-US"
OK = 200

_logger = structlog.stdlib.get_logger("gateways.rapid")


class RapidProperties:
    """Looks up property ids by airport, and names by property id."""

    def __init__(self, wire: RapidWire) -> None:
        self._wire = wire
        self._ids: Kept[list[str]] = Kept()
        self._described: Kept[Property] = Kept()

    async def near(self, call: Call, iata: str) -> list[str]:
        """Property ids of the regions with this airport's code and of what surrounds them, nearest regions first."""
        kept = self._ids.get(iata)
        if kept is not None:
            return kept
        query = urlencode(
            [
                ("include", "property_ids"),
                ("include", "property_ids_expanded"),
                ("language", LANGUAGE),
                ("iata_location_code", iata),
                ("supply_source", "expedia"),
            ]
        )
        answer = await self._wire.read(call, f"/v3/regions?{query}")
        document = answer.json()
        if answer.status != OK or not is_list(document):
            raise VendorContractBroken(f"{VENDOR}: regions: status {answer.status}")
        regions = [Fields.of(VENDOR, "region", item) for item in document]
        names = ("property_ids", "property_ids_expanded")
        # A dict keeps the order and drops what two regions share.
        found = list(dict.fromkeys(value for name in names for region in regions for value in region.texts(name)))
        if found:
            self._ids.put(iata, found[:MAX_PROPERTIES])
        return found[:MAX_PROPERTIES]

    async def describe(self, call: Call, property_ids: list[str], iata: str) -> dict[str, Property]:
        """Name, city and stars. A hotel whose content cannot be had is named by its id: rather that than no hotel."""
        missing = [property_id for property_id in property_ids if self._described.get(property_id) is None]
        if missing:
            try:
                await self._learn(call, missing)
            except (VendorUnavailable, OutcomeUnclear, VendorContractBroken) as error:
                _logger.warning("properties_without_content", vendor=VENDOR, problem=error.message)
        city = place_of(iata).city
        return {
            property_id: self._described.get(property_id)
            or Property(name=f"Hotel {property_id}", city=city, stars=None)
            for property_id in property_ids
        }

    async def _learn(self, call: Call, property_ids: list[str]) -> None:
        query = urlencode(
            [
                ("language", LANGUAGE),
                ("supply_source", "expedia"),
                *(("include", name) for name in ("name", "address", "ratings")),
                *(("property_id", property_id) for property_id in property_ids),
            ]
        )
        answer = await self._wire.read(call, f"/v3/properties/content?{query}")
        if answer.status not in FOUND:
            raise VendorContractBroken(f"{VENDOR}: content: status {answer.status}")
        for property_id, document in answer.fields("content").values.items():
            content = Fields.of(VENDOR, "content", document)
            address = content.object_or_none("address")
            ratings = content.object_or_none("ratings")
            rating = ratings.object_or_none("property") if ratings else None
            stars = rating.decimal_or_none("rating") if rating else None
            self._described.put(
                property_id,
                Property(
                    name=content.text("name"),
                    city=(address.text_or_none("city") if address else None) or "",
                    stars=float(stars) if stars is not None else None,
                ),
            )
