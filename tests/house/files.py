"""The files these tests read, and how they read them."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("activities", "api", "bench", "gateways", "sandbox", "schema", "search", "store", "workers", "workflows")

# ${NAME}, ${NAME:?message}, ${NAME:-default} and their forms without a colon.
VARIABLE = re.compile(r"(?<!\$)\$\{(?P<name>[A-Z_]+)(?:(?P<operator>:?[?-])(?P<text>[^}]*))?\}")


def compose_text() -> str:
    return (ROOT / "docker-compose.temporal.yml").read_text()


def compose(values: dict[str, str] | None = None) -> dict[str, Any]:
    """The compose file as the engine would see it: variables filled in, `$$` unescaped. Without values: as it is written."""
    text = compose_text()
    if values is not None:
        text = VARIABLE.sub(lambda found: values.get(found["name"], found["text"] or ""), text).replace("$$", "$")
    return yaml.safe_load(text)


def lock(path: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Name -> version and hashes of each package in a lock."""
    entries: dict[str, tuple[str, frozenset[str]]] = {}
    for entry in re.split(r"\n(?=[a-z0-9])", (ROOT / path).read_text()):
        pinned = re.match(r"(?P<name>[a-z0-9-]+)(?:\[[a-z,-]+\])?==(?P<version>[^ \\]+)", entry)
        assert pinned, f"{path}: not pinned with ==: {entry.splitlines()[0]}"
        assert pinned["name"] not in entries, f"{path}: {pinned['name']} is there twice"
        entries[pinned["name"]] = (pinned["version"], frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", entry)))
    return entries


def sources() -> list[Path]:
    """Every Python file of the project."""
    return [ROOT / "cli.py", *(file for room in (*ROOMS, "tests") for file in (ROOT / room).rglob("*.py"))]
