"""Which vendors there are, and what they say they can do."""

from __future__ import annotations

import pytest

from gateways.airports import place_of
from gateways.registry import SUPPLIERS, build_vendors
from schema.errors import InvalidRequest
from tests.gateways.conftest import settings_for

URL = "http://127.0.0.1:9"


async def test_every_vendor_by_code_and_kind():
    vendors = build_vendors(settings_for(URL))
    assert {supplier.code: supplier.kind for supplier in vendors.suppliers()} == {
        "duffel": "flight",
        "duffel_cars": "car",
        "expedia_rapid": "hotel",
    }
    assert [supplier.code for supplier in vendors.suppliers("hotel")] == ["expedia_rapid"]
    assert vendors.supplier("duffel").code == "duffel"
    assert vendors.payments("stripe").code == "stripe"
    with pytest.raises(KeyError):
        vendors.supplier("amadeus")
    with pytest.raises(KeyError):
        vendors.payments("paypal")
    await vendors.aclose()


async def test_an_entry_says_what_its_gateway_is_and_what_it_needs():
    needs = {name: "x" for entry in SUPPLIERS for name in entry.needs}
    vendors = build_vendors(settings_for(URL, **needs))
    assert [(entry.code, entry.kind) for entry in SUPPLIERS] == [(one.code, one.kind) for one in vendors.suppliers()]
    await vendors.aclose()

    bare = settings_for(URL, avis_client_id="x", avis_client_secret="")
    entries = {entry.code: entry for entry in SUPPLIERS}
    assert entries["duffel"].missing(bare) == []
    assert entries["amadeus"].missing(bare) == ["TRAVELHUB_AMADEUS_CLIENT_ID", "TRAVELHUB_AMADEUS_CLIENT_SECRET"]
    assert entries["avis"].missing(bare) == ["TRAVELHUB_AVIS_CLIENT_SECRET"]
    assert entries["duffel"].host(bare) == "127.0.0.1:9"


async def test_the_clock_scale_compresses_the_look_up_lag_and_nothing_else():
    real, fast = (build_vendors(settings_for(URL, vendor_clock_scale=scale)) for scale in (1.0, 0.01))
    for one, other in [
        *zip(real.suppliers(), fast.suppliers(), strict=True),
        (real.payments("stripe"), fast.payments("stripe")),
    ]:
        expected = one.capabilities.lookup_lag_s * 0.01
        assert other.capabilities == one.capabilities.model_copy(update={"lookup_lag_s": expected})
    assert real.supplier("expedia_rapid").capabilities.lookup_lag_s == 180
    assert real.supplier("duffel").capabilities.lookup_lag_s == 60
    for vendors in (real, fast):
        await vendors.aclose()


async def test_only_cars_can_neither_be_repeated_nor_looked_up():
    vendors = build_vendors(settings_for(URL))
    told = {
        one.code: (one.capabilities.idempotent_create, one.capabilities.lookup_by_reference)
        for one in vendors.suppliers()
    }
    assert told == {"duffel": (True, True), "duffel_cars": (False, False), "expedia_rapid": (True, True)}
    await vendors.aclose()


def test_an_airport_that_does_not_exist_is_told():
    with pytest.raises(InvalidRequest) as caught:
        place_of("ZZZ")
    assert (caught.value.problem_code, caught.value.field) == ("unknown_place", "destination")
