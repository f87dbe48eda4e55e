"""`travelhub demo`: searches and ten trips on a stack of their own, over HTTP as a client would, with things broken on purpose.

It exits 0 only if every search and trip ended as it must and every invariant holds, by the vendors' own books.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Final

import httpx
import structlog

from sandbox.demo_client import DemoError, Lines
from sandbox.demo_play import Player
from sandbox.demo_report import DemoReport, InvariantReport, ScenarioReport, invariants_of, missed_by, report_of
from sandbox.demo_run import Run
from sandbox.demo_scenarios import SCENARIOS
from sandbox.demo_screen import Screen
from sandbox.demo_searches import Searcher
from sandbox.demo_settings import environment
from sandbox.demo_stage import Stage
from sandbox.stack import Stack, StackOptions
from sandbox.stack_state import StackState
from sandbox.supervisor import StackError
from schema.settings import SettingsError

INTERRUPTED: Final = 130
"""What a shell expects of a program that Ctrl-C ended."""
_AUDIT_WITHIN_S: Final = 45


def run_demo(as_json: bool) -> int:
    """Plays, shows, cleans up; the exit code. With `as_json` the report is the only thing on standard output."""
    screen = Screen(to_stderr=as_json)
    _quiet_logs()
    # Not below the current directory: there its path might be too long, or PostgreSQL's own user kept out of it.
    data = Path(tempfile.mkdtemp(prefix="travelhub-demo-"))
    data.chmod(0o711)
    try:
        report = asyncio.run(_on_a_stack(data, screen))
    except SettingsError:
        _remove(data)  # a wrong variable in the shell: nothing was started
        raise
    except BaseException:
        screen.say(f"the demo itself broke; logs and data are kept in {data}")
        raise
    if report is None:
        _remove(data)
        screen.say("interrupted; everything is stopped")
        return INTERRUPTED
    if as_json:
        sys.stdout.write(report.as_json() + "\n")
    else:
        screen.show(report)
    _clean_up(data, report, screen)
    screen.conclude(report)
    return report.exit_code


async def _on_a_stack(data: Path, screen: Screen) -> DemoReport | None:
    """The report, or None if somebody wants it to end. The stack is stopped then in any case."""
    stack = Stack(data, StackOptions(environment=environment()), screen.say)
    playing = asyncio.create_task(_play(stack, screen))
    signals = 0

    def on_signal() -> None:
        nonlocal signals
        signals += 1
        playing.cancel()
        if signals == 1:
            screen.say("stopping; once more to stop in a hurry")
        else:
            stack.hurry()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal)
    try:
        await asyncio.wait({playing})
    finally:
        playing.cancel()
        screen.say("stopping the stack")
        await stack.stop_all()
    return None if playing.cancelled() else playing.result()


async def _play(stack: Stack, screen: Screen) -> DemoReport:
    screen.say("starting PostgreSQL, Valkey, Temporal, the simulated vendors, a worker and the API")
    try:
        await stack.start_all()
    except StackError as error:
        return DemoReport(
            searches=[], scenarios=[], invariants=[], seconds=screen.seconds, problem=f"the stack: {error}"
        )
    state = stack.state
    screen.say(f"ready: API {state.api_url}, Temporal's Web UI {state.temporal_ui_url}, logs {state.logs}")
    runs = [Run(scenario) for scenario in SCENARIOS]
    lines = Lines.to(state)
    player = Player(Stage(stack, lines, asyncio.Event()))
    try:
        searches = await Searcher(lines, screen.say).make()
        async with screen.following(runs):
            await player.play(runs)
        screen.say("reading the vendors' books and auditing")
        scenarios = [await _report(player, run) for run in runs]
        invariants, problem = await _audit(stack, runs)
    finally:
        await lines.aclose()
    return DemoReport(
        searches=searches,
        scenarios=scenarios,
        invariants=invariants,
        seconds=round(screen.seconds, 1),
        problem=problem,
    )


async def _report(player: Player, run: Run) -> ScenarioReport:
    """Looked at also if it went wrong: then the books tell why."""
    ending = None
    try:
        ending = await player.ending(run)
    except (DemoError, httpx.HTTPError, ValueError) as error:
        run.problem = run.problem or f"its books cannot be read: {type(error).__name__}: {error}"
    return report_of(run, ending, player.stage.stack.state.temporal_ui_url)


async def _audit(stack: Stack, runs: list[Run]) -> tuple[list[InvariantReport], str | None]:
    """The product's own audit, over everything in the demo's books and the vendors': these bookings, and nothing beside."""
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415  # both cost a second that the stack need not wait for

    from workers.audit import audit, gather  # noqa: PLC0415

    try:
        async with asyncio.timeout(_AUDIT_WITHIN_S):
            report = await audit(await gather(stack.settings()))
    except TimeoutError:
        return [], f"the audit did not end within {_AUDIT_WITHIN_S} s; {stack.state.logs} may tell why"
    except (SQLAlchemyError, httpx.HTTPError) as error:
        return [], f"the audit could not read the books: {type(error).__name__}: {error}"
    return invariants_of(report), missed_by(report, runs)


def _quiet_logs() -> None:
    """What libraries and our own parts say below a warning is not the demo's to show; the rest never goes to its output."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
    )


def _clean_up(data: Path, report: DemoReport, screen: Screen) -> None:
    """The data of a demo that failed are kept: they tell why."""
    if report.ok:
        _remove(data)
        screen.say("the stack is stopped and its data are removed; `make up` starts one that stays")
    else:
        screen.say(f"the stack is stopped; logs and data are kept in {data}")
        screen.say(f"`travelhub up --data {data}` brings them back, with the workflows in the Web UI")


def _remove(data: Path) -> None:
    """With the folder of PostgreSQL's socket, which is elsewhere when the data's own path is too long for one."""
    with contextlib.suppress(StackError, OSError):
        sockets = StackState.load(data).socket_directory
        if not sockets.is_relative_to(data):
            sockets.rmdir()
    shutil.rmtree(data, ignore_errors=True)
