"""Disruptions as clients see them."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from api.models import SignedAmount
from schema.disruptions import Alternative, Disruption, DisruptionKind, DisruptionState, Impact
from schema.flights import Change
from schema.model import ClientMessage, Message
from schema.money import Money
from schema.offers import FlightSegment


class ChoiceRequest(ClientMessage):
    """Either an alternative, with the difference in price as it was shown; or to keep the flight as it is now."""

    alternative: Annotated[int, Field(strict=True, ge=1, le=20)] | None = None
    difference: SignedAmount | None = None
    """What choosing it costs in all; negative: that much is given back."""
    keep: Annotated[bool, Field(strict=True)] = False

    @model_validator(mode="after")
    def _one_of_both(self) -> "ChoiceRequest":
        if self.keep == (self.alternative is not None):
            raise PydanticCustomError("invalid_request", "either alternative or keep", {"field": "alternative"})
        if self.alternative is not None and self.difference is None:
            raise PydanticCustomError("invalid_request", "say the difference that was shown", {"field": "difference"})
        return self


class AlternativeView(Message):
    number: int
    segments: list[FlightSegment]
    cabin: str
    price: Money
    refund: Money
    difference: Money
    arrives_later_minutes: int

    @classmethod
    def of(cls, alternative: Alternative) -> "AlternativeView":
        offer = alternative.offer
        given = alternative.model_dump(include={"number", "arrives_later_minutes"})
        return cls(
            **given,
            segments=offer.segments,
            cabin=offer.cabin,
            price=offer.price,
            refund=alternative.refund,
            difference=alternative.difference,
        )


class ImpactView(Message):
    """What the change means for the rest of the trip; by the itinerary's segment numbers."""

    changes: list[Change]
    delay_minutes: int
    missed_segment_no: int | None
    connection_minutes: int | None
    late_hotel_segment_nos: list[int]
    late_car_segment_nos: list[int]
    flown_legs: int = 0
    """So many flights of the ticket are flown. Above 0 the alternatives are one way, in place of the flights after them, and their
    `refund` is 0: what the airline gives back for those flights is settled afterwards."""

    @classmethod
    def of(cls, impact: Impact) -> "ImpactView":
        return cls.model_validate(impact.model_dump())


class DisruptionView(Message):
    disruption_id: str
    itinerary_id: str
    segment_no: int
    flight: str
    """Carrier and number, day and airport of departure."""
    kind: DisruptionKind
    state: DisruptionState
    impact: ImpactView
    alternatives: list[AlternativeView]
    chosen: int | None
    rebooking_id: str | None
    """The booking of the chosen alternative: `/v1/bookings/{id}` shows how it stands."""
    deadline: datetime | None
    opened_at: datetime
    closed_at: datetime | None

    @classmethod
    def of(cls, disruption: Disruption) -> "DisruptionView":
        same = {"disruption_id", "itinerary_id", "segment_no", "kind", "state", "chosen", "rebooking_id"}
        return cls(
            **disruption.model_dump(include=same),
            flight=disruption.flight_key,
            impact=ImpactView.of(disruption.impact),
            alternatives=[AlternativeView.of(one) for one in disruption.alternatives],
            deadline=disruption.deadline_at,
            opened_at=disruption.opened_at,
            closed_at=disruption.closed_at,
        )


class DisruptionList(Message):
    disruptions: list[DisruptionView]


class ChoiceView(Message):
    """What came of a choice. `booking_id`: of the new flight, whose payment can be followed there."""

    state: DisruptionState
    message: str
    booking_id: str | None = None
