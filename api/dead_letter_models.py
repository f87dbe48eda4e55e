"""Dead letters as operators see them, and what operators send about them. An unknown field is an error; every text has a limit."""

from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from api.models import BOOKING_ID_PATTERN, PAYMENT_ID_PATTERN
from schema.dead_letters import DeadLetter, Status, Target
from schema.model import ClientMessage, Message
from store.dead_letters import LetterPage, RecordedAction
from store.desk import Kind

LETTER_ID_PATTERN = "^dl_[0-7][0-9A-HJKMNP-TV-Z]{25}$"
_WORD = r"^[a-z0-9_]{1,60}$"
_Note = Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")]


class LettersQuery(ClientMessage):
    """Which letters, oldest first; what is not given does not matter."""

    status: Literal["waiting", "resolved", "dropped", "all"] = "waiting"
    kind: Annotated[str, Field(pattern=_WORD, examples=["webhook"])] | None = None
    vendor: Annotated[str, Field(pattern=_WORD, examples=["stripe"])] | None = None
    cause: Annotated[str, Field(pattern=_WORD, examples=["never_owned"])] | None = None
    limit: Annotated[int, Field(ge=1, le=200)] = 50
    cursor: Annotated[str, Field(min_length=1, max_length=400, pattern=r"^[A-Za-z0-9_=-]+$")] | None = None
    """`next_cursor` of the page before."""


class LetterReplay(ClientMessage):
    """Hand it over again. The note is kept for good: no personal data."""

    note: _Note = ""


class LetterRepair(ClientMessage):
    """What the message is about, as far as that could not be read: exactly one. The note is kept for good: no personal data."""

    payment_id: Annotated[str, Field(pattern=PAYMENT_ID_PATTERN)] | None = None
    booking_id: Annotated[str, Field(pattern=BOOKING_ID_PATTERN)] | None = None
    """All payments of the booking."""
    subject: Annotated[str, Field(pattern=r"^[!-~]{1,255}$", examples=["ord_0000A3tQcCRZ9R8OY0QlxA"])] | None = None
    """The supplier's id of what has changed there, for a supplier's message."""
    note: _Note = ""

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if len(self.target().model_dump(exclude_none=True)) != 1:
            raise ValueError("name one of payment_id, booking_id and subject")
        return self

    def target(self) -> Target:
        return Target(booking_id=self.booking_id, payment_id=self.payment_id, subject=self.subject)


class LetterDrop(ClientMessage):
    """Nothing follows from it. The note says why, and is kept for good: no personal data."""

    note: Annotated[str, Field(min_length=1, max_length=2000, pattern=r"^[^\x00]+$")]


class DeadLetterView(Message):
    """A message that could not be taken. Of what it said only the ids are kept; the vendor shows the event under `event_id`."""

    dead_letter_id: str
    kind: str
    vendor: str
    event_id: str
    """The vendor's; of a message without a usable one, `sha256:` and the hash of its body."""
    type: str | None
    booking_id: str | None
    payment_id: str | None
    subject: str | None
    """The supplier's id of what has changed there; of a notification, its own id."""
    cause: str = Field(
        description="`unreadable`, `unusable_ids`, `never_owned`, `vendor_contract_broken`, `handing_over_failed`, "
        "`not_taken`; more may come"
    )
    detail: str
    failures: int
    first_failed_at: datetime
    last_failed_at: datetime
    status: Status
    settled_at: datetime | None

    @classmethod
    def of(cls, letter: DeadLetter) -> Self:
        return cls.model_validate(letter.model_dump() | {"dead_letter_id": letter.letter_id})


class DeadLetterList(Message):
    """A page of dead letters."""

    dead_letters: list[DeadLetterView]
    next_cursor: str | None

    @classmethod
    def of(cls, page: LetterPage) -> Self:
        letters = [DeadLetterView.of(letter) for letter in page.letters]
        return cls(dead_letters=letters, next_cursor=page.next_cursor)


class DeadLetterActionView(Message):
    """A line of the desk's record."""

    kind: Kind
    """`decided`: begun. `refused`: it failed again. `closed`: the letter is settled with it."""
    operator: str
    action: Literal["replay", "repair", "drop"]
    reference: str | None
    """What a repair said that the message is about."""
    note: str
    created_at: datetime


class DeadLetterDetail(DeadLetterView):
    """A dead letter, and what operators did about it, oldest first."""

    actions: list[DeadLetterActionView]

    @classmethod
    def with_record(cls, letter: DeadLetter, record: list[RecordedAction]) -> Self:
        actions = [DeadLetterActionView.model_validate(line.model_dump()) for line in record]
        return cls.model_validate({**DeadLetterView.of(letter).model_dump(), "actions": actions})
