"""`travelhub suppliers` and `travelhub suppliers check`: what an operator reads when a supplier does not work."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateways.registry import SUPPLIERS
from sandbox.stack import Stack
from schema.settings import OutboundSettings
from store.traffic import SharedTraffic
from store.valkey import Valkey
from tests.gateways.conftest import settings_for
from tests.sandbox.conftest import RunningSandbox, serve
from workers.suppliers import check

_ROOT = Path(__file__).parents[2]
_SECRET = "duffel_test_never_shown"
_CONFIGURED = ["duffel", "duffel_cars", "expedia_rapid"]


@pytest.fixture(scope="module")
def sandbox() -> Iterator[RunningSandbox]:
    with serve(seed=11) as running:
        yield running


def _travelhub(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TRAVELHUB_", "TEMPORAL_"))}
    command = [sys.executable, "-P", "-m", "cli", "suppliers", *words]
    return subprocess.run(
        command, cwd=_ROOT, env=clean | environment, capture_output=True, text=True, check=False, timeout=60
    )


def _environment(url: str) -> dict[str, str]:
    """Neither the database nor Valkey is there."""
    return {
        "TRAVELHUB_DATABASE_URL": "postgresql+psycopg://nobody@nowhere.invalid/none",
        "TRAVELHUB_VALKEY_URL": "redis://127.0.0.1:9/0",
        "TRAVELHUB_DUFFEL_URL": f"{url}/duffel",
        "TRAVELHUB_DUFFEL_TOKEN": _SECRET,
        "TRAVELHUB_RAPID_URL": f"{url}/rapid",
        "TRAVELHUB_RAPID_API_KEY": "key",
        "TRAVELHUB_RAPID_SECRET": "sandbox-rapid-secret",
        "TRAVELHUB_STRIPE_API_KEY": "sk_test_x",
        "TRAVELHUB_STRIPE_WEBHOOK_SECRET": "whsec_x",
    }


def test_every_supplier_is_shown_with_what_it_lacks():
    shown = _travelhub(**_environment("http://127.0.0.1:9"))
    assert shown.returncode == 0, shown.stderr
    lines = {line.split()[0]: line for line in shown.stdout.splitlines() if line.strip()}
    assert {entry.code for entry in SUPPLIERS} <= set(lines)
    assert "127.0.0.1:9" in lines["duffel"]
    assert "TRAVELHUB_DUFFEL_TOKEN" in lines["duffel"]
    assert "repeat, look up, hold, cancel, finish later" in lines["duffel"]
    assert "missing: TRAVELHUB_LITEAPI_API_KEY" in lines["liteapi"]
    assert "Valkey is away" in shown.stdout
    assert _SECRET not in shown.stdout + shown.stderr


def test_a_check_of_suppliers_that_are_well_exits_0(sandbox: RunningSandbox):
    done = _travelhub("check", "--json", **_environment(sandbox.url))
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert [(one["supplier"], one["verdict"]) for one in told] == [(code, "ok") for code in _CONFIGURED]
    assert all(one["duration_ms"] > 0 for one in told)


def test_a_check_that_fails_exits_1_and_says_why():
    done = _travelhub("check", **_environment("http://127.0.0.1:9"))
    assert done.returncode == 1
    assert done.stderr == ""
    assert [line.split(" (")[0] for line in done.stdout.splitlines()] == [
        f"{code}: cannot be reached: the connection is refused" for code in _CONFIGURED
    ]


@pytest.mark.parametrize(
    ("changes", "verdict", "told"),
    [
        ({"duffel_token": "no_such_token"}, "credentials", "does not know our credentials"),
        ({"duffel_url": "http://nowhere.invalid"}, "unreachable", "cannot be reached: no such host (DNS)"),
        ({"duffel_url": "{sandbox}/rapid"}, "contract", "answers something its contract does not allow"),
    ],
)
async def test_what_is_wrong_with_our_settings(changes, verdict, told, sandbox: RunningSandbox):
    wrong = {name: value.format(sandbox=sandbox.url) for name, value in changes.items()}
    probes = {one.supplier: one for one in await check(settings_for(sandbox.url, **wrong))}
    assert probes["duffel"].verdict == verdict
    assert probes["duffel"].told.startswith(told)
    assert probes["expedia_rapid"].verdict == "ok"


@pytest.mark.parametrize(
    ("fault", "verdict", "told"),
    [
        ({"action": "rate_limited", "retry_after_s": 7}, "quota", "our quota there is used up; again in 7 s"),
        ({"action": "server_error", "status": 503}, "trouble", "is there, but cannot answer now"),
        ({"action": "drop_before"}, "unreachable", "cannot be reached: the connection is lost"),
        ({"action": "delay", "delay_s": 2}, "unreachable", "cannot be reached: connected, but no answer in time"),
    ],
)
async def test_what_is_wrong_with_a_supplier(fault, verdict, told, sandbox: RunningSandbox):
    sandbox.fault(vendor="expedia_rapid", **fault)
    probes = {one.supplier: one for one in await check(settings_for(sandbox.url, vendor_read_timeout_s=0.5))}
    assert probes["expedia_rapid"].verdict == verdict
    assert probes["expedia_rapid"].told.startswith(told)
    assert probes["duffel"].verdict == "ok"


async def test_a_host_that_does_not_speak_tls(sandbox: RunningSandbox):
    probes = await check(settings_for(sandbox.url.replace("http:", "https:")))
    assert {one.told for one in probes} == {"cannot be reached: no secure connection (TLS)"}


@pytest.mark.stack
async def test_how_the_suppliers_of_the_running_stack_stand(servers: Stack):
    valkey = Valkey(servers.state.valkey_url)
    traffic = SharedTraffic(valkey, OutboundSettings(circuit_min_calls=1, circuit_open_s=600))
    await traffic.admit("duffel", "booking", 5)
    await traffic.record("duffel", "failed")
    shown = _travelhub("--data", str(servers.state.data), "--json")
    async with valkey.client as client:
        await client.delete("traffic:duffel")
    await traffic.aclose()
    assert shown.returncode == 0, shown.stderr
    views = {view["code"]: view for view in json.loads(shown.stdout)}
    assert {code for code, view in views.items() if not view["missing"]} >= set(_CONFIGURED)
    for code in ("duffel", "duffel_cars"):
        told = views[code]["traffic"]
        assert (told["vendor"], told["circuit"], told["failed"], told["shared"]) == ("duffel", "open", 1, True)
    assert views["expedia_rapid"]["traffic"]["circuit"] == "closed"


def test_without_settings_and_stack_it_says_so(tmp_path: Path):
    done = _travelhub("check", "--data", str(tmp_path))
    assert done.returncode == 1
    assert "start it with `travelhub up`" in done.stderr
