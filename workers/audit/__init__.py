"""The audit: whether what must never happen has happened, on a live system, from our books and the vendors'."""

import asyncio
import sys

import httpx
from rich.console import Console
from sqlalchemy.exc import SQLAlchemyError

from schema.logging import configure_logging
from schema.settings import Settings
from workers.audit.evidence import Evidence
from workers.audit.findings import AuditReport, Finding, Violation
from workers.audit.gathering import gather
from workers.audit.invariants import INVARIANTS, audit, check
from workers.audit.report import as_json as report_as_json
from workers.audit.report import conclusion, show

__all__ = [
    "INVARIANTS",
    "AuditReport",
    "Evidence",
    "Finding",
    "Violation",
    "audit",
    "check",
    "conclusion",
    "gather",
    "report_as_json",
    "run_audit",
    "show",
]

HOLDS, BROKEN, CANNOT_LOOK = 0, 1, 2


def run_audit(settings: Settings, as_json: bool) -> int:
    """Audits the system of the settings and tells the result on standard output.

    The exit code: 0 if everything that could be checked holds, 1 if anything is broken, 2 if the books cannot be read.
    """
    configure_logging(settings)
    try:
        report = check(asyncio.run(gather(settings)))
    except (SQLAlchemyError, httpx.HTTPError) as error:
        sys.stderr.write(f"travelhub: the books cannot be read: {type(error).__name__}: {_first_line(error)}\n")
        return CANNOT_LOOK
    if as_json:
        sys.stdout.write(report_as_json(report) + "\n")
    else:
        show(report, Console(highlight=False))
    return HOLDS if report.holds else BROKEN


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0]
