"""The demo ends well on the real stack; and whatever is wrong with any of its trips, or any invariant, it does not exit 0."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from sandbox import demo
from sandbox.demo_books import timeline_of
from sandbox.demo_client import DemoError, until
from sandbox.demo_scenarios import SCENARIOS
from sandbox.demo_searches import SEARCHES
from sandbox.demo_settings import POLICY, environment
from schema.settings import Settings
from tests.demo.endings import changed, effect, good, report_with

LOG = Path("worker.log")
TOLD_OF = {"demo", "TravelHub", "duffel", "expedia_rapid"}
MESSENGERS = {"sendgrid", "twilio", "fcm"}


# ------------------------------------------------------------------ the whole of it


@pytest.mark.slow
@pytest.mark.stack
def test_the_demo_ends_well_and_tells_it_in_one_document(tmp_path):
    command = [sys.executable, "-P", "-m", "cli", "demo", "--json"]
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("TRAVELHUB_", "TEMPORAL_"))}
    surroundings = {**inherited, "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        command, cwd=tmp_path, env=surroundings, capture_output=True, text=True, timeout=110, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout
    report = json.loads(done.stdout)

    assert report["ok"] is True
    assert report["seconds"] < 90
    ends = {one["name"]: (one["state"], one["expected_state"], one["ok"]) for one in report["scenarios"]}
    assert ends == {
        "confirmed": ("CONFIRMED", "CONFIRMED", True),
        "sold-out": ("FAILED", "FAILED", True),
        "answer-lost": ("CONFIRMED", "CONFIRMED", True),
        "worker-killed": ("CONFIRMED", "CONFIRMED", True),
        "price-rise": ("CONFIRMED", "CONFIRMED", True),
        "failover": ("CONFIRMED", "CONFIRMED", True),
        "paypal": ("CONFIRMED", "CONFIRMED", True),
        "three-d-secure": ("CONFIRMED", "CONFIRMED", True),
        "refund": ("CANCELLED", "CANCELLED", True),
        "desk": ("CONFIRMED", "CONFIRMED", True),
        "flight-late": ("CONFIRMED", "CONFIRMED", True),
        "flight-off": ("PARTIALLY_CONFIRMED", "PARTIALLY_CONFIRMED", True),
    }
    assert [(one["name"], len(one["arrivals"]), one["ok"]) for one in report["searches"]] == [
        ("live", 6, True),
        ("cached", 6, True),
        ("degraded", 6, True),
    ]
    for one in report["scenarios"]:
        assert one["seconds"] > 0
        assert one["workflow_url"].endswith(f"/namespaces/default/workflows/booking-{one['booking_id']}")
        elsewhere = {"amadeus"} if one["name"] == "failover" else set()
        provider = "paypal" if one["name"] == "paypal" else "stripe"
        who = {line["who"] for line in one["timeline"]}
        goes_on = one["name"] in ("flight-late", "flight-off")
        assert (who - {"amadeus"} if goes_on else who) == {
            *TOLD_OF,
            provider,
            *elsewhere,
            *(MESSENGERS if goes_on else ()),
        }
        assert {line["vendor"] for line in one["told"]} == (MESSENGERS if goes_on else set())
        assert (one["trip_page"] is not None) is goes_on
        assert [line["seconds"] for line in one["timeline"]] == sorted(line["seconds"] for line in one["timeline"])
        assert one["vendors_books"]["payments"]
        assert all(line["agrees"] for line in one["books"])
        assert (one["statement"] is not None) is (one["name"] in ("refund", "desk"))
        assert (one["case"] is not None) is (one["name"] == "desk")
    assert len(report["invariants"]) > 10
    assert all(one["violations"] == [] for one in report["invariants"])
    assert done.stderr.splitlines()[-1] == report["conclusion"]
    assert list(tmp_path.iterdir()) == [], "it has cleaned up"


# ------------------------------------------------------------------ the command


@pytest.mark.parametrize(("report", "code"), [(report_with(), 0), (report_with(problem="no"), 1), (None, 130)])
@pytest.mark.parametrize("as_json", [True, False])
def test_the_exit_code_and_the_last_line(monkeypatch, capsys, tmp_path, report, code, as_json):
    async def played(*_):
        return report

    monkeypatch.setattr(demo, "_on_a_stack", played)
    monkeypatch.setattr(demo, "_quiet_logs", lambda: None)
    monkeypatch.setattr(demo.tempfile, "mkdtemp", lambda **_: str(made_in(tmp_path)))
    assert demo.run_demo(as_json) == code
    shown = capsys.readouterr()
    if report is None:
        assert as_json is False or shown.out == ""
    else:
        told = shown.err if as_json else shown.out
        assert told.splitlines()[-1] == report.conclusion
        assert as_json is False or json.loads(shown.out)["ok"] is (code == 0)
    assert (tmp_path / "data").exists() is (code == 1), "only what failed is kept"


def made_in(tmp_path: Path) -> Path:
    data = tmp_path / "data"
    data.mkdir()
    return data


# ------------------------------------------------------------------ its parts


async def test_a_wait_ends_and_says_what_it_was_for():
    async def never():
        return None

    with pytest.raises(DemoError, match=r"waited 0 s for the moon in vain; worker\.log may tell why"):
        await until(never, what="the moon", within_s=0.01, log=LOG)


async def test_a_wait_outlives_a_lost_connection():
    answers = iter([httpx.ConnectError("refused"), None, "there"])

    async def at_last():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert await until(at_last, what="it", within_s=5, log=LOG) == "there"


def test_the_timeline_is_one_of_all():
    run, ending = good("confirmed")
    run.did("much later")
    moments = timeline_of(changed(ending, ledger=[effect("flight.held", 0.5)]), run.happenings)
    assert [moment.what for moment in moments[:2]] == ["booking PENDING", "flight held (1)"]
    assert [moment.seconds for moment in moments[:2]] == [0, 0.5]
    assert moments[-1].what == "much later"


def test_no_trip_is_addressed_by_another_ones_key():
    keys = [one.key for one in (*SCENARIOS, *SEARCHES)]
    assert [(one, other) for one in keys for other in keys if one in other and one is not other] == []


def test_no_two_trips_can_want_the_same_goods():
    destinations = [scenario.route[1] for scenario in SCENARIOS]
    assert len(set(destinations)) == len(destinations)


def test_the_stack_is_told_the_demos_policy(monkeypatch):
    for name in ("DATABASE_URL", "VALKEY_URL", "DUFFEL_TOKEN", "RAPID_API_KEY", "RAPID_SECRET", "STRIPE_API_KEY"):
        monkeypatch.setenv(f"TRAVELHUB_{name}", "redis://h" if "VALKEY" in name else "postgresql://u@h/d")
    monkeypatch.setenv("TRAVELHUB_STRIPE_WEBHOOK_SECRET", "secret")
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    settings = Settings.load()
    assert settings.saga == POLICY
    assert settings.vendor_timeout_s < POLICY.step_timeout_s
    assert settings.search.supplier_timeout_s < 5
