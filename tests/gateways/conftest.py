"""One sandbox for all tests of this folder that want it; each starts with it empty."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from gateways.ports import Vendors
from gateways.registry import build_vendors
from schema.settings import Settings
from tests.gateways.support import WEBHOOK_SECRET
from tests.sandbox.conftest import RunningSandbox, serve


@pytest.fixture(scope="session")
def served_sandbox() -> Iterator[RunningSandbox]:
    with serve(seed=11) as running:
        yield running


@pytest.fixture
def sandbox(served_sandbox: RunningSandbox) -> RunningSandbox:
    served_sandbox.control.post("/reset")
    return served_sandbox


def settings_for(url: str, **changes: object) -> Settings:
    """Settings whose vendors are all at this sandbox."""
    return Settings.model_validate(
        {
            "database_url": "postgresql+psycopg://nobody@nowhere/none",
            "valkey_url": "redis://nowhere",
            "duffel_url": f"{url}/duffel",
            "duffel_token": "duffel_test_x",
            "rapid_url": f"{url}/rapid",
            "rapid_api_key": "key",
            "rapid_secret": "sandbox-rapid-secret",
            "stripe_url": f"{url}/stripe",
            "stripe_api_key": "sk_test_x",
            "stripe_webhook_secret": WEBHOOK_SECRET,
            "vendor_timeout_s": 5,
            "vendor_read_timeout_s": 5,
            **changes,
        }
    )


@pytest_asyncio.fixture
async def vendors(sandbox: RunningSandbox) -> AsyncIterator[Vendors]:
    registry = build_vendors(settings_for(sandbox.url))
    yield registry
    await registry.aclose()
