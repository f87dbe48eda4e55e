"""Duffel's offers and orders in our words. Source: vendor-specs/duffel, schemas Offer, Order, PaymentStatus."""

from typing import Literal

from gateways.duffel_wire import VENDOR
from gateways.fields import Fields
from gateways.found import version_of
from gateways.ports import ListedReservation, Reservation
from schema.offers import FlightOffer, FlightSegment, FoundOffer, SearchRequest, Version


def passenger_ids(offer: Fields) -> list[str]:
    """The ids that the order must carry, one for each traveller."""
    return [passenger.text("id") for passenger in offer.objects("passengers")]


def offer_of(offer: Fields, request: SearchRequest) -> FoundOffer:
    """An offer as a gateway brings it."""
    ids = passenger_ids(offer)
    segments = [segment for part in offer.objects("slices") for segment in part.objects("segments")]
    if not segments or not ids:
        raise offer.broken("segments or passengers")
    conditions = offer.object_or_none("conditions")
    refund = conditions.object_or_none("refund_before_departure") if conditions else None
    return FoundOffer(
        offer=FlightOffer(
            offer_id="",
            supplier=VENDOR,
            price=offer.money("total_amount", "total_currency"),
            expires_at=offer.moment("expires_at"),
            refundable=refund is not None and refund.flag("allowed"),
            # Absent counts as "must be paid at once": only an explicit false means that it can be held.
            holdable=offer.object("payment_requirements").values.get("requires_instant_payment") is False,
            seats=len(ids),
            cabin=_cabin(segments[0]) or request.cabin,
            segments=[segment_of(segment) for segment in segments],
            checked_bags=_checked_bags(segments),
        ),
        supplier_state={"offer_id": offer.text("id"), "passenger_ids": ids},
        version=version(offer),
    )


def version(offer: Fields) -> Version:
    """The same for an offer while its flights, times and cabins stay; what it costs is no part of it."""
    segments = [segment for part in offer.objects("slices") for segment in part.objects("segments")]
    facts = [[segment_of(segment).model_dump(mode="json"), _cabin(segment)] for segment in segments]
    return version_of(offer.text_or_none("updated_at"), *facts)


def _checked_bags(segments: list[Fields]) -> int | None:
    """As many as go all the way; None where a segment does not say (`baggages` of its passengers)."""
    told: list[int] = []
    for segment in segments:
        passengers = segment.objects_or_none("passengers")
        bags = passengers[0].objects_or_none("baggages") if passengers else None
        if bags is None:
            return None
        told.append(sum(bag.whole_or_none("quantity") or 0 for bag in bags if bag.text_or_none("type") == "checked"))
    return min(told, default=None)


def _cabin(segment: Fields) -> str | None:
    passengers = segment.objects_or_none("passengers")
    return passengers[0].text_or_none("cabin_class") if passengers else None


def segment_of(segment: Fields) -> FlightSegment:
    """A flight as we name it, of an offer or of an order."""
    carrier = segment.object("marketing_carrier")
    return FlightSegment(
        carrier=carrier.text_or_none("iata_code") or carrier.text("name"),
        number=segment.text("marketing_carrier_flight_number"),
        origin=segment.object("origin").text("iata_code"),
        destination=segment.object("destination").text("iata_code"),
        departs_at=segment.local_time("departing_at"),
        arrives_at=segment.local_time("arriving_at"),
    )


def reservation_of(order: Fields) -> Reservation:
    """An order as a reservation."""
    status = _status(order)
    order_id = order.text("id")
    return Reservation(
        provider_reference=order_id,
        status=status,
        price=order.money("total_amount", "total_currency"),
        expires_at=order.object("payment_status").moment_or_none("payment_required_by") if status == "held" else None,
        record_locator=order.text_or_none("booking_reference"),
        supplier_state={"order_id": order_id},
    )


def reference_of(order: Fields) -> str | None:
    """Ours, which the order keeps as metadata; None for an order that is not ours."""
    metadata = order.object_or_none("metadata")
    return metadata.text_or_none("reference") if metadata is not None else None


def listed_of(order: Fields) -> ListedReservation:
    """A line of GET /air/orders."""
    return ListedReservation(reference=reference_of(order), reservation=reservation_of(order))


def _status(order: Fields) -> Literal["held", "confirmed", "cancelled"]:
    """A hold that passes payment_required_by unpaid may stay listed; it is waiting for nothing any more, so it is cancelled."""
    if order.text_or_none("cancelled_at"):
        return "cancelled"
    payment = order.object("payment_status")
    if payment.flag("awaiting_payment"):
        return "held"
    if payment.text_or_none("paid_at") is None and payment.text_or_none("payment_required_by"):
        return "cancelled"
    return "confirmed"
