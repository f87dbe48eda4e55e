"""Ports for a stack: those asked for, else those it had last time, else free ones."""

from __future__ import annotations

import random
import socket
from collections.abc import Mapping

from sandbox.stack_state import HOST, Ports
from sandbox.supervisor import StackError

# Below the range that systems take ports of outgoing connections from: a server that is restarted finds its own free.
_RANGE = range(20_000, 30_000)


def choose_ports(wanted: Mapping[str, int], remembered: Ports | None) -> Ports:
    """Raises StackError when a port that was asked for is taken; a remembered one that is taken is replaced."""
    chosen: dict[str, int] = {}
    for name, port in wanted.items():
        if port in chosen.values():
            raise StackError(f"port {port} is asked for twice")
        if not is_free(port):
            raise StackError(f"port {port}, asked for as {name.replace('_', ' ')} port, is in use")
        chosen[name] = port
    for name in Ports.model_fields:
        if name in chosen:
            continue
        last: int | None = getattr(remembered, name, None)
        usable = last is not None and last not in chosen.values() and is_free(last)
        chosen[name] = last if last is not None and usable else _free_port(set(chosen.values()))
    return Ports.model_validate(chosen)


def is_free(port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as probe:
        # As servers do: connections of a predecessor that linger must not keep the port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _free_port(taken: set[int]) -> int:
    dice = random.SystemRandom()
    for _ in range(1000):
        port = dice.choice(_RANGE)
        if port not in taken and is_free(port):
            return port
    raise StackError(f"no free port found between {_RANGE.start} and {_RANGE.stop}")
