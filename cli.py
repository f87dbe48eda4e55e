"""The `travelhub` command. Heavy modules are imported by the command that needs them, so that `--help` is at once there."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import typer

from workers.dead_letter_commands import dead_letters_app
from workers.desk_commands import cases_app
from workers.notification_commands import notifications_app

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from schema.settings import Settings

app = typer.Typer(
    help="TravelHub books trips of flights, hotels and cars as durable workflows.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

Data = Annotated[
    Path | None,
    typer.Option(envvar="TRAVELHUB_DATA", help="Where the embedded stack keeps its data.", show_default=".travelhub"),
]
Port = typer.Option(min=1, max=65535, help="A free one unless set.", show_default=False)
Json = Annotated[bool, typer.Option("--json", help="One machine-readable report instead of text.")]


@app.command()
def up(
    data: Data = None,
    detach: Annotated[bool, typer.Option("--detach", help="Return when it is ready; `down` stops it.")] = False,
    workers: Annotated[int, typer.Option(min=0, max=8, help="How many workers; 0 to run one in a debugger.")] = 1,
    with_api: Annotated[bool, typer.Option("--api/--no-api", help="Start the API.")] = True,
    with_vendors: Annotated[bool, typer.Option("--vendors/--no-vendors", help="Start the vendor sandbox.")] = True,
    seed: Annotated[int, typer.Option(envvar="TRAVELHUB_SANDBOX_SEED", help="Of the vendors' content.")] = 1,
    api_port: Annotated[int | None, Port] = None,
    temporal_port: Annotated[int | None, Port] = None,
    temporal_ui_port: Annotated[int | None, Port] = None,
    valkey_port: Annotated[int | None, Port] = None,
    sandbox_port: Annotated[int | None, Port] = None,
    temporal_synchronous: Annotated[
        Literal["full", "normal"],
        typer.Option(envvar="TRAVELHUB_TEMPORAL_SYNCHRONOUS", help="`normal` is faster, not safe against power loss."),
    ] = "full",
    background: Annotated[bool, typer.Option(hidden=True)] = False,
) -> None:
    """Start everything on this machine: servers, vendor sandbox, workers and API; stop it with Ctrl-C."""
    from sandbox.stack import StackOptions
    from sandbox.stack_console import run_stack, start_detached
    from sandbox.stack_state import find_data_directory

    asked = {
        "api": api_port,
        "temporal": temporal_port,
        "temporal_ui": temporal_ui_port,
        "valkey": valkey_port,
        "sandbox": sandbox_port,
    }
    ports = {name: port for name, port in asked.items() if port is not None}
    options = StackOptions(
        workers=workers,
        api=with_api,
        vendors=with_vendors,
        seed=seed,
        ports=ports,
        temporal_synchronous=temporal_synchronous,
    )
    directory = find_data_directory(data)
    if detach:
        start_detached(directory, options)
    else:
        asyncio.run(run_stack(directory, options, background=background))
        _leave(0)


@app.command()
def down(data: Data = None) -> None:
    """Stop the stack that `up` started, wherever it runs."""
    from sandbox.stack_console import stop_detached
    from sandbox.stack_state import find_data_directory

    stop_detached(find_data_directory(data))


@app.command()
def status(data: Data = None) -> None:
    """Show the parts of the running stack; exits 1 if none runs."""
    from sandbox.stack_console import show_status
    from sandbox.stack_state import find_data_directory

    if not show_status(find_data_directory(data)):
        raise typer.Exit(1)


@app.command()
def api() -> None:
    """Serve the HTTP API."""
    settings = _settings()

    from api.serve import serve

    serve(settings)
    _leave(0)


@app.command()
def worker() -> None:
    """Run the Temporal workers, and a relay; SIGTERM lets activities finish first."""
    settings = _settings()

    from workers.main import run_worker

    _run(settings, run_worker)


@app.command()
def relay() -> None:
    """Run a relay alone, which publishes events; one of all relays is active, workers' among them."""
    settings = _settings()

    from workers.relay import run_relay

    _run(settings, run_relay)


def _run(settings: Settings, process: Callable[[Settings], Coroutine[None, None, None]]) -> NoReturn:
    import uvloop

    from schema.logging import configure_logging

    configure_logging(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_told(process(settings)))
    _leave(0)


async def _until_told(process: Coroutine[None, None, None]) -> None:
    running = asyncio.create_task(process)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, running.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await running


@app.command()
def migrate(to: Annotated[str, typer.Option(help="A revision, `head` or `base`.", metavar="REV")] = "head") -> None:
    """Bring the database to a revision of the schema."""
    settings = _settings()

    from alembic.util import CommandError

    from store.migrate import migrate as migrate_database

    try:
        migrate_database(str(settings.database_url), to)
    except CommandError as error:
        _fail(str(error))


@app.command()
def bootstrap(
    retention_days: Annotated[int, typer.Option(min=1, help="How long Temporal keeps closed workflows.")] = 30,
) -> None:
    """Prepare Temporal: namespace, search attributes, schedules. Does nothing where nothing is missing."""
    settings = _settings()

    from workers.bootstrap import BootstrapError
    from workers.bootstrap import bootstrap as bootstrap_temporal

    try:
        asyncio.run(bootstrap_temporal(settings, retention_days=retention_days))
    except BootstrapError as error:
        _fail(str(error))
    typer.echo("Temporal is prepared")
    _leave(0)


@app.command()
def sandbox(
    host: Annotated[str, typer.Option(envvar="TRAVELHUB_SANDBOX_HOST")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, envvar="TRAVELHUB_SANDBOX_PORT")] = 8090,
    seed: Annotated[int, typer.Option(envvar="TRAVELHUB_SANDBOX_SEED", help="Same seed, same content.")] = 1,
    database: Annotated[
        Path | None,
        typer.Option(
            envvar="TRAVELHUB_SANDBOX_DATABASE", help="Keeps the vendors' books; without it they are forgotten."
        ),
    ] = None,
    hold_s: Annotated[float, typer.Option(envvar="TRAVELHUB_SANDBOX_HOLD_S", help="How long holds live.")] = 1800,
    offer_ttl_s: Annotated[
        float, typer.Option(envvar="TRAVELHUB_SANDBOX_OFFER_TTL_S", help="How long offers live.")
    ] = 1800,
) -> None:
    """Serve the simulated vendors."""
    from sandbox.app import run

    run(host, port, seed, database, hold_s=hold_s, offer_ttl_s=offer_ttl_s)


@app.command()
def demo(as_json: Json = False) -> None:
    """Book trips on the embedded stack, break things on the way, and check the books."""
    from sandbox.demo import run_demo

    _leave(run_demo(as_json))


@app.command()
def audit(as_json: Json = False, data: Data = None) -> None:
    """Check every invariant on a live system: the one the settings name, else the embedded stack."""
    settings = _settings_or_stack(data)

    from workers.audit import run_audit

    _leave(run_audit(settings, as_json))


@app.command()
def reconcile(as_json: Json = False, data: Data = None) -> None:
    """Compare our books with each vendor's own, now; repair what is safe, and report."""
    settings = _settings_or_stack(data)

    from workers.reconcile import run_reconcile

    _leave(run_reconcile(settings, as_json))


suppliers_app = typer.Typer()
app.add_typer(suppliers_app, name="suppliers", invoke_without_command=True)


@suppliers_app.callback()
def suppliers(context: typer.Context, as_json: Json = False, data: Data = None) -> None:
    """Show every supplier: configuration, circuit, quota and what it can do."""
    if context.invoked_subcommand is not None:
        return
    settings = _settings_or_stack(data)

    from workers.suppliers import run_suppliers

    _leave(run_suppliers(settings, as_json))


@suppliers_app.command("check")
def check_suppliers(as_json: Json = False, data: Data = None) -> None:
    """Make one harmless call to each configured supplier and say what is wrong; exits 1 if anything is."""
    settings = _settings_or_stack(data)

    from workers.suppliers import run_check

    _leave(run_check(settings, as_json))


def _settings() -> Settings:
    from schema.settings import Settings

    return Settings.load()


def _settings_or_stack(data: Path | None) -> Settings:
    if "TRAVELHUB_DATABASE_URL" in os.environ:
        return _settings()
    from sandbox.stack_state import StackState, find_data_directory

    return StackState.load_running(find_data_directory(data)).settings()


def _desk(data: Path | None) -> tuple[str, str]:
    """Address of the API and an operator's token: from the environment, else of the embedded stack."""
    url, token = os.environ.get("TRAVELHUB_API_URL"), os.environ.get("TRAVELHUB_TOKEN")
    if url is None:
        from sandbox.stack_state import StackState, find_data_directory

        state = StackState.load_running(find_data_directory(data))
        return state.api_url, token or state.tokens.operator
    if token is None:
        _fail("TRAVELHUB_TOKEN is missing: an operator's token for the API at TRAVELHUB_API_URL")
    return url, token


app.add_typer(cases_app, name="cases", context_settings={"obj": _desk})
app.add_typer(dead_letters_app, name="dead-letters", context_settings={"obj": _desk})
app.add_typer(notifications_app, name="notifications")


def _fail(message: str) -> NoReturn:
    typer.echo(f"travelhub: {message}", err=True)
    _leave(1)


def _leave(code: int) -> NoReturn:
    """Ends without taking the interpreter down piece by piece, which threads of Temporal's core do not always survive."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main() -> None:
    """The entry point. What a user can mend is told in words; a traceback is for what we got wrong."""
    try:
        app()
    except Exception as error:
        told = _in_words(error)
        if told is None:
            raise
        code, message = told
        typer.echo(f"travelhub: {message}", err=True)
        _leave(code)


def _in_words(error: Exception) -> tuple[int, str] | None:
    """Exit code and message: 2 for settings, 1 for what the surroundings refuse; None for a fault of ours."""
    from sandbox.supervisor import StackError
    from schema.settings import SettingsError

    if isinstance(error, SettingsError):
        return 2, str(error)
    if isinstance(error, (StackError, OSError)):
        return 1, str(error)
    if "sqlalchemy" in sys.modules:
        from sqlalchemy.exc import OperationalError

        if isinstance(error, OperationalError):
            return 1, f"the database cannot be used: {error.orig}"
    return None


if __name__ == "__main__":
    main()
