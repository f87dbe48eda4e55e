"""docs/suppliers.md says what each gateway declares, lets be sent again and needs: the page is held to the code."""

import re

import httpx
import pytest

from gateways.http import Answer, MayRepeat, VendorHttp, repeat_when_busy
from gateways.parts import Parts
from gateways.ports import Supplier
from gateways.registry import SUPPLIERS
from gateways.traffic import Unbounded
from schema.settings import variable_of
from tests.gateways.conftest import settings_for
from tests.house.files import ROOT

PAGE = (ROOT / "docs" / "suppliers.md").read_text()
CODES = [entry.code for entry in SUPPLIERS]
SERVER_ERRORS = (500, 502, 503, 504)


def rows(heading: str) -> dict[str, list[str]]:
    """The cells behind each supplier's code, of the one table with such a heading; two codes in a first cell share its row."""
    (table,) = [
        part for part in PAGE.split("\n\n") if part.startswith("|") and f"| {heading} |" in part.splitlines()[0]
    ]
    found: dict[str, list[str]] = {}
    for line in table.splitlines()[2:]:
        first, *cells = [cell.strip() for cell in line.strip("|").split("|")]
        found |= dict.fromkeys(re.findall(r"`(\w+)`", first), cells)
    return found


class Recording(Parts):
    """Keeps what each gateway says may be sent again."""

    rules: dict[str, MayRepeat] = {}

    def http(self, vendor: str, url: object, may_repeat: MayRepeat = repeat_when_busy) -> VendorHttp:
        self.rules[vendor] = may_repeat
        return super().http(vendor, url, may_repeat)


@pytest.fixture
def suppliers() -> dict[str, Supplier]:
    """Every one that is registered, as if it were configured; none of them is called."""
    needs = {name: "x" for entry in SUPPLIERS for name in entry.needs}
    parts = Recording(settings_for("http://127.0.0.1:9", **needs), Unbounded())
    built = {entry.code: entry.build(parts) for entry in SUPPLIERS}
    return {code: supplier for code, supplier in built.items() if supplier is not None}


@pytest.mark.parametrize("heading", ["contract", "create again", "quota of ours", "credentials"])
def test_every_supplier_has_its_row(heading: str) -> None:
    assert sorted(rows(heading)) == sorted(CODES)


def test_the_capabilities_are_those_of_the_code(suppliers: dict[str, Supplier]) -> None:
    said = {code: cells[:6] for code, cells in rows("create again").items()}
    declared = {code: supplier.capabilities for code, supplier in suppliers.items()}
    assert said == {
        code: [
            *(
                "yes" if able else "no"
                for able in (
                    capabilities.idempotent_create,
                    capabilities.lookup_by_reference,
                    capabilities.hold,
                    capabilities.void,
                    capabilities.async_confirm,
                )
            ),
            f"{capabilities.lookup_lag_s:.0f} s" if capabilities.lookup_by_reference else "-",
        ]
        for code, capabilities in declared.items()
    }


def test_who_can_neither_repeat_nor_look_ends_at_an_operator(suppliers: dict[str, Supplier]) -> None:
    way_out = {code: cells[6] for code, cells in rows("create again").items()}
    for code, supplier in suppliers.items():
        blind = not (supplier.capabilities.idempotent_create or supplier.capabilities.lookup_by_reference)
        assert way_out[code].startswith("an operator" if blind else "looking it up"), code


def test_what_may_be_sent_again_is_the_rule_of_the_code(suppliers: dict[str, Supplier]) -> None:
    said = {code: {int(status) for status in cells[0].split(",")} for code, cells in rows("quota of ours").items()}
    for code, supplier in suppliers.items():
        rule = Recording.rules[supplier.vendor]
        allowed = {
            status
            for status in (408, 429, *SERVER_ERRORS)
            if rule(Answer(supplier.vendor, status, httpx.Headers(), b'{"errors": []}'))
        }
        assert said[code] == allowed, code


def test_the_quotas_are_those_of_the_settings(suppliers: dict[str, Supplier]) -> None:
    quotas = settings_for("http://127.0.0.1:9").outbound.quota_per_minute
    said = {code: re.findall(r"^(\d+) a minute", cells[2]) for code, cells in rows("quota of ours").items()}
    assert said == {
        code: [str(quotas[supplier.vendor])] if supplier.vendor in quotas else []
        for code, supplier in suppliers.items()
    }


def test_the_settings_are_those_that_are_read() -> None:
    said = {code: re.findall(r"`(\w+)`", f"{cells[0]} {cells[1]}") for code, cells in rows("credentials").items()}
    for entry in SUPPLIERS:
        assert {*entry.credentials, variable_of(entry.url)} <= {*said[entry.code]}, entry.code
