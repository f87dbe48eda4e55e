"""Disruptions as they are kept."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.disruptions import Disruption
from schema.tables import disruptions


async def get(connection: AsyncConnection, disruption_id: str) -> Disruption | None:
    query = select(disruptions).where(disruptions.c.id == disruption_id)
    row = (await connection.execute(query)).mappings().one_or_none()
    return None if row is None else Disruption.model_validate({**row, "disruption_id": row["id"]})
