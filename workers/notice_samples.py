"""Made-up notices of every kind, for the preview and for the test that every template can be filled."""

from datetime import UTC, datetime, timedelta

from activities.notice_content import ChoiceTold, FlightTold, NoticeContent, PartTold
from schema.formatting import At
from schema.money import Money
from schema.notifications import Language, NotificationKind

_LEAVES = datetime(2026, 12, 3, 14, 5, tzinfo=UTC)
_LONDON, _LISBON, _TOKYO = "Europe/London", "Europe/Lisbon", "Asia/Tokyo"


def samples(kind: NotificationKind, language: Language) -> list[NoticeContent]:
    """First with everything in it, then with names as long as they come, then with as little as there may be."""
    full = _full(kind, language)
    long = full.model_copy(
        update={
            "given_name": "Wolfeschlegelsteinhausenbergerdorff-Maximiliana-Alexandrina",
            "destination": "Llanfairpwllgwyngyllgogerychwyrndrobwllllantysiliogogogoch",
            "late_hotels": ["Grand Hotel & Spa Residence <Le Méridien> de la Vieille Ville et du Port"],
        }
    )
    return [full, long, _bare(full)]


def _full(kind: NotificationKind, language: Language) -> NoticeContent:
    delay = timedelta(minutes=85 if kind in ("flight_delayed", "missed_connection") else 0)
    flight = _flight("BA500", "London (LHR)", "Lisbon (LIS)", _LEAVES, 165, delay)
    onward = _flight("TP1687", "Lisbon (LIS)", "Funchal (FNC)", _LEAVES + timedelta(hours=4), 110, timedelta())
    content = NoticeContent(
        kind=kind,
        language=language,
        given_name="花子" if language == "ja" else "Amelia",
        reference="01KB3W9V7M8Q2ZJ5R1T6XN4DCP",
        destination="Lisbon",
        link="https://travelhub.example/trips/itn_01KB3W9V7M8Q2ZJ5R1T6XN4DCP?token=signed",
    )
    return content.model_copy(update=_told(kind, flight, onward))


def _told(kind: NotificationKind, flight: FlightTold, onward: FlightTold) -> dict[str, object]:
    """What belongs to the kind."""
    total = Money(amount_minor=123_450, currency="EUR")
    by_kind: dict[NotificationKind, dict[str, object]] = {
        "booking_confirmed": {"parts": _parts(), "total": total},
        "booking_partially_confirmed": {"parts": _parts(cancelled=True), "total": total},
        "booking_failed": {"reason": "sold_out"},
        "booking_cancelled": {"fee": Money(amount_minor=4_500, currency="EUR")},
        "booking_partially_cancelled": {
            "parts": _parts(cancelled=True),
            "fee": Money(amount_minor=4_500, currency="EUR"),
        },
        "price_changed": {"total": total, "new_total": Money(amount_minor=129_900, currency="EUR")},
        "payment_action_required": {"total": total},
        "trip_changed": {"parts": _parts(cancelled=True)},
        "flight_diverted": {"diverted_to": "Porto (OPO)"},
        "missed_connection": {"next_flight": onward},
        "alternatives_offered": {"choices": _choices(), "choose_until": At(moment=_LEAVES, zone=_LONDON)},
        "rebooked": {
            "new_flight": _flight(
                "TP1351", "London (LHR)", "Lisbon (LIS)", _LEAVES + timedelta(hours=3), 165, timedelta()
            ),
            "total": Money(amount_minor=3_900, currency="EUR"),
        },
    }
    told = by_kind.get(kind, {})
    if kind.startswith(("booking_", "price_", "payment_", "trip_")):
        return told
    shown = flight.model_copy(update={"diverted_to": told.pop("diverted_to", None)})
    late = kind in ("flight_delayed", "flight_cancelled", "flight_diverted", "missed_connection", "schedule_changed")
    return {
        "flight": shown,
        "late_hotels": ["Hotel Avenida Palace"] if late else [],
        "late_cars": ["Renault Clio, Avis"] if late else [],
        **told,
    }


def _bare(full: NoticeContent) -> NoticeContent:
    absent = ("destination", "link", "reason", "total", "fee", "next_flight", "choose_until")
    empty: dict[str, object] = {"parts": [], "late_hotels": [], "late_cars": []}
    nothing = dict.fromkeys(absent) | empty
    for name in ("flight", "new_flight"):
        told: FlightTold | None = getattr(full, name)
        if told is not None:
            unknown = {"terminal": None, "gate": None, "record_locator": None, "diverted_to": None}
            nothing[name] = told.model_copy(update=unknown)
    return full.model_copy(update=nothing)


def _flight(number: str, origin: str, destination: str, leaves: datetime, minutes: int, delay: timedelta) -> FlightTold:
    arrives = leaves + timedelta(minutes=minutes)
    return FlightTold(
        number=number,
        origin=origin,
        destination=destination,
        planned_departure=At(moment=leaves, zone=_LONDON),
        planned_arrival=At(moment=arrives, zone=_LISBON),
        departure=At(moment=leaves + delay, zone=_LONDON),
        arrival=At(moment=arrives + delay, zone=_LISBON),
        delay_minutes=int(delay.total_seconds() // 60),
        terminal="5",
        gate="B36",
        record_locator="X7QK2P",
    )


def _parts(*, cancelled: bool = False) -> list[PartTold]:
    return [
        PartTold(
            kind="flight",
            name="BA500 London (LHR) - Lisbon (LIS)",
            place="",
            starts=At(moment=_LEAVES, zone=_LONDON),
            ends=At(moment=_LEAVES + timedelta(minutes=165), zone=_LISBON),
            reference="X7QK2P",
        ),
        PartTold(
            kind="hotel",
            name="Hotel Avenida Palace (Superior double room, garden view, breakfast included)",
            place="Lisbon",
            starts=At(moment=datetime(2026, 12, 3, 15, tzinfo=UTC), zone=_LISBON),
            ends=At(moment=datetime(2026, 12, 7, 11, tzinfo=UTC), zone=_LISBON),
            reference="9083321776",
        ),
        PartTold(
            kind="car",
            name="Renault Clio (Avis)",
            place="Lisbon Airport (LIS)",
            starts=At(moment=datetime(2026, 12, 3, 18, tzinfo=UTC), zone=_LISBON),
            ends=At(moment=datetime(2026, 12, 7, 10, tzinfo=UTC), zone=_LISBON),
            reference=None,
            cancelled=cancelled,
        ),
    ]


def _choices() -> list[ChoiceTold]:
    routes = (
        ("TP1351 London (LHR) - Lisbon (LIS)", 3, 3_900),
        ("IB3163 + IB3106 London (LHR) - Madrid (MAD) - Lisbon (LIS)", 5, 0),
        ("LH901 + LH1172 London (LHR) - Frankfurt (FRA) - Lisbon (LIS)", 8, -2_150),
    )
    return [
        ChoiceTold(
            number=number,
            flights=flights,
            departure=At(moment=_LEAVES + timedelta(hours=hours), zone=_LONDON),
            arrival=At(moment=_LEAVES + timedelta(hours=hours + 3), zone=_LISBON),
            difference=Money(amount_minor=amount_minor, currency="EUR"),
            arrives_later_minutes=hours * 60,
        )
        for number, (flights, hours, amount_minor) in enumerate(routes, 1)
    ]
