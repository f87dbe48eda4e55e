"""docs/channels.md names the quotas and settings that there are: the page is held to the code."""

import re

import pytest

from schema.settings import OutboundSettings, Settings
from tests.house.files import ROOT

PAGE = (ROOT / "docs" / "channels.md").read_text()
SENDERS = ["sendgrid", "twilio", "fcm"]


def row(heading: str, vendor: str) -> list[str]:
    """The cells of the vendor's row in the one table with such a heading."""
    (table,) = [
        part for part in PAGE.split("\n\n") if part.startswith("|") and f"| {heading} |" in part.splitlines()[0]
    ]
    (line,) = [line for line in table.splitlines()[2:] if f"| `{vendor}` |" in line]
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.mark.parametrize("vendor", SENDERS)
def test_the_quota_is_the_one_of_the_settings(vendor: str) -> None:
    assert row("after a lost answer", vendor)[-1] == str(OutboundSettings().quota_per_minute[vendor])


@pytest.mark.parametrize("vendor", SENDERS)
def test_every_setting_is_told_and_no_other(vendor: str) -> None:
    told = {name for cell in row("credentials", vendor) for name in re.findall(r"TRAVELHUB_(\w+)", cell)}
    expected = {name.upper() for name in Settings.model_fields if name.startswith(f"{vendor}_")}
    assert told - {"PUBLIC_URL"} == expected
