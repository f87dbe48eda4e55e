"""One child process: started so that it cannot outlive us, watched without polling, signalled without a race."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
# Looked up here, once: between fork and exec there must be nothing left to import.
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True)
class Account:
    """A user that a child runs as instead of ours."""

    uid: int
    gid: int


def _die_with_parent(parent_pid: int, death_signal: signal.Signals) -> None:
    """Runs in the child before exec. Linux ties the child to the *thread* that forked it: start children from a thread
    that lives as long as the stack, such as the main one. Elsewhere the next start clears what a crash left."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(death_signal))
        if os.getppid() != parent_pid:  # it died before we asked
            os._exit(1)


class Process:
    """A running child, leader of its own session: a Ctrl-C on the terminal reaches us, not it, and we stop it in order."""

    def __init__(self, popen: subprocess.Popen[bytes]) -> None:
        self._popen = popen
        self._loop = asyncio.get_running_loop()
        self.exited: asyncio.Future[int] = self._loop.create_future()
        self.started = time.monotonic()
        threading.Thread(target=self._watch, name=f"watch-{popen.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def age_s(self) -> float:
        return time.monotonic() - self.started

    def send(self, number: int) -> None:
        """Signals the child; nothing happens when it has exited."""
        if not self.exited.done():
            # Only `_reap`, on this same thread, frees the pid: until then it cannot belong to anyone else.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    async def terminate(self, number: int, timeout_s: float, hurried: asyncio.Event) -> bool:
        """Asks with the signal, waits, then kills; True when it went by itself."""
        self.send(number)
        self.send(signal.SIGCONT)  # a stopped process would never see the request
        impatience = asyncio.ensure_future(hurried.wait())
        try:
            await asyncio.wait({self.exited, impatience}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            went = self.exited.done()
            if not went:
                self.kill()
            await self.exited
            return went
        finally:
            impatience.cancel()

    def kill(self) -> None:
        """Ends the child and whatever it started within its session."""
        if not self.exited.done():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)

    def _watch(self) -> None:
        """In a thread of its own: waits for the exit. Where the system can, the child is left unreaped for the loop's thread."""
        if sys.platform == "linux":
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        else:
            self._popen.wait()
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to be told
            self._loop.call_soon_threadsafe(self._reap)

    def _reap(self) -> None:
        if sys.platform == "linux":
            # The pid is still ours while the child is a zombie, so this hits its own left-over children or nobody.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.pid, signal.SIGKILL)
        if not self.exited.done():
            self.exited.set_result(self._popen.wait())


def spawn(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    log: Path,
    account: Account | None = None,
    death_signal: signal.Signals = signal.SIGKILL,
) -> Process:
    """Starts a child whose output goes to the end of `log`; it gets `death_signal` should we die without a word."""
    prepare: Callable[[], None] = partial(_die_with_parent, os.getpid(), death_signal)
    with log.open("ab") as output:
        popen = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            start_new_session=True,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            preexec_fn=prepare,  # noqa: PLW1509  # runs one system call, looked up beforehand
        )
    return Process(popen)


def describe_exit(returncode: int) -> str:
    """How a child ended, in words."""
    if returncode >= 0:
        return f"exited with code {returncode}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-returncode).name}"
    return f"was ended by signal {-returncode}"
