"""When a vendor may have forgotten an idempotency key, so that the same call over again could have a second effect."""

from datetime import UTC, datetime, timedelta
from typing import Final

from schema.outcomes import Capabilities
from store.attempts import Attempt

_ON_ITS_WAY: Final = timedelta(minutes=5)
"""A call that is sent just in time must also arrive in time."""


def may_be_forgotten(capabilities: Capabilities, attempt: Attempt) -> bool:
    """Of the attempt's key, counted from when it was first used."""
    if capabilities.key_life_s is None:
        return False
    age = datetime.now(UTC) - attempt.created_at
    return age > timedelta(seconds=capabilities.key_life_s) - _ON_ITS_WAY
