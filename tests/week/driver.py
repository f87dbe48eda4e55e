"""Lives through a week on the real stack: books its trips, says what airlines say, decides as travellers do, and kills workers."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from temporalio.client import WorkflowHandle, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.service import RPCError, RPCStatusCode

from schema.disruptions import (
    ChooseAlternative,
    Disruption,
    DisruptionResult,
    KeepFlight,
    disruption_workflow_id_for,
)
from schema.flights import FlightId
from schema.itineraries import Segment, itinerary_id_for
from schema.notifications import Channel, Preferences
from schema.offers import FlightOffer, FoundOffer, SearchRequest
from schema.references import new_id
from schema.states import BookingState
from store import cases, devices, disruptions, flights, itineraries, preferences
from store.cases import CaseFilter
from store.clients import ensure_client
from tests.saga.driver import answer_cases
from tests.saga.harness import House, Trip, running_house
from tests.saga.waiting import eventually
from tests.week.airlines import DAYS, STAY_DAYS, Heard, Said, Story, TripPlan, a_week, landed
from tests.week.evidence import announced_to, quiet, settled

Handle = WorkflowHandle[Any, DisruptionResult]
_FIRST_DAY_AHEAD = 4
_LOOK_EVERY_S = 0.2
_PATIENCE_S = 240
"""For one change to be told to all, with workers that die and start again on a busy machine."""
_BOOKED_AT_ONCE = 6
_CHANNELS: tuple[tuple[Channel, ...], ...] = (
    ("email", "sms", "push"),
    ("email", "push"),
    ("sms",),
    ("email",),
    ("push", "sms"),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """A week, as it is asked for."""

    seed: int
    flights: int
    kills: int
    day_s: float
    """How long a day of the week lasts here."""
    workers: int = 2

    @property
    def poll_s(self) -> float:
        """Between two looks at one flight: so that all together ask some 12 times a second."""
        return max(2.0, self.flights / 12)


@dataclass
class Person:
    """One traveller, who is an API client with preferences of their own."""

    name: str
    client_id: str
    addresses: dict[Channel, str]
    device_id: str | None
    trip: Trip
    offer: FoundOffer
    rebooks: bool = False

    @property
    def itinerary_id(self) -> str:
        return itinerary_id_for(self.trip.booking_id)


@dataclass
class Run:
    """A week under way, and what was done in it."""

    plan: Plan
    house: House
    trips: list[TripPlan]
    people: dict[int, list[Person]] = field(default_factory=dict[int, list[Person]])
    """By the number of their trip."""
    said: dict[tuple[str, str], list[Heard]] = field(default_factory=dict[tuple[str, str], list[Heard]])
    did: Counter[str] = field(default_factory=Counter[str])
    killed_at: list[datetime] = field(default_factory=list[datetime])
    began_at: float = field(default_factory=time.monotonic)

    def everybody(self) -> list[Person]:
        return [person for people in self.people.values() for person in people]

    async def book(self) -> None:
        """Each trip by flights of its own, by everybody who goes on it."""
        places, taken = asyncio.Semaphore(_BOOKED_AT_ONCE), set[str]()

        async def one(trip: TripPlan) -> None:
            async with places:
                people = self.people[trip.number] = list[Person]()
                for number in range(trip.travellers):
                    people.append(await self._book(trip, number, taken))

        await asyncio.gather(*(one(trip) for trip in self.trips))

    async def live(self) -> None:
        """All days, with workers that die meanwhile."""
        self.began_at = time.monotonic()
        deaths, operator = asyncio.create_task(self._kill_workers()), asyncio.create_task(self._operate())
        try:
            async with asyncio.TaskGroup() as week:
                week.create_task(self._change_how_pushes_come())
                for trip in self.trips:
                    week.create_task(self._live(trip))
            await deaths
            with suppress(TimeoutError):  # what is still missing then is told by those who judge
                await eventually(lambda: quiet(self.house), _PATIENCE_S, _LOOK_EVERY_S)
        finally:
            deaths.cancel()
            operator.cancel()

    # ------------------------------------------------------------------ booking

    async def _book(self, trip: TripPlan, number: int, taken: set[str]) -> Person:
        house, name = self.house, f"week-{trip.number}-{number}-{new_id('x')[-8:]}"
        leaves = datetime.now(UTC).date() + timedelta(days=_FIRST_DAY_AHEAD + trip.day)
        origin, destination = trip.route
        request = SearchRequest.model_validate(
            {
                "origin": origin,
                "destination": destination,
                "departure_date": leaves,
                "return_date": leaves + timedelta(days=STAY_DAYS),
            }
        )
        found = await house.vendors.supplier("duffel").search(request, name)
        mine = self.people.get(trip.number) or []
        first = mine[0].offer.offer.item_key() if mine else None
        offer = next(one for one in found if _fits(one, taken, first))
        taken.update(_keys(offer))
        client_id = await ensure_client(house.database, name=name, scopes=[], token=new_id("token"))
        channels = _CHANNELS[(trip.number + number) % len(_CHANNELS)]
        phone = f"+4477{trip.number:06d}{number}"
        addresses: dict[Channel, str] = {"email": f"{name}@example.com", "sms": phone, "push": f"device-of-{name}"}
        wishes = Preferences.model_validate(
            {
                "channels": channels,
                "email": addresses["email"],
                "phone_number": phone,
                "language": "ja" if trip.number % 3 == 2 else "en",
            }
        )
        async with house.database.transaction() as connection:
            await preferences.put(connection, client_id, wishes)
            device = await devices.register(connection, client_id, addresses["push"], "ios")
        assert device is not None
        booked = await house.keep([offer], request, name, client_id=client_id)
        result = await (await house.start(booked)).result()
        assert result.state == BookingState.CONFIRMED, f"{name}: {result.state}"
        wanted = {channel: addresses[channel] for channel in channels}
        return Person(name, client_id, wanted, device.device_id, booked, offer)

    # ------------------------------------------------------------------ what happens in the week

    async def _live(self, trip: TripPlan) -> None:
        dice, people = Random(f"{self.plan.seed}|trip|{trip.number}"), self.people[trip.number]  # noqa: S311  # no secret
        there, back = await self._watched(people)
        for segment, story, day in ((there, trip.there, trip.day), (back, trip.back, trip.day + STAY_DAYS)):
            begins_s = (day + dice.uniform(0, 0.8)) * self.plan.day_s
            # The week's own clock, which is the test's input, not a synchronisation.
            await asyncio.sleep(max(0.0, self.began_at + begins_s - time.monotonic()))
            await self._happens(segment, story, people)

    async def _watched(self, people: list[Person]) -> tuple[Segment, Segment]:
        """The flights of the first of them, and so of all, once their monitors have asked about them."""
        house = self.house
        async with house.database.read() as connection:
            itinerary = await itineraries.get(connection, people[0].itinerary_id)
        assert itinerary is not None
        there, back = itinerary.segments
        for segment in (there, back):
            await self._asked_since(segment, None)
            for person in people:
                self.said[person.name, segment.flight_key or ""] = []
        return there, back

    async def _happens(self, segment: Segment, story: Story, people: list[Person]) -> None:
        for number, said in enumerate(story.said):
            behind = number + 1 < len(story.said) and story.said[number + 1].at_once
            await self._say(segment, said, people, wait=not behind)
            if said.then is not None:
                await asyncio.gather(*(self._decide(segment, said.then, person) for person in people))
        if story.flies:
            await self._say(segment, Said(landed(story, segment.starts_at, segment.ends_at)), people)
        self.did[f"flights {story.name}"] += 1

    async def _say(self, segment: Segment, said: Said, people: list[Person], *, wait: bool = True) -> None:
        key, now = segment.flight_key or "", datetime.now(UTC)
        flight = FlightId.of_key(key)
        body = {"origin": flight.origin, "push": said.pushed, **said.news}
        if said.old_s:
            body["said_at"] = (now - timedelta(seconds=said.old_s)).isoformat()
        path = f"/_sandbox/flights/{flight.carrier}{flight.number}/{flight.on}"
        answer = await self.house.sandbox.post(path, json=body)
        assert answer.is_success, answer.text
        self.did["news"] += 1
        self.did["pushes"] += len(answer.json()["pushed"])
        if said.tells:
            for person in people:
                self.said[person.name, key].append(said.tells)
        if not wait:
            return
        told = said.tells or any(self.said[person.name, key] for person in people)
        if not said.tells:
            await self._asked_since(segment, now, said.news.get("gate"))
        if told:
            await asyncio.gather(*(self._told(person, key) for person in people))

    async def _told(self, person: Person, flight_key: str) -> None:
        """Until everything that was said of the flight is told to them, as far as anybody can say."""

        async def look() -> bool:
            announced = await announced_to(self.house, person)
            known = sum(one.flight_key == flight_key for one in announced)
            wanted = len(self.said[person.name, flight_key]) * len(person.addresses)
            return known >= wanted and await settled(self.house, person, announced)

        with _naming(f"{person.name} to hear {self.said[person.name, flight_key]} of {flight_key}"):
            await eventually(look, _PATIENCE_S, _LOOK_EVERY_S)

    async def _asked_since(self, segment: Segment, since: datetime | None, gate: str | None = None) -> None:
        """`gate`: and until it is known, because an answer that was given before is noted after."""

        async def look() -> bool:
            async with self.house.database.read() as connection:
                stored = await flights.get(connection, segment.flight_key or "")
            if stored is None or (since is not None and stored.itineraries == 0):
                return stored is not None  # nobody is on it any more
            if gate is not None and stored.status.departure.gate != gate:
                return False
            return stored.polled_at is not None and (since is None or stored.polled_at > since)

        with _naming(f"somebody to ask about {segment.flight_key}"):
            await eventually(look, _PATIENCE_S, _LOOK_EVERY_S)

    async def _decide(self, segment: Segment, decision: str, person: Person) -> None:
        async def look() -> Disruption | None:
            async with self.house.database.read() as connection:
                found = await disruptions.of_itinerary(connection, person.itinerary_id)
            return next((one for one in found if one.flight_key == segment.flight_key and one.state != "open"), None)

        disruption = await eventually(look, _PATIENCE_S, _LOOK_EVERY_S)
        if disruption.state != "offered":
            self.did[f"nothing to {decision}"] += 1
            return
        handle = self.house.client.get_workflow_handle(
            disruption_workflow_id_for(disruption.disruption_id), result_type=DisruptionResult
        )
        while disruption.state == "offered":
            if decision == "keep" or not await self._chose(handle, disruption, person):
                with suppress(WorkflowUpdateFailedError):  # superseded a moment ago: the result tells
                    await self._wish(handle, "keep", KeepFlight(), person)
                break
            # What was chosen may not be had after all: then the others are offered again.
            disruption = await self._no_longer_rebooking(disruption)
        with _naming(f"{disruption.disruption_id} to end, in which {person.name} has said {decision}"):
            result = await asyncio.wait_for(handle.result(), _PATIENCE_S)
        self.did[f"disruptions {result.state}"] += 1

    async def _no_longer_rebooking(self, disruption: Disruption) -> Disruption:
        async def look() -> Disruption | None:
            async with self.house.database.read() as connection:
                found = await disruptions.get(connection, disruption.disruption_id)
            return found if found is not None and found.state != "rebooking" else None

        with _naming(f"{disruption.disruption_id} to be rebooked, or not"):
            return await eventually(look, _PATIENCE_S, _LOOK_EVERY_S)

    async def _chose(self, handle: Handle, disruption: Disruption, person: Person) -> bool:
        """The first alternative that can still be had as it was shown."""
        for one in disruption.alternatives:
            wish = ChooseAlternative(number=one.number, difference=one.difference)
            try:
                await self._wish(handle, "choose", wish, person)
            except WorkflowUpdateFailedError:
                self.did["alternatives gone"] += 1
            else:
                return True
        return False

    async def _wish(self, handle: Handle, name: str, wish: ChooseAlternative | KeepFlight, person: Person) -> None:
        """An answer, or the wish itself, may be lost with the worker: it is said again, as the same wish."""
        number = wish.number if isinstance(wish, ChooseAlternative) else 0
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                try:
                    await handle.execute_update(name, wish, id=f"{person.name}-{number}")
                except WorkflowUpdateRPCTimeoutOrCancelledError:
                    continue
                except RPCError as error:
                    if error.status == RPCStatusCode.NOT_FOUND:  # it has ended
                        return
                    await asyncio.sleep(_LOOK_EVERY_S)
                else:
                    return

    async def _operate(self) -> None:
        """Answers cases, for not every supplier can be asked what became of a call whose worker has died."""
        while True:
            await asyncio.sleep(1)  # an operator looks now and then
            async with self.house.database.read() as connection:
                page = await cases.page(connection, CaseFilter(), 100, None)
            for booking_id in {one.booking_id for one in page.cases}:
                self.did["cases answered"] += await answer_cases(self.house, booking_id)

    async def _kill_workers(self) -> None:
        dice, stack = Random(f"{self.plan.seed}|deaths"), self.house.stack  # noqa: S311  # chooses moments, guards no secret
        names = ["worker", *(f"worker-{number}" for number in range(2, self.plan.workers + 1))]
        moments = sorted(dice.uniform(0.05, 1.0) * DAYS * self.plan.day_s for _ in range(self.plan.kills))
        for moment in moments:
            await asyncio.sleep(max(0.0, self.began_at + moment - time.monotonic()))  # the test's input
            name = dice.choice(names)
            self.killed_at.append(datetime.now(UTC))
            stack.kill(name)
            await stack.wait_restarted(name, timeout_s=120)

    async def _change_how_pushes_come(self) -> None:
        """In good order, twice, or in any order: another each day."""
        state, how = self.house.stack.state, ("reordered", "doubled", "normal")
        for day in range(DAYS):
            await asyncio.sleep(max(0.0, self.began_at + day * self.plan.day_s - time.monotonic()))  # the test's input
            target = {
                "url": f"{state.api_url}/v1/webhooks/duffel",
                "secret": state.secrets.duffel_webhook_secret,
                "mode": how[day % len(how)],
            }
            answer = await self.house.sandbox.put("/_sandbox/duffel/webhook", json=target)
            assert answer.is_success, answer.text


def _keys(found: FoundOffer) -> set[str]:
    assert isinstance(found.offer, FlightOffer)
    return {segment.key() for segment in found.offer.segments}


def _fits(found: FoundOffer, taken: set[str], first: str | None) -> bool:
    """Without a change, and of flights that no other trip goes by; or the flights of the first traveller."""
    if first is not None:
        return found.offer.item_key() == first
    keys = _keys(found)
    return len(keys) == 2 and not keys & taken


@contextmanager
def _naming(what: str) -> Generator[None]:
    """Who waits in vain says for what."""
    try:
        yield
    except TimeoutError as error:
        raise TimeoutError(f"waited in vain for {what}") from error


@asynccontextmanager
async def a_lived_week(plan: Plan, data: Path) -> AsyncGenerator[Run]:
    """The week from its first booking to its last landing, on a stack that is there until the end of the block."""
    watching = dict.fromkeys(("poll_far_s", "poll_day_s", "poll_near_s"), plan.poll_s)
    more = {
        "TRAVELHUB_FLIGHTS": json.dumps({**watching, "overdue_after_s": 30}),
        # A call that a dead worker leaves behind is given up and looked for within seconds; nothing else differs from production.
        "TRAVELHUB_NOTIFICATION": '{"delays_s": [1, 2], "receipt_wait_s": 4, "find_after_s": 1, "find_budget_s": 20}',
        "TRAVELHUB_DISRUPTION__ALTERNATIVES_FROM_MINUTES": "60",
        "TRAVELHUB_OUTBOUND__QUOTA_PER_MINUTE": "{}",
        # A search for other flights, beside all that goes on here, on a machine that is busy with other work.
        "TRAVELHUB_SAGA__STEP_TIMEOUT_S": "40",
        "TRAVELHUB_SAGA__HEARTBEAT_TIMEOUT_S": "5",
    }
    async with running_house(data, workers=plan.workers, api=True, more=more) as house:
        run = Run(plan, house, a_week(plan.seed, plan.flights))
        try:
            await run.book()
            await run.live()
        except BaseException as error:
            error.add_note(f"the week of {plan}")
            raise
        yield run
