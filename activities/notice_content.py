"""What a notice tells, as the templates see it: read from the books when it is sent. Personal data: it stays in the process."""

from schema.formatting import At
from schema.model import Message
from schema.money import Money
from schema.notifications import Language, NotificationKind


class FlightTold(Message):
    """One flight as it stands."""

    number: str
    """As on a ticket: BA117."""
    origin: str
    """City and code: London (LHR)."""
    destination: str
    planned_departure: At
    planned_arrival: At
    departure: At
    """As expected now."""
    arrival: At
    delay_minutes: int = 0
    terminal: str | None = None
    gate: str | None = None
    diverted_to: str | None = None
    record_locator: str | None = None


class PartTold(Message):
    """One line of the trip: a flight, a stay, a rental."""

    kind: str
    name: str
    place: str
    starts: At
    ends: At
    reference: str | None
    cancelled: bool = False


class ChoiceTold(Message):
    """One way on."""

    number: int
    flights: str
    departure: At
    arrival: At
    difference: Money
    arrives_later_minutes: int


class NoticeContent(Message):
    """Everything a template may say; what is None or empty it leaves out."""

    kind: NotificationKind
    language: Language
    given_name: str
    reference: str
    """The booking's id, for calls to us."""
    destination: str | None = None
    """Where the trip goes, in words."""
    total: Money | None = None
    new_total: Money | None = None
    """What it would cost now."""
    fee: Money | None = None
    reason: str | None = None
    """A code of schema/errors.py."""
    parts: list[PartTold] = []
    flight: FlightTold | None = None
    next_flight: FlightTold | None = None
    """The one that is missed."""
    new_flight: FlightTold | None = None
    """The one that was booked instead."""
    late_hotels: list[str] = []
    late_cars: list[str] = []
    choices: list[ChoiceTold] = []
    choose_until: At | None = None
    link: str | None = None
