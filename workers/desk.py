"""`travelhub cases`: what waits for an operator, in a table and in words, and the operator's decision."""

import sys
from collections.abc import Iterator

import orjson
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schema.money import Money
from workers.desk_client import ActionSeen, AttemptSeen, CaseSeen, Desk, DetailSeen, EffectSeen, PaymentSeen

_WIDTH_WITHOUT_TERMINAL = 200
_WAITS = {"operator": "an operator", "second_operator": "a second operator"}


class DeskTerminal:
    """An operator at a terminal; every method writes to standard output and raises DeskError."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def show_cases(self, wanted: dict[str, str], as_json: bool) -> None:
        """The cases that are wanted, oldest first."""
        found = self._desk.cases(wanted)
        if as_json:
            write({"cases": found})
            return
        cases = [CaseSeen.model_validate(case) for case in found]
        if not cases:
            say("there is no such case" if wanted else "no case is open")
            return
        table = Table(box=None, pad_edge=False)
        for title in ("case", "age", "outstanding", "waits for", "reason"):
            table.add_column(title, overflow="fold")
        for case in cases:
            table.add_row(*(escape(text) for text in _row(case)))
        console().print(table)

    def show_case(self, case_id: str, as_json: bool) -> None:
        """One case with all that is known of it."""
        found = self._desk.case(case_id)
        if as_json:
            write(found)
            return
        for line in _told(DetailSeen.model_validate(found)):
            say(line)

    def resolve_case(self, case_id: str, decision: dict[str, str]) -> None:
        """Sends the decision and tells what came of it."""
        say(self._desk.resolve(case_id, decision))


def _row(case: CaseSeen) -> tuple[str, ...]:
    return case.case_id, _lasted(case.age_s), _sums(case.outstanding), plain(_waits(case)), plain(case.reason)


def _told(case: DetailSeen) -> Iterator[str]:
    yield f"{case.case_id}: {case.reason}"
    yield f"  {_lasted(case.age_s)} old, waits for {_waits(case)}; {_sums(case.outstanding)} outstanding"
    yield f"  booking {case.booking_id}"
    yield f"  workflow {case.workflow_url}"
    yield "What may be left at vendors:"
    for effect in case.effects:
        yield from _effect(effect)
    yield "What happened to the booking:"
    for event in case.events:
        why = event.data.get("reason")
        yield f"  {event.created_at:%Y-%m-%d %H:%M:%S} {event.state}{f' ({why})' if why else ''}"
    yield "What was asked of vendors:"
    for attempt in case.attempts:
        yield _attempt(attempt)
    yield "Where the money is:"
    for payment in case.payments:
        yield from _payment(payment)
    yield "What operators did:"
    for action in case.actions:
        yield _action(action)


def _effect(effect: EffectSeen) -> Iterator[str]:
    amount = effect.amount or "an unknown amount"
    yield f"  {effect.step} at {effect.vendor}, {amount}: {effect.problem}"
    known = effect.provider_reference or "not known"
    yield f"    --reference {effect.reference}; at the vendor: ours {effect.our_reference}, theirs {known}"
    if effect.vendor_url is not None:
        yield f"    {effect.vendor_url}"


def _attempt(attempt: AttemptSeen) -> str:
    item = "" if attempt.item_no is None else f" item {attempt.item_no}"
    why = "" if attempt.reason is None else f" ({attempt.reason})"
    theirs = "" if attempt.provider_reference is None else f", theirs {attempt.provider_reference}"
    told = f"{attempt.status}{why} after {attempt.tries} calls, ours {attempt.our_reference}{theirs}"
    return f"  {attempt.created_at:%Y-%m-%d %H:%M:%S} {attempt.step}{item} at {attempt.vendor}: {told}"


def _payment(payment: PaymentSeen) -> Iterator[str]:
    why = "" if payment.failure is None else f" ({payment.failure})"
    sums = f"reserved {payment.authorised}, taken {payment.captured}, given back {payment.refunded}"
    yield f"  {payment.payment_id} at {payment.provider}: {payment.state}{why}, {sums}"
    if payment.provider_reference is not None:
        yield f"    theirs {payment.provider_reference} {payment.vendor_url or ''}".rstrip()
    for refund in payment.refunds:
        yield f"    refund of {refund.amount}: {refund.status} {refund.provider_reference or ''}".rstrip()


def _action(action: ActionSeen) -> str:
    of = "" if action.reference is None else f" of {action.reference}"
    agreed = "" if action.proposed_by is None else f", as {action.proposed_by} had proposed"
    told = f"{action.kind} {action.action}{of}{agreed}: {action.note}"
    return f"  {action.created_at:%Y-%m-%d %H:%M:%S} {action.operator} {told}"


def _waits(case: CaseSeen) -> str:
    if case.waiting_for is None:
        return "nobody"
    who = _WAITS.get(case.waiting_for, case.waiting_for)
    if case.proposal is None:
        return who
    return f"{who} beside {case.proposal.operator}, until {case.proposal.expires_at:%Y-%m-%d %H:%M} UTC"


def _sums(amounts: list[Money]) -> str:
    return " + ".join(str(amount) for amount in amounts) or "an unknown amount"


def _lasted(seconds: int) -> str:
    hours, minutes = divmod(seconds // 60, 60)
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if days else f"{hours} h {minutes} min"


def plain(text: str) -> str:
    """What others have written shall not steer the terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def say(line: str) -> None:
    """One line of text, as it is."""
    console().print(plain(line), markup=False, soft_wrap=True)


def console() -> Console:
    """Lines to a file are not cut to the width of a terminal that is not there."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH_WITHOUT_TERMINAL)


def write(document: object) -> None:
    """For machines."""
    sys.stdout.write(orjson.dumps(document).decode() + "\n")
