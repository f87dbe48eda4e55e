"""What can be said about a booking request without asking any supplier: whether it fits the offers it names."""

from datetime import UTC, datetime, timedelta
from typing import Final

from api.models import BookingRequest
from api.problems import Fault, Refused
from schema.money import MAX_AMOUNT_MINOR, Money
from schema.references import item_reference
from schema.travellers import Traveller
from store.offers import StoredOffer
from store.records import NewBooking, NewItem

_WESTERNMOST: Final = timedelta(hours=12)
"""Somewhere it is still yesterday, and a trip may start there today."""


def checked_booking(
    request: BookingRequest,
    offers: dict[str, StoredOffer],
    *,
    booking_id: str,
    client_id: str,
    idempotency_key: str,
    fingerprint: bytes,
    correlation_id: str,
    now: datetime,
) -> NewBooking:
    """The booking to store. Raises Refused with all that is wrong; then nothing must be written."""
    faults = _faults_of_offers(request, offers, now) or _faults_of_trip(request, offers, now)
    if faults:
        raise Refused(faults)
    total = request.expected_total.money()
    backup = request.backup_payment
    return NewBooking(
        booking_id=booking_id,
        client_id=client_id,
        idempotency_key=idempotency_key,
        fingerprint=fingerprint,
        correlation_id=correlation_id,
        items=[
            NewItem(
                item_no=number,
                client_reference=item_reference(booking_id, number, 0),
                offer=offers[choice.offer_id].offer,
                supplier_state=offers[choice.offer_id].supplier_state,
                version=offers[choice.offer_id].version,
                search_request=offers[choice.offer_id].search_request,
                required=choice.required,
            )
            for number, choice in enumerate(request.items, start=1)
        ],
        travellers=request.travellers,
        payment_method=request.payment.payment_method_id,
        payment_provider=request.payment.provider,
        backup_payment_method=None if backup is None else backup.payment_method_id,
        backup_payment_provider=None if backup is None else backup.provider,
        total=total,
        consent_limit=consent_limit(total, request.price_tolerance_percent),
        substitution=request.substitution,
    )


def consent_limit(total: Money, tolerance_percent: int) -> Money:
    """The most that may be taken: rounded down, because what was not consented to is not ours."""
    limit_minor = min(total.amount_minor * (100 + tolerance_percent) // 100, MAX_AMOUNT_MINOR)
    return Money(amount_minor=limit_minor, currency=total.currency)


def _faults_of_offers(request: BookingRequest, offers: dict[str, StoredOffer], now: datetime) -> list[Fault]:
    """Offers that cannot be booked at all, each for its first reason."""
    faults: list[Fault] = []
    seen: set[str] = set()
    first_day = (now.astimezone(UTC) - _WESTERNMOST).date()
    for index, choice in enumerate(request.items):
        field = f"/items/{index}/offer_id"
        stored = offers.get(choice.offer_id)
        if choice.offer_id in seen:
            faults.append(Fault(code="duplicate_offer", field=field, detail="this offer is in the trip already"))
        elif stored is None:
            faults.append(Fault(code="unknown_offer", field=field, detail="you have found no such offer"))
        elif stored.offer.expires_at <= now:
            faults.append(Fault(code="offer_expired", field=field, detail="search again for a fresh offer"))
        elif stored.stale:
            faults.append(Fault(code="offer_stale", field=field, detail="it was sold or has changed; search again"))
        elif stored.offer.starts_on() < first_day:
            faults.append(Fault(code="date_in_past", field=field, detail="the trip would have started already"))
        seen.add(choice.offer_id)
    return faults


def _faults_of_trip(request: BookingRequest, offers: dict[str, StoredOffer], now: datetime) -> list[Fault]:
    """Whether the offers make one trip, for these people, at this total."""
    chosen = [offers[choice.offer_id].offer for choice in request.items]
    faults: list[Fault] = []
    people = len(request.travellers)
    for index, offer in enumerate(chosen):
        # A flight offer names its passengers one by one; a room or a car may stay partly empty.
        if people > offer.seats or (offer.kind == "flight" and people != offer.seats):
            detail = f"the offer /items/{index} is for {offer.seats}, and {people} travel"
            faults.append(Fault(code="too_many_travellers", field="/travellers", detail=detail))
    if request.backup_payment == request.payment:
        detail = "a second method must be another one"
        faults.append(Fault(code="invalid_request", field="/backup_payment", detail=detail))
    if not any(choice.required for choice in request.items):
        faults.append(Fault(code="invalid_request", field="/items", detail="at least one item must be required"))
    for index, traveller in enumerate(request.travellers):
        if not _born(traveller, now):
            field = f"/travellers/{index}/date_of_birth"
            faults.append(Fault(code="invalid_request", field=field, detail="nobody is born in the future"))
    currencies = {offer.price.currency for offer in chosen}
    if len(currencies) > 1:
        detail = f"the offers are in {', '.join(sorted(currencies))}"
        return [*faults, Fault(code="mixed_currencies", field="/items", detail=detail)]
    sum_minor = sum(offer.price.amount_minor for offer in chosen)
    if currencies != {request.expected_total.currency} or sum_minor != request.expected_total.amount_minor:
        total = Money(amount_minor=sum_minor, currency=chosen[0].price.currency)
        detail = f"the offers sum up to {total}"
        faults.append(Fault(code="total_mismatch", field="/expected_total", detail=detail))
    return faults


def _born(traveller: Traveller, now: datetime) -> bool:
    return traveller.date_of_birth <= now.astimezone(UTC).date()
