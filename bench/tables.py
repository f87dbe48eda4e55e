"""How figures are shown to a person."""

from rich.table import Table

_WORDS = ("what", "part", "figure", "")


def table_of(title: str, *headings: str) -> Table:
    """Words to the left, numbers to the right."""
    table = Table(title=title, title_justify="left")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in _WORDS else "right")
    return table
