"""Devices that push messages go to. Their tokens are personal data: shown to nobody, and wiped when the device is removed."""

import hashlib
from datetime import datetime
from typing import Literal

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from ulid import ULID

from schema.model import Message
from schema.notifications import Platform
from schema.tables import api_clients, push_devices

MAX_DEVICES = 20
"""Of one client: each gets every message."""
_THERE = push_devices.c.removed_at.is_(None)


class Device(Message):
    device_id: str
    platform: Platform
    created_at: datetime


def device_id_for(client_id: str, token: str) -> str:
    """Must merge: a token that is registered again. Must not merge: one that another client registers, on a handset that has changed
    hands: what was meant for the first must not reach the second."""
    digest = hashlib.sha256(f"{len(client_id)}:{client_id}:{token}".encode()).digest()
    return f"dev_{ULID.from_bytes(digest[:16])}"


async def register(connection: AsyncConnection, client_id: str, token: str, platform: Platform) -> Device | None:
    """The device, which belongs to whoever has registered it last. None if the client has as many as it may. Needs a transaction."""
    # Locked, so that two requests side by side cannot both be the last one that fits.
    await connection.execute(select(api_clients.c.id).where(api_clients.c.id == client_id).with_for_update())
    device_id = device_id_for(client_id, token)
    others = select(func.count()).where(push_devices.c.client_id == client_id, push_devices.c.id != device_id, _THERE)
    if (await connection.scalar(others) or 0) >= MAX_DEVICES:
        return None
    values = {"id": device_id, "client_id": client_id, "token": token, "platform": platform}
    statement = insert(push_devices).values(token_hash=hashlib.sha256(token.encode()).digest(), **values)
    statement = statement.on_conflict_do_update(
        index_elements=["token_hash"], set_={**values, "removed_at": None, "removed_reason": None}
    ).returning(push_devices.c.created_at)
    created_at = (await connection.execute(statement)).scalar_one()
    return Device(device_id=device_id, platform=platform, created_at=created_at)


async def of_client(connection: AsyncConnection, client_id: str) -> list[Device]:
    """The oldest first."""
    query = (
        select(push_devices).where(push_devices.c.client_id == client_id, _THERE).order_by(push_devices.c.created_at)
    )
    rows = (await connection.execute(query)).mappings()
    return [Device.model_validate({**row, "device_id": row["id"]}) for row in rows]


async def token_of(connection: AsyncConnection, device_id: str) -> str | None:
    """For the call to the vendor only; None for a device that was removed."""
    return await connection.scalar(select(push_devices.c.token).where(push_devices.c.id == device_id, _THERE))


async def remove(
    connection: AsyncConnection,
    device_id: str,
    reason: Literal["by_client", "device_gone"],
    client_id: str | None = None,
) -> bool:
    """False if there is none, or it is not this client's."""
    statement = update(push_devices).where(push_devices.c.id == device_id, _THERE)
    if client_id is not None:
        statement = statement.where(push_devices.c.client_id == client_id)
    wiped = statement.values(token="", removed_at=func.now(), removed_reason=reason)
    return (await connection.execute(wiped)).rowcount > 0
