"""The tables of the reconciliation: its runs, how far each list was read, and what was found."""

from sqlalchemy import BigInteger, Column, ForeignKey, Identity, Index, Table, Text, text

from schema.tables.columns import json, metadata, moment, now

reconciliation_runs = Table(
    "reconciliation_runs",
    metadata,
    Column("id", Text, primary_key=True),
    Column("started_by", Text, nullable=False),
    now("started_at"),
    moment("ended_at"),
    json("streams", default="[]"),
    Index("ix_reconciliation_runs_started_at", "started_at"),
)
"""`streams`: how far each vendor's list was read, what was on it, and what could not be checked."""

reconciliation_watermarks = Table(
    "reconciliation_watermarks",
    metadata,
    Column("stream", Text, primary_key=True),
    moment("read_until", nullable=False),
)
"""Up to when each list has been read to its end."""

reconciliation_findings = Table(
    "reconciliation_findings",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("run_id", Text, ForeignKey("reconciliation_runs.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("vendor", Text, nullable=False),
    Column("object_id", Text, nullable=False),
    Column("booking_id", Text, nullable=False),
    Column("reference", Text),
    Column("outcome", Text),
    now("found_at"),
    now("updated_at"),
    Index("ix_reconciliation_findings_run_id", "run_id"),
    Index("ix_reconciliation_findings_booking_id", "booking_id"),
    Index(
        "ix_reconciliation_findings_once",
        "booking_id",
        "kind",
        "vendor",
        "object_id",
        unique=True,
        postgresql_where=text("outcome IS NULL OR outcome NOT IN ('repaired', 'unfounded')"),
    ),
    Index(
        "ix_reconciliation_findings_open",
        "booking_id",
        postgresql_where=text("outcome IS NULL OR outcome IN ('waiting', 'case')"),
    ),
)
"""`outcome` NULL: not looked at again yet. `booking_id` may be of a booking that our books do not have."""
