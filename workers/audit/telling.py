"""Invariant 9: every notice at most once, as far as its vendor allows it, and never of a state that was not durable."""

from collections import defaultdict
from collections.abc import Iterator

from schema.notifications import SAFETY
from store.audited_notices import AuditedNotice
from workers.audit.evidence import Evidence, VendorNotice
from workers.audit.findings import Finding

_NOT_TOLD = ("planned", "skipped")
_TOLD = ("sent", "delivered")


def told_once_and_never_early(evidence: Evidence) -> Finding:
    """By the vendors' own books, where they are at hand, each message belongs to a row that was written before it."""
    finding = Finding(9, "each notice is told at most once by each channel, and never before its state is durable")
    seen: defaultdict[str | None, list[VendorNotice]] = defaultdict(list)
    for message in evidence.vendors.notices or ():
        seen[message.notification_id].append(message)
    looked = evidence.vendors.notices is not None
    for notice in evidence.ours.notices:
        finding.checked += 1
        messages = seen.pop(notice.notification_id, [])
        too_new = evidence.vendors_read_at is not None and notice.tried_since(evidence.vendors_read_at)
        for problem in _problems(notice, messages, looked=looked and not too_new):
            finding.broken(notice.booking_id, f"{notice.kind} {notice.revision} by {notice.channel}: {problem}")
    if evidence.whole:
        for message in (one for messages in seen.values() for one in messages):
            finding.broken(None, f"{message.vendor} has taken {message.object_id}, which is not in our books")
    return finding


def _problems(notice: AuditedNotice, messages: list[VendorNotice], *, looked: bool) -> Iterator[str]:
    if notice.durable_at is None:
        yield "it tells of a state that was never recorded"
    elif notice.durable_at > notice.created_at:
        yield "it was planned before its state was recorded"
    doubled = notice.kind in SAFETY and notice.in_doubt
    if len(messages) > (2 if doubled else 1):
        yield f"{messages[0].vendor} has taken {len(messages)} messages: {', '.join(one.object_id for one in messages)}"
    if messages and notice.state in _NOT_TOLD:
        yield f"it is {notice.state} in our books, and {messages[0].vendor} has {messages[0].object_id}"
    if notice.channel == "live":
        if (notice.state in _TOLD) != (notice.shown is not None):
            yield f"it is {notice.state} in our books, and the feed shows {'nothing' if notice.shown is None else 'it'}"
    elif looked and not messages and notice.state in _TOLD:
        yield f"it is {notice.state} in our books, and its vendor has nothing"
