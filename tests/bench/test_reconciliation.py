"""The bench of the reconciliation plants books that agree but for what it says, and accepts nothing else than all of that found."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psutil
import pytest
import pytest_asyncio
from rich.console import Console
from sqlalchemy import text

from bench.house import House
from bench.load import BenchFailed
from bench.reconciliation.business import ENDS, Business
from bench.reconciliation.figures import as_json
from bench.reconciliation.planting import ledger_balances
from bench.reconciliation.report import show
from bench.reconciliation.rounds import Bench, Measured, Sizes
from bench.reconciliation.runs import Ran
from schema.reconciliation import Stream, StreamReport
from tests.saga.harness import running_house

SIZES = Sizes(few_in_all=40, in_all=230, since=(20, 60, 230), rounds=(2, 1, 1))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncGenerator[House]:
    """The harness's house as the bench sees one: its worker is this process."""
    async with running_house(tmp_path_factory.mktemp("reconciled")) as real, real.worker():
        postgres = real.stack.pid("postgres")
        processes = {"worker": psutil.Process(), "postgres": psutil.Process(postgres)}
        yield House(real.stack, real.client, real.database, real.sandbox, real.sandbox, processes)


@pytest.mark.stack
@pytest.mark.timeout(120)
@pytest.mark.asyncio(loop_scope="module")
async def test_what_is_wrong_is_found_and_nothing_else_is_accepted(house: House) -> None:
    said: list[str] = []
    bench = Bench(house, SIZES, said.append)
    measured = await bench.measure()
    # One band of the few, and one for each size that reaches further back among all.
    assert (measured.planted, measured.found) == (4 * len(ENDS), 4 * len(ENDS))
    assert [len(runs) for runs in (measured.few, *measured.runs.values())] == [2, 2, 1, 1]
    (largest,) = measured.runs[230]
    assert (largest.records("stripe:payments"), largest.records("settled")) == (230 - 4, 230 - 4)
    assert any("230 since the watermark" in line for line in said)

    assert await ledger_balances(house.database)
    async with house.database.transaction() as connection:
        await connection.execute(text("SET LOCAL session_replication_role = replica"))
        lost = "DELETE FROM ledger_entries WHERE id = (SELECT min(id) FROM ledger_entries)"
        await connection.execute(text(lost))
    assert not await ledger_balances(house.database)
    with pytest.raises(BenchFailed, match="ledger_incomplete"):
        await bench.runs(230, 230, 1)


def test_everything_goes_wrong_once_in_each_band() -> None:
    business = Business(1000, [(0, 500), (900, 1000)])
    assert sorted(business.wrong_since(0, 1000).values()) == sorted([*ENDS, *ENDS])
    assert sorted(business.wrong_since(900, 1000).values()) == sorted(ENDS)
    assert business.wrong_since(0, 1000).keys() >= business.wrong_since(900, 1000).keys()
    taken = list(business.taken(0, 1000))
    assert len({one.booking_id for one in taken}) == 1000
    assert [one.at for one in taken] == sorted(one.at for one in taken)
    assert taken[-1].at < datetime.now(UTC) - timedelta(hours=1), "what every run reads again is over by then"


def ran(in_all: int, since: int, cpu_s: float, peak_mb: float = 210) -> Ran:
    payments = StreamReport(
        stream=Stream(books="payments", vendor="stripe"), since=datetime.now(UTC), pages=since // 100, records=since
    )
    return Ran(
        run_id="run",
        in_all=in_all,
        since=since,
        streams=[payments],
        wall_s=2 * cpu_s,
        cpu_s={"worker": cpu_s, "postgres": 0.1},
        before_mb=200,
        peak_mb=peak_mb,
        pace_s=0.05,
    )


def measured() -> Measured:
    sizes = {1000: 0.5, 10_000: 4.0, 100_000: 40.0}
    runs = {since: [ran(100_000, since, cpu_s)] for since, cpu_s in sizes.items()}
    return Measured(few=[ran(10_000, 1000, cpu_s) for cpu_s in (0.4, 0.5, 9)], runs=runs, planted=20, found=20)


def test_the_last_line_has_the_medians_and_what_was_missed() -> None:
    line = as_json(measured())
    assert (line["growth_mb"], line["cpu_power"], line["in_all_ratio"]) == (10, 1.0, 1.0)
    assert line["runs"][-1]["pages"] == 1000
    assert line["targets_missed"] == []

    square = measured()
    square.runs[100_000] = [ran(100_000, 100_000, 400.0, peak_mb=450)]
    assert as_json(square)["targets_missed"] == ["growth_mb", "cpu_power"]
    slower = measured()
    slower.runs[1000] = [replace(slower.runs[1000][0], cpu_s={"worker": 5.0, "postgres": 0.1})]
    assert as_json(slower)["targets_missed"] == ["in_all_ratio"]
    slower.runs[1000] = [replace(slower.runs[1000][0], pace_s=0.5)]
    assert as_json(slower)["targets_missed"] == [], "all that it did was slower then"


def test_a_person_reads_what_was_missed(capsys: pytest.CaptureFixture[str]) -> None:
    missed = measured()
    missed.runs[100_000] = [ran(100_000, 100_000, 40.0, peak_mb=450)]
    show(Console(width=200), missed)
    shown = capsys.readouterr().out
    assert "Missed: growth_mb is 250.00" in shown
    assert "1 of 3 targets are missed" in shown
