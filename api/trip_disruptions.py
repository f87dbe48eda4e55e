"""Disruptions as the trip page shows them: what has happened, what it means, and what can be chosen."""

import hashlib
from datetime import datetime
from typing import Final

from api.trip_view import Tone, name_of, named
from api.trip_words import say
from schema.disruptions import Alternative, Disruption, DisruptionState
from schema.formatting import At, length, money
from schema.itineraries import Itinerary, Segment
from schema.model import Message
from schema.notifications import Language
from schema.zones import UTC_NAME, zone, zone_name_of

_TONES: Final[dict[DisruptionState, Tone]] = {"rebooked": "good", "kept": "good", "informed": "off", "failed": "bad"}
_UNTOLD: Final[frozenset[DisruptionState]] = frozenset({"superseded"})


class ChoiceShown(Message):
    """One way on."""

    number: int
    flights: str
    departure: At
    arrival: At
    origin: str
    destination: str
    via: str | None
    cost: str
    cost_tone: Tone
    lateness: str


class DisruptionShown(Message):
    disruption_id: str
    state: DisruptionState
    tone: Tone
    heading: str
    meaning: list[str]
    """Sentences: what became of it, and what it does to the rest of the trip."""
    choose_until: At | None = None
    keep: str = ""
    """To choose none of them, in words."""
    offered: str = ""
    """Names the options as they are now; a choice is only taken for these."""
    choices: list[ChoiceShown] = []


def shown_disruptions(itinerary: Itinerary, disruptions: list[Disruption], language: Language) -> list[DisruptionShown]:
    """Of each flight the newest; those that can be chosen about first, then the newest."""
    newest: dict[int, Disruption] = {}
    for disruption in sorted(disruptions, key=lambda one: one.opened_at):
        if disruption.state not in _UNTOLD:
            newest[disruption.segment_no] = disruption
    by_no = {segment.segment_no: segment for segment in itinerary.segments}
    ordered = sorted(newest.values(), key=lambda one: one.opened_at, reverse=True)
    ordered.sort(key=lambda one: one.state != "offered")
    return [_shown(one, by_no, language) for one in ordered]


def offered_of(disruption: Disruption) -> str:
    """Must merge: every look at these options, so that a form sent twice is one choice. Must not merge: other options or prices
    under the same numbers."""
    told = ",".join(one.model_dump_json() for one in disruption.alternatives)
    return hashlib.sha256(f"{disruption.disruption_id}:{told}".encode()).hexdigest()[:16]


def _shown(disruption: Disruption, by_no: dict[int, Segment], language: Language) -> DisruptionShown:
    segment = by_no.get(disruption.segment_no)
    flight = disruption.flight_key.partition("-")[0] if segment is None else name_of(segment)
    late = length(disruption.impact.delay_minutes, language)
    common: dict[str, object] = {
        "disruption_id": disruption.disruption_id,
        "state": disruption.state,
        "tone": _TONES.get(disruption.state, "warn"),
        "heading": say(language, f"d_{disruption.kind}", flight=flight, length=late),
        "meaning": [*_impact(disruption, by_no, language), say(language, f"s_{disruption.state}")],
    }
    if disruption.state == "offered":
        clock = UTC_NAME if segment is None else segment.start_zone
        deadline = disruption.deadline_at
        common |= {
            "choose_until": None if deadline is None else At(moment=deadline, zone=clock),
            "keep": say(language, "keep_nothing" if disruption.kind == "flight_cancelled" else "keep"),
            "offered": offered_of(disruption),
            "choices": [_choice(one, language) for one in disruption.alternatives],
        }
    return DisruptionShown.model_validate(common)


def _impact(disruption: Disruption, by_no: dict[int, Segment], language: Language) -> list[str]:
    impact = disruption.impact
    lines: list[str] = []
    missed = by_no.get(impact.missed_segment_no or -1)
    if missed is not None and (impact.connection_minutes or 0) > 0:
        left = length(impact.connection_minutes or 0, language)
        lines.append(say(language, "connection_left", flight=name_of(missed), length=left))
    elif missed is not None:
        lines.append(say(language, "connection_gone", flight=name_of(missed)))
    if impact.flown_legs and disruption.state in ("offered", "rebooking", "rebooked"):
        lines.append(say(language, "rest_only"))
    for key, numbers in (("late_hotel", impact.late_hotel_segment_nos), ("late_car", impact.late_car_segment_nos)):
        lines.extend(say(language, key, name=name_of(by_no[no])) for no in numbers if no in by_no)
    return lines


def _choice(alternative: Alternative, language: Language) -> ChoiceShown:
    flights = alternative.offer.segments
    first, last = flights[0], flights[-1]
    stops = [named(flight.destination, code=False) for flight in flights[:-1]]
    cost, tone = _cost(alternative, language)
    return ChoiceShown(
        number=alternative.number,
        flights=" + ".join(f"{flight.carrier}{flight.number}" for flight in flights),
        departure=_on_the_wall(first.departs_at, first.origin),
        arrival=_on_the_wall(last.arrives_at, last.destination),
        origin=named(first.origin),
        destination=named(last.destination),
        via=say(language, "via", places=", ".join(stops)) if stops else None,
        cost=cost,
        cost_tone=tone,
        lateness=_lateness(alternative.arrives_later_minutes, language),
    )


def _cost(alternative: Alternative, language: Language) -> tuple[str, Tone]:
    difference = alternative.difference
    if difference.amount_minor > 0:
        return say(language, "costs", amount=money(difference, language)), "warn"
    if difference.amount_minor < 0:
        back = difference.model_copy(update={"amount_minor": -difference.amount_minor})
        return say(language, "gives_back", amount=money(back, language)), "good"
    return say(language, "costs_nothing"), "good"


def _lateness(minutes: int, language: Language) -> str:
    if minutes == 0:
        return say(language, "arrives_same")
    return say(language, "arrives_later" if minutes > 0 else "arrives_earlier", length=length(minutes, language))


def _on_the_wall(clock: datetime, airport: str) -> At:
    """A time as a ticket prints it."""
    name = zone_name_of(airport) or UTC_NAME
    return At(moment=clock.replace(tzinfo=zone(name)), zone=name)
