"""The stream of events in Valkey, for whoever follows bookings as they change. It may be lost; the books have every event.

Each event is added once, and those of one stream of a booking in order, whoever adds them and however often: the script remembers
for a day how far each of these has come. A relay that stalled, lost its lock and woke up can add nothing that is old.
"""

from collections.abc import Sequence
from typing import Final

import orjson

from store.outbox import OutboxEvent
from store.valkey import Valkey

STREAM: Final = "{events}"
"""Fields of an entry: `id`, `client`, `booking`, `version`, `type`, `data` (JSON: state, when, and what the event says)."""
_SEEN_TTL_S: Final = 24 * 3600
_FIELDS: Final = 6
# The braces put all of these keys into one slot of a cluster.
_ADD: Final = f"""
local added = 0
for number = 2, #KEYS do
  local at = 3 + (number - 2) * {_FIELDS}
  local id, client, booking, version, kind, data = unpack(ARGV, at, at + {_FIELDS - 1})
  if tonumber(version) > tonumber(redis.call('GET', KEYS[number]) or '-1') then
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'id', id, 'client', client, 'booking', booking,
      'version', version, 'type', kind, 'data', data)
    redis.call('SET', KEYS[number], version, 'EX', ARGV[2])
    added = added + 1
  end
end
return added
"""


class EventStream:
    """`length`: about so many entries are kept."""

    def __init__(self, valkey: Valkey, length: int) -> None:
        self._valkey = valkey
        self._length = length
        self._script = valkey.client.register_script(_ADD)

    async def add(self, events: Sequence[OutboxEvent]) -> bool:
        """Adds those that are not in the stream yet. False when Valkey is away: some of them may be there, all can be added again."""
        keys = [STREAM, *(f"{STREAM}:seen:{event.ordered_by}" for event in events)]
        fields = [field for event in events for field in _fields(event)]
        arguments = [self._length, _SEEN_TTL_S, *fields]
        added = await self._valkey.attempt("add_events", lambda _: self._script(keys=keys, args=arguments))
        return added is not None


def _fields(event: OutboxEvent) -> tuple[int | str | bytes, ...]:
    data = {**event.data, "state": event.state, "created_at": event.created_at}
    return (event.id, event.client_id, event.booking_id, event.version, event.type, orjson.dumps(data))
