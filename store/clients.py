"""API clients and their tokens; only a token's SHA-256 is kept."""

import hashlib

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from schema.model import Message
from schema.references import new_id
from schema.tables import api_clients
from store.database import Database


class ApiClient(Message):
    client_id: str
    name: str
    scopes: frozenset[str]


def token_hash(token: str) -> bytes:
    """Tokens are long random strings, so a plain hash is enough: there is nothing to guess."""
    return hashlib.sha256(token.encode()).digest()


async def ensure_client(database: Database, *, name: str, scopes: list[str], token: str) -> str:
    """Creates the client of this name, or gives it this token and these scopes; returns its id."""
    values = {"name": name, "scopes": scopes, "token_hash": token_hash(token)}
    statement = insert(api_clients).values(id=new_id("cli"), **values)
    statement = statement.on_conflict_do_update(index_elements=["name"], set_=values).returning(api_clients.c.id)
    async with database.transaction() as connection:
        return str(await connection.scalar(statement))


async def find_by_token(connection: AsyncConnection, token: str) -> ApiClient | None:
    """The client a token belongs to, unless it was disabled."""
    row = (
        await connection.execute(
            select(api_clients.c.id, api_clients.c.name, api_clients.c.scopes).where(
                api_clients.c.token_hash == token_hash(token), api_clients.c.disabled_at.is_(None)
            )
        )
    ).one_or_none()
    return None if row is None else ApiClient(client_id=row.id, name=row.name, scopes=frozenset(row.scopes))
