"""The commands below `travelhub dead-letters`. What they need of the house is imported when one of them runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from workers.desk_commands import Data, Json, at_desk

if TYPE_CHECKING:
    from workers.dead_letters import LetterTerminal

dead_letters_app = typer.Typer(
    help="Show messages that could not be taken, and deal with them.", invoke_without_command=True
)

Letter = Annotated[str, typer.Argument(metavar="LETTER", help="Its id, as the list shows it.")]
Note = Annotated[str, typer.Option(help="Why. Kept for good: nobody's personal data.")]


@dead_letters_app.callback()
def dead_letters(context: typer.Context, as_json: Json = False, data: Data = None) -> None:
    """Show messages that could not be taken, and deal with them."""
    if context.invoked_subcommand is None:
        _show(context, {}, as_json, data)


@dead_letters_app.command("list")
def list_letters(
    context: typer.Context,
    status: Annotated[Literal["waiting", "resolved", "dropped", "all"], typer.Option()] = "waiting",
    vendor: Annotated[str | None, typer.Option(help="Who made the message.")] = None,
    cause: Annotated[str | None, typer.Option(help="Why it could not be taken.")] = None,
    as_json: Json = False,
    data: Data = None,
) -> None:
    """Show the dead letters, oldest first."""
    asked = {"status": None if status == "waiting" else status, "vendor": vendor, "cause": cause}
    _show(context, {name: value for name, value in asked.items() if value is not None}, as_json, data)


@dead_letters_app.command("show")
def show(context: typer.Context, letter_id: Letter, as_json: Json = False, data: Data = None) -> None:
    """Tell everything about one dead letter: what is kept of it, why it failed, what operators did."""
    with _terminal(context, data) as terminal:
        terminal.show_letter(letter_id, as_json)


@dead_letters_app.command("replay")
def replay(context: typer.Context, letter_id: Letter, note: Note = "", data: Data = None) -> None:
    """Hand it over again; exits 1 if it fails again."""
    _deal(context, letter_id, "replay", {"note": note}, data)


@dead_letters_app.command("repair")
def repair(
    context: typer.Context,
    letter_id: Letter,
    payment_id: Annotated[str | None, typer.Option(help="It is about this payment.")] = None,
    booking_id: Annotated[str | None, typer.Option(help="It is about all payments of this booking.")] = None,
    subject: Annotated[str | None, typer.Option(help="It is about what the supplier knows by this id.")] = None,
    note: Note = "",
    data: Data = None,
) -> None:
    """Say what it is about, and hand it over again; exits 1 if it fails again."""
    said = {"payment_id": payment_id, "booking_id": booking_id, "subject": subject, "note": note}
    _deal(context, letter_id, "repair", {name: value for name, value in said.items() if value is not None}, data)


@dead_letters_app.command("drop")
def drop(context: typer.Context, letter_id: Letter, note: Note, data: Data = None) -> None:
    """Put it away: nothing follows from it."""
    _deal(context, letter_id, "drop", {"note": note}, data)


def _show(context: typer.Context, wanted: dict[str, str], as_json: bool, data: Path | None) -> None:
    with _terminal(context, data) as terminal:
        terminal.show_letters(wanted, as_json)


def _deal(context: typer.Context, letter_id: str, action: str, said: dict[str, str], data: Path | None) -> None:
    with _terminal(context, data) as terminal:
        settled = terminal.deal_with(letter_id, action, said)
    if not settled:
        raise typer.Exit(1)


@contextmanager
def _terminal(context: typer.Context, data: Path | None) -> Iterator[LetterTerminal]:
    from workers.dead_letters import LetterTerminal  # noqa: PLC0415  # heavy, and `--help` is to be at once there

    with at_desk(context, data) as desk:
        yield LetterTerminal(desk)
