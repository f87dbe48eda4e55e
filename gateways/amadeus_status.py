"""How a flight stands, asked of Amadeus. Source: vendor-specs/amadeus/OnDemandFlightStatus_v2.json, vendor-specs/README.md section 3.

The contract has no word for a flight's state and none for when it was known, so both are derived:

    arrived     there is an ATA where the ticket ends
    diverted    the aircraft's leg from here ends where no ticket from here does, and no arrival was scheduled
    cancelled   tickets from here are listed, but no aircraft (`legs` is there and has none from here), and nothing else is said
    departed    there is an ATD
    said_at     when we asked: nothing in the answer is younger

A diversion that has landed stays `diverted`, since it did not arrive where it was sold to. What cancelled looks like was never seen
live.
"""

from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlencode

from gateways.amadeus_wire import VENDOR, AmadeusWire, document_of, may_repeat
from gateways.fields import Fields
from gateways.http import VendorHttp
from gateways.parts import Parts
from schema.flights import FlightId, FlightNews, FlightPoint, Phase
from schema.zones import zone_of

PATH = "/v2/schedule/flights"
NOT_FOUND = 404


class AmadeusStatus:
    """The port `FlightStatusSource`."""

    def __init__(self, http: VendorHttp, client_id: str, client_secret: str) -> None:
        self._wire = AmadeusWire(http, client_id, client_secret)

    @property
    def code(self) -> str:
        return VENDOR

    async def status(self, flight: FlightId, correlation_id: str) -> FlightNews | None:
        """GET /v2/schedule/flights; the leg that leaves `flight.origin`. With a search's priority: bookings go first.

        The contract dates a flight by its first departure. One that calls at the origin after midnight is of the day before there.
        """
        asked_at = datetime.now(UTC)
        for on in (flight.on, flight.on - timedelta(days=1)):
            found = await self._dated(flight, on, correlation_id)
            if found is None:
                return None
            if _leaves_on(found, flight):
                return _news(found, flight, asked_at)
        return None

    async def _dated(self, flight: FlightId, on: date, correlation_id: str) -> Fields | None:
        call = self._wire.http.searching("flight_status", correlation_id)
        answer = await self._wire.read(call, f"{PATH}?{urlencode(_question(flight, on))}")
        if answer.status == NOT_FOUND:
            return None
        flights = document_of(answer, "flight status").objects("data")
        return next((one for one in flights if _point(one, flight.origin, "departure") is not None), None)


def _question(flight: FlightId, on: date) -> dict[str, str]:
    digits = flight.number.rstrip("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    suffix = flight.number.removeprefix(digits)
    return {
        "carrierCode": flight.carrier,
        "flightNumber": digits,
        "scheduledDepartureDate": on.isoformat(),
        **({"operationalSuffix": suffix} if suffix else {}),
    }


def _leaves_on(dated: Fields, flight: FlightId) -> bool:
    """Whether this is the flight of that day. Of its first departure the contract says so, whatever the schedule became since."""
    points = dated.objects("flightPoints")
    if points[0].text_or_none("iataCode") == flight.origin:
        return dated.text_or_none("scheduledDepartureDate") in (flight.on.isoformat(), None)
    scheduled = _times(_point(dated, flight.origin, "departure"), flight.origin).get("STD")
    zone = zone_of(flight.origin)
    return scheduled is not None and zone is not None and scheduled.astimezone(zone).date() == flight.on


def _news(dated: Fields, flight: FlightId, asked_at: datetime) -> FlightNews:
    sold = [part.text("offPointIataCode") for part in _from(dated, "segments", flight.origin) or []]
    legs = _from(dated, "legs", flight.origin)
    flown = legs[0].text("offPointIataCode") if legs else None
    diverted_to = flown if flown and sold and _off_schedule(dated, flown, sold) else None
    ends = _first_of(dated, sold) or flown
    departure = _told(_point(dated, flight.origin, "departure"), flight.origin, "D")
    arrival = _told(_point(dated, ends, "arrival"), ends, "A") if ends else None
    return FlightNews(
        flight=flight,
        source=VENDOR,
        said_at=asked_at,
        phase=_phase(departure, arrival, diverted_to, cancelled=bool(sold) and legs == []),
        departure=departure,
        arrival=arrival,
        diverted_to=diverted_to,
    )


def _off_schedule(dated: Fields, flown: str, sold: list[str]) -> bool:
    """Whether the aircraft goes where nobody was sold to go; a stop on the way to there has a scheduled arrival."""
    return flown not in sold and "STA" not in _times(_point(dated, flown, "arrival"), flown)


def _phase(departure: FlightPoint, arrival: FlightPoint | None, diverted_to: str | None, *, cancelled: bool) -> Phase:
    if arrival is not None and arrival.actual:
        return "arrived"
    if diverted_to:
        return "diverted"
    if departure.actual:
        return "departed"
    return "cancelled" if cancelled and departure.estimated is None else "scheduled"


def _point(dated: Fields, airport: str, side: str) -> Fields | None:
    """What is said of leaving from, or coming to, this airport."""
    for point in dated.objects("flightPoints"):
        if point.text_or_none("iataCode") == airport and (found := point.object_or_none(side)) is not None:
            return found
    return None


def _from(dated: Fields, name: str, origin: str) -> list[Fields] | None:
    """The segments or legs that leave this airport; None where the answer lists none at all, which says nothing."""
    listed = dated.objects_or_none(name)
    return None if listed is None else [one for one in listed if one.text_or_none("boardPointIataCode") == origin]


def _first_of(dated: Fields, sold: list[str]) -> str | None:
    """A through flight is sold to several places: the first where tickets from here end. Points are in the order of the flight."""
    points = [point.text_or_none("iataCode") for point in dated.objects("flightPoints")]
    return next((point for point in points if point in sold), None)


def _told(side: Fields | None, airport: str, letter: str) -> FlightPoint:
    """One end of the leg; `letter` ends its qualifiers, as in STD and STA."""
    times = _times(side, airport)
    terminal = side.object_or_none("terminal") if side else None
    gate = side.object_or_none("gate") if side else None
    return FlightPoint(
        airport=airport,
        scheduled=times.get(f"ST{letter}"),
        estimated=times.get(f"ET{letter}"),
        actual=times.get(f"AT{letter}"),
        terminal=_label(terminal, "code"),
        gate=_label(gate, "mainGate"),
    )


def _times(side: Fields | None, airport: str) -> dict[str, datetime]:
    """Instants by qualifier; of several of one kind the last, which is the newest."""
    timings = (side.objects_or_none("timings") if side else None) or []
    told = ((timing.text_or_none("qualifier"), _instant(timing, airport)) for timing in timings)
    return {qualifier: instant for qualifier, instant in told if qualifier and instant}


def _instant(timing: Fields, airport: str) -> datetime | None:
    """UTC. With an offset as in the contract's example; without one it is by the airport's clock; None for what is neither."""
    value = timing.text_or_none("value")
    try:
        moment = datetime.fromisoformat(value) if value else None
    except ValueError:
        return None
    if moment is None:
        return None
    zone = moment.tzinfo or zone_of(airport)
    return None if zone is None else moment.replace(tzinfo=zone).astimezone(UTC)


def _label(part: Fields | None, name: str) -> str | None:
    """The contract types a terminal as a string, and its example is a number."""
    if part is None:
        return None
    number = part.whole_or_none(name)
    return part.text_or_none(name) if number is None else str(number)


def build(parts: Parts) -> AmadeusStatus | None:
    """From the settings; None without both the client's id and its secret."""
    settings = parts.settings
    if not settings.amadeus_client_id or settings.amadeus_client_secret is None:
        return None
    return AmadeusStatus(
        parts.http(VENDOR, settings.amadeus_url, may_repeat),
        settings.amadeus_client_id,
        settings.amadeus_client_secret.get_secret_value(),
    )
