"""The commands below `travelhub notifications`. What they need of the house is imported when one of them runs."""

from pathlib import Path
from typing import Annotated

import typer

notifications_app = typer.Typer(help="What travellers are told.", no_args_is_help=True)


@notifications_app.callback()
def notifications() -> None:
    """What travellers are told."""


@notifications_app.command("preview")
def preview(
    language: Annotated[str | None, typer.Option(help="Only this one: en or ja.", show_default="all")] = None,
    kind: Annotated[str | None, typer.Option(help="Only this one, such as flight_delayed.", show_default="all")] = None,
    out: Annotated[Path, typer.Option(help="The folder that is written.")] = Path("notification-preview"),
) -> None:
    """Write every notification with made-up data as files to open in a browser."""
    from schema.notifications import Language, NotificationKind  # noqa: PLC0415  # heavy, as above
    from workers.notice_preview import KINDS, LANGUAGES, write_preview  # noqa: PLC0415  # heavy, as above

    languages: list[Language] = [one for one in LANGUAGES if language is None or language == one]
    kinds: list[NotificationKind] = [one for one in KINDS if kind is None or kind == one]
    if not languages:
        raise typer.BadParameter(f"one of {', '.join(LANGUAGES)} is expected", param_hint="--language")
    if not kinds:
        raise typer.BadParameter(f"one of {', '.join(KINDS)} is expected", param_hint="--kind")
    typer.echo(f"open {write_preview(out, languages, kinds).resolve()}")
