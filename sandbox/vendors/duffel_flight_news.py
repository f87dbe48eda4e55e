"""What an airline says of a flight, as the holders of Duffel's orders hear of it: an airline-initiated change for each order.

Duffel tells of flights that are cancelled or moved and of another terminal. It has no words for gates, for what happens under
way, or for a diversion.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import cast

from sandbox.content import Flight
from sandbox.operations import News, name_of, state_of
from sandbox.vendors.duffel_airline_changes import record_change, slices_now
from sandbox.vendors.duffel_http import VENDOR
from sandbox.vendors.duffel_offer_documents import slice_documents
from sandbox.vendors.duffel_offers import find_offer
from sandbox.vendors.duffel_orders import OrderRecord, as_of_now
from sandbox.world import JsonObject, World


def tell_orders(world: World, flight: Flight, news: News, said_at: datetime) -> list[str]:
    """The ids of the changes: one for each living order with this flight, if the news is one that Duffel tells."""
    if not news.model_fields_set & {"cancelled", "delay_minutes", "reschedule_minutes", "terminal"}:
        return []
    told: list[str] = []
    for document in world.all(VENDOR, "order"):
        order = as_of_now(world, cast(OrderRecord, document))
        if order["status"] in ("held", "confirmed"):
            told += _tell(world, order, flight, news, said_at)
    return told


def _tell(world: World, order: OrderRecord, flight: Flight, news: News, said_at: datetime) -> list[str]:
    offer = find_offer(world, order["offer_id"])
    if offer is None:
        return []
    booked = slice_documents(offer)
    current = {part["id"]: part for part in slices_now(world, order["id"], booked)}
    ids: list[str] = []
    for way, part in zip(offer.ways, booked, strict=True):
        places = [i for i, each in enumerate(way.itinerary.flights) if name_of(each) == name_of(flight)]
        if places:
            removed = [current[part["id"]]] if part["id"] in current else []
            added = (
                [] if news.cancelled else [_changed(world, removed[0] if removed else part, places[0], flight, news)]
            )
            ids.append(record_change(world, order["id"], removed=removed, added=added, said_at=said_at)["id"])
    return ids


def _changed(world: World, part: JsonObject, place: int, flight: Flight, news: News) -> JsonObject:
    """The slice with the flight as the news has it: news that is old by now still tells of its own time."""
    segments = list(cast("list[JsonObject]", part["segments"]))
    moved = _moved_by(news, world, flight)
    changed: JsonObject = {
        **segments[place],
        "departing_at": (flight.departs.replace(tzinfo=None) + moved).isoformat(),
        "arriving_at": (flight.arrives.replace(tzinfo=None) + moved).isoformat(),
    }
    if news.terminal is not None:
        changed["origin_terminal"] = news.terminal
    segments[place] = changed
    return {**part, "segments": segments}


def _moved_by(news: News, world: World, flight: Flight) -> timedelta:
    """Against the schedule as it was sold."""
    state = state_of(world, flight)
    known = {
        "delay_minutes": state.told.get("delay_minutes"),
        "reschedule_minutes": state.told.get("reschedule_minutes"),
    }
    said = {name: getattr(news, name) for name in known if name in news.model_fields_set}
    minutes = cast("list[int | None]", list({**known, **said}.values()))
    return timedelta(minutes=sum(each or 0 for each in minutes))
