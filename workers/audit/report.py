"""An audit for people, as one table, and for machines, as one JSON document."""

import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from workers.audit.findings import AuditReport, Finding, Violation

_SHOWN_AT_MOST = 50
"""Violations in the table; all of them are in the JSON document."""


def as_json(report: AuditReport) -> str:
    """One document."""
    return orjson.dumps(
        {
            "holds": report.holds,
            "taken_at": report.taken_at.isoformat(),
            "looked_at": report.looked_at,
            "not_looked_at": list(report.notes),
            "invariants": [_as_document(finding) for finding in report.findings],
            "conclusion": conclusion(report),
        },
        option=orjson.OPT_INDENT_2,
    ).decode()


def show(report: AuditReport, console: Console) -> None:
    """What was looked at, how each invariant stands, what is wrong, and a last line that says it all."""
    looked_at = ", ".join(f"{count} {what}" for what, count in report.looked_at.items())
    console.print(Text(f"Looked at {looked_at}."))
    for note in report.notes:
        console.print(Text(f"Not looked at: {note}."))
    table = Table("", "invariant", "checked", "", title_justify="left")
    for finding in report.findings:
        table.add_row(str(finding.number), finding.title, str(finding.checked), _verdict(finding))
    console.print(table)
    for violation in report.violations[:_SHOWN_AT_MOST]:
        console.print(Text(_sentence(violation), style="red"), soft_wrap=True)
    if len(report.violations) > _SHOWN_AT_MOST:
        console.print(Text(f"... and {len(report.violations) - _SHOWN_AT_MOST} more; see --json"))
    for finding in report.findings:
        for violation in finding.excused:
            console.print(
                Text(f"borne, by an operator's decision: {_sentence(violation)}", style="yellow"), soft_wrap=True
            )
    console.print(Text(conclusion(report), style="bold green" if report.holds else "bold red"))


def conclusion(report: AuditReport) -> str:
    """The last line, for somebody who reads nothing else."""
    bookings = report.looked_at["bookings"]
    checked = [finding for finding in report.findings if finding.not_checked is None]
    if report.holds:
        return f"The books agree: {len(checked)} invariants hold over {bookings} bookings."
    broken = sorted(report.broken())
    ids = {violation.booking_id for violation in report.violations}
    return (
        f"THE BOOKS DO NOT AGREE: {_counted(len(report.violations), 'violation')} of "
        f"{_counted(len(broken), 'invariant')} ({', '.join(map(str, broken))}) in {len(ids)} of {bookings} bookings."
    )


def _counted(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _verdict(finding: Finding) -> Text:
    if finding.violations:
        return Text(f"{len(finding.violations)} broken", style="bold red")
    if finding.not_checked is not None:
        return Text(f"not checked: {finding.not_checked}", style="yellow")
    if finding.excused:
        return Text(f"holds, {len(finding.excused)} borne", style="yellow")
    return Text("holds", style="green") if finding.checked else Text("nothing to check", style="dim")


def _sentence(violation: Violation) -> str:
    return f"[{violation.invariant}] {violation.booking_id or 'no booking of ours'}: {violation.text}"


def _as_document(finding: Finding) -> dict[str, object]:
    def listed(violations: list[Violation]) -> list[dict[str, str | None]]:
        return [{"booking_id": violation.booking_id, "text": violation.text} for violation in violations]

    return {
        "number": finding.number,
        "title": finding.title,
        "checked": finding.checked,
        "holds": not finding.violations,
        "violations": listed(finding.violations),
        "borne": listed(finding.excused),
        "not_checked": finding.not_checked,
    }
