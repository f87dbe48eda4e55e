"""How travellers want to be told: the preferences of a client. Personal data, read where a message is sent and shown to its owner."""

from typing import Final

from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.notifications import Preferences, QuietHours
from schema.tables import preferences

_READ: Final = select(preferences).where(preferences.c.client_id == bindparam("of_client"))


async def get(connection: AsyncConnection, client_id: str) -> Preferences:
    """The defaults for a client that has never said anything."""
    row = (await connection.execute(_READ, {"of_client": client_id})).mappings().one_or_none()
    if row is None:
        return Preferences()
    quiet = None
    if row["quiet_zone"] is not None:
        quiet = QuietHours(starts=row["quiet_starts"], ends=row["quiet_ends"], time_zone=row["quiet_zone"])
    return Preferences(
        language=row["language"],
        channels=row["channels"],
        email=row["email"],
        phone_number=row["phone_number"],
        quiet_hours=quiet,
    )


async def put(connection: AsyncConnection, client_id: str, wanted: Preferences) -> int:
    """In place of what was there; returns how often they have been changed."""
    quiet = wanted.quiet_hours
    values: dict[str, object] = {
        "language": wanted.language,
        "channels": wanted.channels,
        "email": wanted.email,
        "phone_number": wanted.phone_number,
        "quiet_starts": None if quiet is None else quiet.starts,
        "quiet_ends": None if quiet is None else quiet.ends,
        "quiet_zone": None if quiet is None else quiet.time_zone,
    }
    changed = {**values, "version": preferences.c.version + 1, "updated_at": func.now()}
    statement = insert(preferences).values(client_id=client_id, **values)
    statement = statement.on_conflict_do_update(index_elements=["client_id"], set_=changed)
    return (await connection.execute(statement.returning(preferences.c.version))).scalar_one()
