"""Clients' webhook endpoints: where their events go, the secrets that sign them, and whether they still answer."""

import base64
import secrets
from datetime import datetime, timedelta
from typing import Final

from pydantic import SecretStr
from sqlalchemy import RowMapping, all_, bindparam, delete, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.endpoints import ENDPOINT_DISABLED, DisabledReason
from schema.model import Message
from schema.tables import api_clients, webhook_deliveries, webhook_endpoints

_SECRET_BYTES: Final = 32
"""Standard Webhooks: 24 to 64 bytes, in base64 after `whsec_`."""
_OLD_SECRET_LIVES: Final = timedelta(hours=24)
_OF_ID = webhook_endpoints.c.id == bindparam("of_endpoint")
_TELL_OTHERS = text(f"""
INSERT INTO webhook_deliveries (id, endpoint_id, subject, type, occurred_at, data)
SELECT 'msg_' || replace(gen_random_uuid()::text, '-', ''), other.id, gone.id, '{ENDPOINT_DISABLED}', gone.disabled_at,
  jsonb_build_object('endpoint_id', gone.id, 'url', gone.url, 'reason', gone.disabled_reason)
FROM webhook_endpoints AS gone JOIN webhook_endpoints AS other ON other.client_id = gone.client_id
WHERE gone.id = :of_endpoint AND other.disabled_at IS NULL
  AND other.event_types && ARRAY['*', 'webhook_endpoint.*', '{ENDPOINT_DISABLED}']
""")  # noqa: S608  # the only thing put in is a constant of ours


class NewEndpoint(Message):
    """`endpoint_id` and `made_for` follow from the request, so that its repeat finds what it made."""

    endpoint_id: str
    client_id: str
    url: str
    event_types: list[str]
    description: str | None
    made_for: str
    """Its Idempotency-Key."""


class StoredEndpoint(Message):
    endpoint_id: str
    client_id: str
    url: str
    event_types: list[str]
    description: str | None
    secret: SecretStr
    secret_made_for: list[str]
    previous_secret_until: datetime | None
    failing_since: datetime | None
    disabled_at: datetime | None
    disabled_reason: DisabledReason | None
    created_at: datetime


async def add(connection: AsyncConnection, new: NewEndpoint, max_endpoints: int) -> StoredEndpoint | None:
    """The new endpoint, or the one that this request made before; None when the client has as many as it may."""
    of_client = webhook_endpoints.c.client_id == new.client_id
    # Two that are added at once must see each other. Bookings of the client do not wait for this lock.
    await connection.execute(
        select(api_clients.c.id).where(api_clients.c.id == new.client_id).with_for_update(key_share=True)
    )
    stored = await find(connection, new.client_id, new.endpoint_id)
    if stored is not None:
        return stored
    if (await connection.scalar(select(func.count()).where(of_client)) or 0) >= max_endpoints:
        return None
    statement = insert(webhook_endpoints).values(
        id=new.endpoint_id,
        client_id=new.client_id,
        url=new.url,
        event_types=new.event_types,
        description=new.description,
        secret=_new_secret(),
        secret_made_for=[new.made_for],
    )
    return _stored((await connection.execute(statement.returning(webhook_endpoints))).mappings().one())


async def find(connection: AsyncConnection, client_id: str, endpoint_id: str) -> StoredEndpoint | None:
    """None if there is none, or it is not this client's."""
    query = select(webhook_endpoints).where(
        webhook_endpoints.c.id == endpoint_id, webhook_endpoints.c.client_id == client_id
    )
    row = (await connection.execute(query)).mappings().one_or_none()
    return None if row is None else _stored(row)


async def of_client(connection: AsyncConnection, client_id: str) -> list[StoredEndpoint]:
    """Oldest first."""
    query = select(webhook_endpoints).where(webhook_endpoints.c.client_id == client_id)
    rows = await connection.execute(query.order_by(webhook_endpoints.c.created_at, webhook_endpoints.c.id))
    return [_stored(row) for row in rows.mappings()]


async def change(connection: AsyncConnection, endpoint_id: str, values: dict[str, object]) -> None:
    """Writes these columns."""
    await connection.execute(
        update(webhook_endpoints).where(_OF_ID).values(updated_at=func.now()), {"of_endpoint": endpoint_id, **values}
    )


async def rotate_secret(connection: AsyncConnection, endpoint_id: str, made_for: str) -> None:
    """A new secret, unless this request has made one before; the old one signs beside it for a day."""
    replaced = (
        update(webhook_endpoints)
        .where(webhook_endpoints.c.id == endpoint_id, literal(made_for) != all_(webhook_endpoints.c.secret_made_for))
        .values(
            secret=_new_secret(),
            secret_made_for=func.array_append(webhook_endpoints.c.secret_made_for, made_for),
            previous_secret=webhook_endpoints.c.secret,
            previous_secret_until=func.now() + _OLD_SECRET_LIVES,
            updated_at=func.now(),
        )
    )
    await connection.execute(replaced)


async def remove(connection: AsyncConnection, client_id: str, endpoint_id: str) -> bool:
    """The endpoint and its deliveries. False if it is not there, or not this client's."""
    of_client = (webhook_endpoints.c.id == endpoint_id, webhook_endpoints.c.client_id == client_id)
    return (await connection.execute(delete(webhook_endpoints).where(*of_client))).rowcount > 0


async def has_answered(connection: AsyncConnection, endpoint_id: str) -> None:
    """One of its deliveries has succeeded."""
    failing = webhook_endpoints.c.failing_since.is_not(None)
    await connection.execute(
        update(webhook_endpoints).where(_OF_ID, failing).values(failing_since=None), {"of_endpoint": endpoint_id}
    )


async def has_failed(connection: AsyncConnection, endpoint_id: str, patience: timedelta) -> bool:
    """One of its deliveries has failed. Returns whether all have for so long that patience is at its end."""
    since = func.coalesce(webhook_endpoints.c.failing_since, func.now())
    failed = update(webhook_endpoints).where(_OF_ID).values(failing_since=since)
    over = failed.returning(webhook_endpoints.c.failing_since <= func.now() - patience)
    return bool(await connection.scalar(over, {"of_endpoint": endpoint_id}))


async def disable(connection: AsyncConnection, endpoint_id: str, reason: DisabledReason) -> None:
    """Gives up its deliveries, which stay replayable, and tells the client's other endpoints, unless the client has asked for it."""
    disabled = (
        update(webhook_endpoints)
        .where(_OF_ID, webhook_endpoints.c.disabled_at.is_(None))
        .values(disabled_at=func.now(), disabled_reason=reason, updated_at=func.now())
    )
    if (await connection.execute(disabled, {"of_endpoint": endpoint_id})).rowcount == 0:
        return
    await connection.execute(
        update(webhook_deliveries)
        .where(webhook_deliveries.c.endpoint_id == endpoint_id, webhook_deliveries.c.state == "pending")
        .values(state="given_up")
    )
    if reason != "by_client":
        await connection.execute(_TELL_OTHERS, {"of_endpoint": endpoint_id})


async def enable(connection: AsyncConnection, endpoint_id: str) -> None:
    """Its patience begins anew."""
    await change(connection, endpoint_id, {"disabled_at": None, "disabled_reason": None, "failing_since": None})


def _new_secret() -> str:
    return f"whsec_{base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()}"


def _stored(row: RowMapping) -> StoredEndpoint:
    return StoredEndpoint.model_validate({**row, "endpoint_id": row["id"]})
