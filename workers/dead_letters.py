"""`travelhub dead-letters`: messages that could not be taken, in a table and in words, and what an operator does about them."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final
from urllib.parse import quote

from pydantic import TypeAdapter
from rich.markup import escape
from rich.table import Table

from schema.model import Message
from workers.desk import console, plain, say, write
from workers.desk_client import Desk

_PATH: Final = "/v1/ops/dead-letters"
_DOCUMENT: TypeAdapter[dict[str, object]] = TypeAdapter(dict[str, object])


class LetterSeen(Message):
    """As `GET /v1/ops/dead-letters` lists it."""

    dead_letter_id: str
    kind: str
    vendor: str
    event_id: str
    type: str | None
    booking_id: str | None
    payment_id: str | None
    subject: str | None
    cause: str
    detail: str
    failures: int
    first_failed_at: datetime
    last_failed_at: datetime
    status: str


class ActionSeen(Message):
    kind: str
    operator: str
    action: str
    reference: str | None
    note: str
    created_at: datetime


class DetailSeen(LetterSeen):
    """As `GET /v1/ops/dead-letters/{id}` tells it."""

    actions: list[ActionSeen]


class LetterTerminal:
    """An operator at a terminal; every method writes to standard output and raises DeskError."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def show_letters(self, wanted: dict[str, str], as_json: bool) -> None:
        """The letters that are wanted, oldest first."""
        found = self._desk.listed(_PATH, "dead_letters", wanted)
        if as_json:
            write({"dead_letters": found})
            return
        letters = [LetterSeen.model_validate(letter) for letter in found]
        if not letters:
            say("there is no such dead letter" if wanted else "no dead letter waits")
            return
        table = Table(box=None, pad_edge=False)
        for title in ("letter", "since", "vendor", "type", "failures", "cause", "about"):
            table.add_column(title, overflow="fold")
        for letter in letters:
            table.add_row(*(escape(plain(text)) for text in _row(letter)))
        console().print(table)

    def show_letter(self, letter_id: str, as_json: bool) -> None:
        """One letter with all that is known of it."""
        found = _DOCUMENT.validate_json(self._desk.call("GET", f"{_PATH}/{quote(letter_id, safe='')}"))
        if as_json:
            write(found)
            return
        for line in _told(DetailSeen.model_validate(found)):
            say(line)

    def deal_with(self, letter_id: str, action: str, said: dict[str, str]) -> bool:
        """Does it and tells what came of it; returns whether the letter is settled."""
        answer = self._desk.call("POST", f"{_PATH}/{quote(letter_id, safe='')}/{action}", body=said)
        letter = LetterSeen.model_validate_json(answer)
        if letter.status == "waiting":
            say(f"waiting: failed {letter.failures} times, now with {letter.cause}: {letter.detail}")
        else:
            say(letter.status)
        return letter.status != "waiting"


def _row(letter: LetterSeen) -> tuple[str, ...]:
    since = f"{letter.first_failed_at:%Y-%m-%d %H:%M}"
    vendor = letter.vendor if letter.kind == "webhook" else f"{letter.vendor} ({letter.kind})"
    return letter.dead_letter_id, since, vendor, letter.type or "-", str(letter.failures), letter.cause, _about(letter)


def _told(letter: DetailSeen) -> Iterator[str]:
    yield f"{letter.dead_letter_id}: {letter.status}; {letter.cause}: {letter.detail}"
    yield f"  {letter.kind} of {letter.vendor}, {letter.type or 'of no readable type'}; at the vendor {letter.event_id}"
    yield f"  about {_about(letter)}"
    moments = f"{letter.first_failed_at:%Y-%m-%d %H:%M:%S} to {letter.last_failed_at:%Y-%m-%d %H:%M:%S}"
    yield f"  failed {letter.failures} times, {moments}"
    yield "What operators did:"
    for action in letter.actions:
        of = "" if action.reference is None else f" to {action.reference}"
        note = f": {action.note}" if action.note else ""
        yield f"  {action.created_at:%Y-%m-%d %H:%M:%S} {action.operator} {action.kind} {action.action}{of}{note}"


def _about(letter: LetterSeen) -> str:
    return letter.payment_id or letter.booking_id or letter.subject or "nobody knows"
