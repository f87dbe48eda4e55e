"""Invariant 18: no card data and no readable personal data in what we keep and what Temporal keeps.

A traveller's name is compared as it is written, in whole words, and not where the trip's own names (a hotel, a city) have the
same word. Nothing that is found is ever shown: a finding says what kind of thing is where.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

import orjson

from store.audit import AuditedNote
from workers.audit.evidence import Dossier, Evidence
from workers.audit.findings import Finding

_DIGITS: Final = re.compile(
    r"(?<![\w.+-])(?=[2-6])(?:\d{13,19}|\d{4}(?:[ -]\d{4}){3}(?:[ -]\d{1,3})?|\d{4}[ -]\d{6}[ -]\d{5})(?![\w-])"
)
"""Cards begin with 2 to 6, which moments in microseconds and most suppliers' ids do not; in one run, or as printed on a card."""
_EMAIL: Final = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[A-Za-z]{2,}")
_PHONE: Final = re.compile(r"(?<![\w+])\+[1-9]\d{6,14}(?!\d)")
_FIELD: Final = re.compile(r'"(?:given_name|family_name|date_of_birth|phone_number|email)"\s*:')
_WORD: Final = re.compile(r"\w+")
_SHORTEST_NAME: Final = 3
"""Shorter family names are words of too many languages to be looked for alone."""


def nothing_personal(evidence: Evidence) -> Finding:
    """Reads every text we keep beside the travellers' own row, and the histories of a sample."""
    finding = Finding(
        18, "no card data and no personal data in ledger, events, attempts, cases, notes, notices and histories"
    )
    for dossier in evidence.dossiers:
        names = _names(dossier)
        known = {attempt.provider_reference for attempt in dossier.attempts}
        for place, text in _texts(dossier):
            finding.checked += 1
            for kind in sorted(_kinds(text, names, known)):
                finding.broken(dossier.booking_id, f"{kind} in {place}")
    for note in evidence.nobodys_notes():
        finding.checked += 1
        for kind in sorted(_kinds(note.text, None, set())):
            finding.broken(None, f"{kind} in {_place(note)}")
    return finding


def _texts(dossier: Dossier) -> Iterator[tuple[str, str]]:
    booking = dossier.booking
    yield "the booking", f"{booking.reason or ''}\n{booking.waiting_for or ''}"
    for event in dossier.events:
        yield f"event {event.version}", _json(event.data)
    for notice in dossier.notices:
        told = f"{notice.reason or ''}\n{_json(notice.attempts)}\n{_json(notice.shown)}"
        yield f"the notice {notice.notification_id}", told
    for attempt in dossier.attempts:
        yield f"the outcome of {attempt.key}", _json(attempt.outcome)
    for payment in dossier.payments.values():
        yield payment.payment_id, payment.failure or ""
    for entry in dossier.entries:
        yield f"the ledger entry {entry.effect_key}", f"{entry.effect_key}\n{entry.account}"
    for case in dossier.cases:
        yield f"case {case.case_id}", f"{case.reason}\n{_json(case.effects)}\n{_json(case.resolution)}"
    for note in dossier.notes:
        yield _place(note), note.text
    for answer in dossier.answers:
        for text in answer.texts:
            yield f"the history of {answer.workflow_id}", text


def _place(note: AuditedNote) -> str:
    return f"an operator's note about {note.about} ({note.key})"


def _json(value: object) -> str:
    return orjson.dumps(value).decode() if value is not None else ""


def _names(dossier: Dossier) -> re.Pattern[str] | None:
    """Family names that are no word of the trip itself, and full names in any case."""
    of_the_trip = {word for item in dossier.items.values() for word in _WORD.findall(item.words)}
    patterns: set[str] = set()
    for person in dossier.travellers:
        given, family = (str(person.get(part, "")).strip() for part in ("given_name", "family_name"))
        if len(family) >= _SHORTEST_NAME and not set(_WORD.findall(family)) & of_the_trip:
            patterns.add(re.escape(family))
        if given and family:
            patterns.add(rf"{re.escape(given)}\W{{1,3}}{re.escape(family)}")
            patterns.add(rf"{re.escape(family)}\W{{1,3}}{re.escape(given)}")
        digits = re.sub(r"\D", "", str(person.get("phone_number", "")))
        if digits:
            patterns.add(digits)
    return re.compile(rf"\b(?:{'|'.join(sorted(patterns))})\b") if patterns else None


def _kinds(text: str, names: re.Pattern[str] | None, known: set[str | None]) -> set[str]:
    found: set[str] = set()
    if any(_is_card(number) for number in _DIGITS.findall(text) if number not in known):
        found.add("a card number")
    if "@" in text and _EMAIL.search(text):
        found.add("an e-mail address")
    if "+" in text and _PHONE.search(text):
        found.add("a telephone number")
    if _FIELD.search(text):
        found.add("a field of personal data")
    if names is not None and names.search(text):
        found.add("a traveller's name or number")
    return found


def _is_card(text: str) -> bool:
    """Whether the check digit is right (Luhn)."""
    digits = [int(digit) for digit in re.sub(r"\D", "", text)]
    return _luhn(reversed(digits)) % 10 == 0


def _luhn(digits: Iterable[int]) -> int:
    return sum(digit if place % 2 == 0 else sum(divmod(digit * 2, 10)) for place, digit in enumerate(digits))
