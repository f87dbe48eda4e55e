"""`travelhub suppliers`: every supplier, how it is configured and how it stands; and one harmless call to each."""

import asyncio
import sys

import orjson
from rich.console import Console
from rich.table import Table

from gateways.ports import Supplier, Vendors
from gateways.probing import Probe, probe
from gateways.registry import SUPPLIERS, Entry, build_vendors
from schema.logging import configure_logging
from schema.model import Message
from schema.offers import Kind
from schema.outcomes import Capabilities
from schema.references import new_id
from schema.settings import Settings
from schema.traffic import VendorTraffic
from store.traffic import SharedTraffic
from store.valkey import Valkey

ALL_OK, SOME_FAIL = 0, 1
_WIDTH_WITHOUT_TERMINAL = 200
_IN_WORDS = {
    "idempotent_create": "repeat",
    "lookup_by_reference": "look up",
    "hold": "hold",
    "void": "cancel",
    "async_confirm": "finish later",
}
"""What each capability lets us, or it, do."""


class SupplierView(Message):
    """One supplier as an operator sees it; what needs a gateway is None where it is not configured."""

    code: str
    kind: Kind
    host: str
    credentials: list[str]
    """The variables they come from, never what is in them."""
    missing: list[str]
    """Those of them that are not set: while there is one, the supplier is not offered."""
    capabilities: Capabilities | None
    traffic: VendorTraffic | None


def run_suppliers(settings: Settings, as_json: bool) -> int:
    """Tells how every supplier stands on standard output; returns the exit code."""
    _quietly(settings)
    views = asyncio.run(look(settings))
    if as_json:
        _write([view.model_dump(mode="json") for view in views])
    else:
        _show(views, _console())
    return ALL_OK


def run_check(settings: Settings, as_json: bool) -> int:
    """Calls each configured supplier once and tells how that went; 1 if any of them fails."""
    _quietly(settings)
    probes = asyncio.run(check(settings))
    if as_json:
        _write([one.model_dump(mode="json") for one in probes])
    else:
        console = _console()
        for one in probes:
            console.print(f"{one.supplier}: {one.told} ({one.duration_ms} ms)", markup=False, highlight=False)
    return ALL_OK if all(one.verdict == "ok" for one in probes) else SOME_FAIL


async def look(settings: Settings) -> list[SupplierView]:
    """Every supplier that is registered, configured or not."""
    valkey = Valkey(str(settings.valkey_url))
    traffic = SharedTraffic(valkey, settings.outbound)
    vendors = build_vendors(settings, traffic)
    try:
        return [await _view(entry, settings, vendors) for entry in SUPPLIERS]
    finally:
        await vendors.aclose()
        await traffic.aclose()
        await valkey.aclose()


async def check(settings: Settings) -> list[Probe]:
    """Past circuit and quota: an operator wants to know how it is now, and one call more does no harm."""
    vendors = build_vendors(settings)
    try:
        return await asyncio.gather(*(probe(supplier, new_id("check")) for supplier in vendors.suppliers()))
    finally:
        await vendors.aclose()


async def _view(entry: Entry, settings: Settings, vendors: Vendors) -> SupplierView:
    missing = entry.missing(settings)
    supplier: Supplier | None = None if missing else vendors.supplier(entry.code)
    return SupplierView(
        code=entry.code,
        kind=entry.kind,
        host=entry.host(settings),
        credentials=entry.credentials,
        missing=missing,
        capabilities=supplier.capabilities if supplier else None,
        traffic=await vendors.traffic.status(supplier.vendor) if supplier else None,
    )


def _show(views: list[SupplierView], console: Console) -> None:
    table = Table(box=None, pad_edge=False)
    for title in (
        "supplier",
        "kind",
        "host",
        "credentials",
        "circuit",
        "calls",
        "failed",
        "429",
        "retries",
        "quota left",
    ):
        table.add_column(title, justify="right" if title in ("calls", "failed", "429", "retries") else "left")
    table.add_column("it can")
    for view in views:
        configured = f"missing: {', '.join(view.missing)}" if view.missing else ", ".join(view.credentials)
        table.add_row(
            view.code, view.kind, view.host, configured, *_standing(view.traffic), _in_words(view.capabilities)
        )
    console.print(table)
    if any(view.traffic and not view.traffic.shared for view in views):
        console.print("Valkey is away: what the processes know of circuits, calls and quotas cannot be seen.")


def _standing(traffic: VendorTraffic | None) -> list[str]:
    if traffic is None:
        return ["-"] * 6
    if not traffic.shared:
        return ["?"] * 6
    circuit = traffic.circuit.replace("_", " ")
    if traffic.opens_again_in_s:
        circuit += f", {traffic.opens_again_in_s:.0f} s"
    quota = "no quota" if traffic.quota_left is None else f"{traffic.quota_left} of {traffic.quota_per_minute}"
    return [circuit, *(str(n) for n in (traffic.calls, traffic.failed, traffic.limited, traffic.retries)), quota]


def _in_words(capabilities: Capabilities | None) -> str:
    if capabilities is None:
        return "-"
    return ", ".join(word for name, word in _IN_WORDS.items() if getattr(capabilities, name)) or "nothing of it"


def _quietly(settings: Settings) -> None:
    """What the log would say is what the command tells in words."""
    configure_logging(settings.model_copy(update={"log_level": "error"}))


def _console() -> Console:
    """Lines to a file are not cut to the width of a terminal that is not there."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH_WITHOUT_TERMINAL)


def _write(document: object) -> None:
    sys.stdout.write(orjson.dumps(document).decode() + "\n")
