"""The real servers, started once for a session: a fresh, migrated PostgreSQL, a Valkey, and a Temporal dev server.

Tests share them and stay apart by their own clients and ids.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
import pytest_asyncio
import structlog

from sandbox.stack import Stack, running_stack
from schema.settings import Settings
from store.migrate import migrate
from workers.bootstrap import bootstrap


@pytest.fixture(autouse=True)
def logging_of_its_own() -> Iterator[None]:
    """How a command that a test runs in this process logs is not how the tests after it do."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.fixture(scope="session")
def say(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Prints past pytest's capture: a test that takes minutes shows that it moves."""
    manager = request.config.pluginmanager.getplugin("capturemanager")

    def aloud(text: str) -> None:
        with manager.global_and_fixture_disabled():
            sys.stdout.write(text)
            sys.stdout.flush()

    return aloud


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    """PostgreSQL (migrated), Valkey and Temporal (bootstrapped); no process of ours, no vendor."""
    directory = tmp_path_factory.mktemp("servers")
    async with running_stack(directory, workers=0, api=False, vendors=False, migrate=False) as stack:
        await asyncio.to_thread(migrate, stack.state.database_url)
        await bootstrap(stack.settings())
        yield stack


@pytest.fixture(scope="session")
def settings(servers: Stack) -> Settings:
    """What a process against these servers would load."""
    return servers.settings()


@pytest.fixture(scope="session")
def postgres_url(servers: Stack) -> str:
    """A migrated database, fresh for the session."""
    return servers.state.database_url


@pytest.fixture(scope="session")
def valkey_url(servers: Stack) -> str:
    return servers.state.valkey_url


@pytest.fixture(scope="session")
def temporal_address(servers: Stack) -> str:
    return servers.state.temporal_address
