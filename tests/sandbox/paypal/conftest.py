"""One served sandbox for all tests of a file, which each of them finds empty."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sandbox.conftest import RunningSandbox, serve
from tests.sandbox.paypal.client import PayPalClient


@pytest.fixture(scope="module")
def served() -> Iterator[RunningSandbox]:
    with serve(seed=7) as running:
        yield running


@pytest.fixture(scope="module")
def client(served) -> Iterator[PayPalClient]:
    """A client whose token outlives every reset."""
    with PayPalClient(served) as client:
        yield client


@pytest.fixture
def sandbox(served) -> RunningSandbox:
    """The sandbox, which has forgotten everything."""
    assert served.control.post("/reset").status_code == 204
    return served


@pytest.fixture
def api(sandbox, client) -> PayPalClient:
    """A client of the sandbox, whose every answer is held against the contracts."""
    return client
