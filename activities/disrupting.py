"""A disruption from its first assessment to its end, in our own books: local activities, each one transaction, each harmless twice."""

from datetime import UTC, datetime

from temporalio import activity

from activities.assessing import PASSING, assess
from activities.failures import told_to_temporal
from schema.disruptions import DisruptionClosed, DisruptionInput, DisruptionState, OpenedDisruption
from store import disruptions, itineraries
from store.database import Database

_RETRY_INITIAL_S = 0.2


class Disrupting:
    def __init__(self, database: Database) -> None:
        self._database = database

    @activity.defn
    async def open_disruption(self, told: DisruptionInput) -> OpenedDisruption:
        """Assesses the change and tells of it. An older disruption of the same flight that waits for a choice is superseded; one that
        is being rebooked blocks this one until it has ended, because the flight may be replaced by then."""
        async with told_to_temporal(_RETRY_INITIAL_S), self._database.transaction() as connection:
            itinerary = await itineraries.get(connection, told.itinerary_id, lock=True)
            known = await disruptions.get(connection, told.disruption_id)
            if known is not None:
                return OpenedDisruption(state=known.state, kind=known.kind)
            segments = [] if itinerary is None else itinerary.segments
            segment = next((one for one in segments if one.segment_no == told.segment_no), None)
            if itinerary is None or segment is None or segment.state != "confirmed":
                return OpenedDisruption(state="superseded")  # nobody is on the flight any more
            older = await disruptions.open_of(connection, told.itinerary_id, told.segment_no)
            if older is not None and older.state == "rebooking":
                return OpenedDisruption(state="open", blocked=True)
            assessed = assess(itinerary, segment, told.changes, told.delay_minutes, told.policy, datetime.now(UTC))
            state: DisruptionState = "open" if assessed.wants_alternatives else "informed"
            superseded: list[str] = []
            if older is not None and older.flight_revision > told.flight_revision:
                state = "superseded" if state == "open" else state
            elif older is not None and assessed.kind not in PASSING:
                await disruptions.close(connection, older, "superseded")
                superseded = [older.disruption_id]
            await disruptions.add(connection, told, assessed.kind, assessed.impact, state)
            return OpenedDisruption(state=state, kind=assessed.kind, superseded=superseded)

    @activity.defn
    async def close_disruption(self, closed: DisruptionClosed) -> DisruptionState:
        """Ends one that waits, unless somebody else has; the state it has now."""
        async with told_to_temporal(closed.retry_initial_s), self._database.transaction() as connection:
            disruption = await disruptions.get(connection, closed.disruption_id, lock=True)
            if disruption is None or disruption.state not in ("open", "offered"):
                return closed.state if disruption is None else disruption.state
            await disruptions.close(connection, disruption, closed.state, closed.reason)
            return closed.state
