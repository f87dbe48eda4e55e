"""One supervisor for a data directory: a file lock that the system takes back from whoever dies, however it dies."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Final

from sandbox.supervisor import StackError

_NAME: Final = "stack.lock"
_ATTEMPTS: Final = 10
_BETWEEN_ATTEMPTS_S: Final = 0.01


class StackLock:
    """Held while a stack runs. The pid in the file counts only as long as the lock is held, so it is never stale."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Raises StackError when a stack runs there already."""
        descriptor = os.open(self._data / _NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if not _locked(descriptor):
            holder = _read_pid(descriptor)
            os.close(descriptor)
            by = f" (pid {holder})" if holder else ""
            raise StackError(f"a stack is running in {self._data} already{by}; `travelhub down` stops it")
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """The file stays: removing it would let two processes lock two files of one name."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _locked(descriptor: int) -> bool:
    """Tries more than once: whoever only asks with `lock_holder` has the lock for some microseconds."""
    for _ in range(_ATTEMPTS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_BETWEEN_ATTEMPTS_S)
        else:
            return True
    return False


def lock_holder(data: Path) -> int | None:
    """The pid of the supervisor that runs there: 0 if it has not written it yet, None if nobody runs."""
    try:
        descriptor = os.open(data / _NAME, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except PermissionError:
        raise StackError(f"{data} belongs to another user; choose a directory of yours with --data") from None
    try:
        # Shared, so that two who only ask do not take each other for the holder.
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_pid(descriptor)
    finally:
        os.close(descriptor)
    return None


def _read_pid(descriptor: int) -> int:
    text = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
    return int(text) if text.isdecimal() else 0
