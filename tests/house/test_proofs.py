"""docs/reliability.md names a mechanism and a proof beside each requirement: what it names must be there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:tests|workers|store|schema|docs)/[\w./-]*)(?:::(\w+))?`", PAGE)))
PROVED_NOW = (
    *("C-1a", "C-1c", "C-1d", "C-2a", "C-2b", "C-2c", "C-2d", "C-4a", "M-3"),
    *("K-2", "K-6", "K-7", "C-3d", "C-4b", "C-4d", "C-6a", "C-6b", "C-6c", "C-6d", "S-1", "S-2", "P-1"),
)
"""What is claimed so far."""


@pytest.mark.parametrize(("path", "name"), NAMED, ids=lambda part: part or "whole")
def test_what_is_named_exists(path: str, name: str) -> None:
    found = ROOT / path
    assert found.exists()
    if name:
        assert re.search(rf"\bdef {name}\(", found.read_text())


@pytest.mark.parametrize("requirement", PROVED_NOW)
def test_what_is_claimed_has_a_proof(requirement: str) -> None:
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| {requirement} "))
    assert "tests/" in row.split("|")[3]
