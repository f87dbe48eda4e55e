"""`travelhub notifications preview`: every notice with made-up data, as files to open in a browser."""

from collections.abc import Iterable
from html import escape
from pathlib import Path
from typing import Final, get_args

from activities.rendering import Rendered, render
from schema.notifications import Language, NotificationKind
from workers.notice_samples import samples

KINDS: Final[tuple[NotificationKind, ...]] = get_args(NotificationKind)
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)
_VARIANTS: Final = ("", "-long", "-bare")
_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .5rem .75rem .5rem 0; border-bottom: 1px solid #8886; }
td { overflow-wrap: anywhere; }
small { opacity: .7; }
"""


def write_preview(folder: Path, languages: Iterable[Language], kinds: Iterable[NotificationKind]) -> Path:
    """Writes them below the folder, and returns the page that lists them."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = list(kinds)
    sections: list[str] = []
    for language in languages:
        (folder / language).mkdir(exist_ok=True)
        rows = [_row(folder, language, kind) for kind in wanted]
        sections.append(f'<h2>{language}</h2>\n<table lang="{language}">\n{"".join(rows)}</table>')
    index = folder / "index.html"
    index.write_text(
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>Notifications</title>\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>\n'
        f"<body><h1>Notifications</h1>\n{''.join(sections)}\n</body></html>\n",
        encoding="utf-8",
    )
    return index


def _row(folder: Path, language: Language, kind: NotificationKind) -> str:
    links: list[str] = []
    shown: Rendered | None = None
    for variant, content in zip(_VARIANTS, samples(kind, language), strict=True):
        rendered = render(content)
        shown = shown or rendered
        for suffix, text in (("html", rendered.html), ("txt", f"Subject: {rendered.subject}\n\n{rendered.text}")):
            name = f"{language}/{kind}{variant}.{suffix}"
            (folder / name).write_text(text, encoding="utf-8")
            links.append(f'<a href="{name}">{(variant[1:] or "full")} {suffix}</a>')
    assert shown is not None, "there are samples of every kind"
    return (
        f"<tr><th scope=row>{kind}<br><small>{' · '.join(links)}</small></th>"
        f"<td><b>{escape(shown.title)}</b><br>{escape(shown.line)}<br><small>SMS, {len(shown.sms)} characters: "
        f"{escape(shown.sms)}</small></td></tr>\n"
    )
