"""The commands below `travelhub cases`. What they need of the house is imported when one of them runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import typer

if TYPE_CHECKING:
    from workers.desk import DeskTerminal
    from workers.desk_client import Desk

cases_app = typer.Typer(help="Show what waits for an operator, and decide it.", invoke_without_command=True)

Data = Annotated[
    Path | None,
    typer.Option(envvar="TRAVELHUB_DATA", help="Where the embedded stack keeps its data.", show_default=".travelhub"),
]
Json = Annotated[bool, typer.Option("--json", help="One machine-readable report instead of text.")]
Case = Annotated[str, typer.Argument(metavar="CASE", help="Its id, as the list shows it.")]
Action = Literal["retry", "confirmed_at_vendor", "settled_by_hand", "write_off"]


@cases_app.callback()
def cases(context: typer.Context, as_json: Json = False, data: Data = None) -> None:
    """Show what waits for an operator, and decide it."""
    if context.invoked_subcommand is None:
        _show(context, {}, as_json, data)


@cases_app.command("list")
def list_cases(
    context: typer.Context,
    state: Annotated[Literal["open", "resolved", "all"], typer.Option()] = "open",
    reason: Annotated[str | None, typer.Option(help="A part of it.")] = None,
    vendor: Annotated[str | None, typer.Option(help="At which something may be left.")] = None,
    older_than_s: Annotated[int | None, typer.Option(min=0, metavar="SECONDS")] = None,
    min_amount_minor: Annotated[int | None, typer.Option(min=0, help="Cents, pence, whole yen.")] = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Show the cases, oldest first."""
    asked = {
        "state": None if state == "open" else state,
        "reason": reason,
        "vendor": vendor,
        "older_than_s": older_than_s,
        "min_amount_minor": min_amount_minor,
    }
    _show(context, {name: str(value) for name, value in asked.items() if value is not None}, as_json, data)


@cases_app.command("show")
def show(context: typer.Context, case_id: Case, as_json: Json = False, data: Data = None) -> None:
    """Tell everything about one case: what happened, what may be left at vendors, where to see it."""
    with _terminal(context, data) as terminal:
        terminal.show_case(case_id, as_json)


@cases_app.command("resolve")
def resolve(
    context: typer.Context,
    case_id: Case,
    action: Annotated[Action, typer.Argument(metavar="ACTION", help=", ".join(Action.__args__))],
    note: Annotated[str, typer.Option(help="Why. Kept for good: nobody's personal data.")],
    reference: Annotated[str | None, typer.Option(help="Which effect, where there are several.")] = None,
    provider_reference: Annotated[str | None, typer.Option(help="The vendor's, of what is confirmed there.")] = None,
    data: Data = None,
) -> None:
    """Decide a case; what waits for the decision goes on. A large write-off needs a second operator's."""
    said = {"action": action, "note": note, "reference": reference, "provider_reference": provider_reference}
    with _terminal(context, data) as terminal:
        terminal.resolve_case(case_id, {name: value for name, value in said.items() if value is not None})


def _show(context: typer.Context, wanted: dict[str, str], as_json: bool, data: Path | None) -> None:
    with _terminal(context, data) as terminal:
        terminal.show_cases(wanted, as_json)


@contextmanager
def _terminal(context: typer.Context, data: Path | None) -> Iterator[DeskTerminal]:
    from workers.desk import DeskTerminal  # noqa: PLC0415  # heavy, and `--help` is to be at once there

    with at_desk(context, data) as desk:
        yield DeskTerminal(desk)


@contextmanager
def at_desk(context: typer.Context, data: Path | None) -> Iterator[Desk]:
    """At the API, and with the token, that whoever registered these commands finds. A DeskError is told in words and exits 1."""
    from workers.desk_client import DeskError, open_desk  # noqa: PLC0415  # heavy, and `--help` is to be at once there

    find = cast("Callable[[Path | None], tuple[str, str]]", context.obj)
    try:
        with open_desk(*find(data)) as desk:
            yield desk
    except DeskError as error:
        typer.echo(f"travelhub: {error}", err=True)
        raise typer.Exit(1) from None
