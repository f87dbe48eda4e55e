"""The API as a process: it serves, logs in JSON when told to, and stops in order while somebody waits."""

import asyncio
import json
import signal

import httpx
import pytest

from sandbox.stack import Stack
from store.database import Database
from tests.api.conftest import Minting, booking_body, saved_offers
from tests.api.process import api_process, free_port, lives


@pytest.mark.slow
async def test_it_stops_in_order_while_somebody_waits(servers: Stack, mint: Minting, database: Database) -> None:
    port = free_port()
    caller = await mint()
    body = booking_body(await saved_offers(database, caller.client_id))
    headers = {"Authorization": f"Bearer {caller.token}", "Idempotency-Key": "waits-until-the-end", "Prefer": "wait=30"}
    async with (
        api_process(servers, port) as process,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=40) as http,
    ):
        await lives(http, process)
        waiting = asyncio.create_task(http.post("/v1/bookings", json=body, headers=headers))
        while (await caller.get("/v1/bookings")).json()["bookings"] == []:
            assert not waiting.done()
        process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(15):
            answer = await waiting
            log = (await process.stderr.read()).decode()
            # Uvicorn ends by the signal it was sent, once it has served everybody.
            assert await process.wait() in (0, -signal.SIGTERM)
    assert (answer.status_code, answer.json()["state"]) == (202, "PENDING")
    lines = [json.loads(line) for line in log.splitlines()]
    served = next(line for line in lines if line.get("route") == "/v1/bookings")
    assert served["correlation_id"] == answer.headers["x-correlation-id"]
    assert caller.token not in log
    assert "Lovelace" not in log
