"""`travelhub reconcile`: one run now, and its report."""

import asyncio
import getpass
import sys
import time

import orjson
from rich.console import Console

from schema.bookings import TASK_QUEUE
from schema.logging import configure_logging
from schema.reconciliation import RECONCILIATION_WORKFLOW, ReconciliationInput, RunResult
from schema.references import new_id
from schema.settings import Settings
from store import reconciliation
from store.database import Database
from store.reconciliation import StoredFinding, StoredRun
from workers.temporal import temporal_connection

ALL_READ, SOME_UNREAD = 0, 1
_REPAIRS_S = 30
_LOOK_EVERY_S = 0.5
_SHOWN = 200


def run_reconcile(settings: Settings, as_json: bool) -> int:
    """Runs once, waits a little for the repairs, and tells the report; 1 if some list could not be read to its end."""
    configure_logging(settings.model_copy(update={"log_level": "error"}))
    run, found = asyncio.run(_reconcile(settings))
    if as_json:
        document = run.model_dump(mode="json") | {"details": [finding.model_dump(mode="json") for finding in found]}
        sys.stdout.write(orjson.dumps(document).decode() + "\n")
    else:
        _show(run, found, Console(highlight=False, soft_wrap=True))
    return SOME_UNREAD if any(report.problem for report in run.streams) else ALL_READ


async def _reconcile(settings: Settings) -> tuple[StoredRun, list[StoredFinding]]:
    database = Database(str(settings.database_url), 1)
    try:
        client = await temporal_connection(settings)
        run_id = new_id("reconciliation")
        await client.execute_workflow(
            RECONCILIATION_WORKFLOW,
            ReconciliationInput(started_by=getpass.getuser()),
            id=run_id,
            task_queue=TASK_QUEUE,
            result_type=RunResult,
        )
        until = time.monotonic() + _REPAIRS_S
        while True:
            async with database.read() as connection:
                run = await reconciliation.get(connection, run_id)
                found = await reconciliation.findings_of(connection, run_id, _SHOWN)
            assert run is not None, "a run that has ended has a report"
            if all(finding.outcome is not None for finding in found) or time.monotonic() > until:
                return run, found
            await asyncio.sleep(_LOOK_EVERY_S)
    finally:
        await database.aclose()


def _show(run: StoredRun, found: list[StoredFinding], console: Console) -> None:
    for report in run.streams:
        told = report.problem or ", ".join(f"{count} not checked: {why}" for why, count in report.unchecked.items())
        console.print(f"{report.stream.name}: {report.records} in {report.pages} pages  {told}", markup=False)
    for finding in found:
        became = finding.outcome or "being looked at"
        what = finding.kind.replace("_", " ")
        line = f"{finding.booking_id}: {what}, {finding.object_id} at {finding.vendor}: {became}"
        console.print(line, markup=False)
    console.print(f"{len(found)} found", markup=False)
