"""The custom search attributes of our workflows: what an operator filters by in Temporal's Web UI.

Few on purpose: a namespace on SQL visibility has room for ten keywords and three texts, and aggregates belong in PostgreSQL.
Never personal data: these are stored in clear, whatever codec the payloads go through.
"""

from typing import Final

from temporalio.common import SearchAttributeKey

STATE: Final = "TravelHubState"
"""Keyword: the `BookingState` of the booking, as recorded; of a flight's monitor, the flight's phase."""
WAITING_FOR: Final = "TravelHubWaitingFor"
"""Keyword: whom or what the workflow waits for; empty while it works."""
CLIENT: Final = "TravelHubClient"
"""Keyword: the API client the workflow belongs to."""
TRIP: Final = "TravelHubTrip"
"""Text, searched by words: the trip in short, such as "LHR JFK 2030-05-01"."""

KEYWORDS: Final = (STATE, WAITING_FOR, CLIENT)
TEXTS: Final = (TRIP,)

BOOKING_STATE: Final = SearchAttributeKey.for_keyword(STATE)
WAITING: Final = SearchAttributeKey.for_keyword(WAITING_FOR)
OWNER: Final = SearchAttributeKey.for_keyword(CLIENT)
