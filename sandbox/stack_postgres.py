"""PostgreSQL from its wheel: the cluster is made once, the server runs as our own child, the database is there when it answers."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psutil

from sandbox.stack_accounts import account_for, give, let_reach, let_read
from sandbox.stack_process import Account
from sandbox.stack_state import DATABASE, StackState
from sandbox.supervisor import Part, Say, StackError

_MAX_CONNECTIONS: Final = 100
_STALE_STOP_TIMEOUT_S: Final = 20
_PID_OF_NOBODY: Final = 2**30
"""Above what any kernel hands out."""


def postgres_part(state: StackState, environment: dict[str, str], log: Path, package: Path, say: Say) -> Part:
    """The server, started by ourselves and not by the wheel's helper, which detaches it from whoever should watch it."""
    programs = package / "pginstall"
    directory = state.data / "postgres"
    account = account_for(directory)
    options = {
        "listen_addresses": "",
        "unix_socket_directories": str(state.socket_directory),
        "unix_socket_permissions": "0700",
        "max_connections": str(_MAX_CONNECTIONS),
        "timezone": "UTC",
        "log_line_prefix": "%m [%p] ",
    }
    prepare = _Preparation(state, programs, account, environment, say)
    command = [str(programs / "bin" / "postgres"), "-D", str(directory)]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    return Part(
        name="postgres",
        command=command,
        environment=environment,
        log=log,
        account=account,
        before_start=prepare,
        ready=lambda _: _answers(state),
        # "Fast shutdown": ends open connections and flushes; what it would get from an administrator.
        stop_signal=signal.SIGINT,
        death_signal=signal.SIGINT,
        stop_timeout_s=20,
    )


@dataclass(frozen=True, slots=True)
class _Preparation:
    """What must be so before the server starts, the first time and every time."""

    state: StackState
    programs: Path
    account: Account | None
    environment: dict[str, str]
    say: Say

    async def __call__(self) -> None:
        """In a thread: the first time it takes some seconds."""
        await asyncio.to_thread(self._prepare)

    def _prepare(self) -> None:
        directory = self.state.data / "postgres"
        let_reach(self.programs / "bin" / "postgres", self.account, self.say)
        let_read(self.programs, self.account, self.say)
        let_reach(directory, self.account, self.say)
        give(self.state.socket_directory, self.account)
        if directory.exists():
            _end_stale_server(directory, self.say)
        else:
            self._make_cluster(directory)

    def _make_cluster(self, directory: Path) -> None:
        """Under another name, then renamed: an interrupted start leaves no half-made cluster behind."""
        half_made = directory.with_suffix(".new")
        if half_made.exists():
            shutil.rmtree(half_made)
        give(half_made, self.account)
        command = [str(self.programs / "bin" / "initdb"), "-D", str(half_made), "-U", DATABASE, "--auth=trust"]
        # The builtin locale sorts alike on every machine, whatever its C library.
        command += ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            env=self.environment,
            cwd="/",
            user=self.account.uid if self.account else None,
            group=self.account.gid if self.account else None,
            extra_groups=[] if self.account else None,
        )
        if done.returncode:
            raise StackError(f"initdb failed: {done.stderr.strip() or done.stdout.strip()}")
        half_made.rename(directory)


def _end_stale_server(directory: Path, say: Say) -> None:
    """After a crash, `postmaster.pid` may name a server that still runs. We hold the lock of the data directory, so it has
    no master any more and is stopped. Or the pid has become somebody else's, which would keep PostgreSQL from starting."""
    pid_file = directory / "postmaster.pid"
    try:
        first, *rest = pid_file.read_text().splitlines()
        process = psutil.Process(int(first))
    except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
        return  # a pid of nobody is no obstacle
    if "postgres" not in process.name() or str(directory) not in process.cmdline():
        # Not removed: its other lines let PostgreSQL see whether backends of the old server still use its memory.
        pid_file.write_text("\n".join([str(_PID_OF_NOBODY), *rest, ""]))
        return
    say(f"a PostgreSQL of an earlier run (pid {process.pid}) is still there; stopping it")
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(psutil.TimeoutExpired):
            process.wait(_STALE_STOP_TIMEOUT_S)
            return
        process.kill()
        process.wait(_STALE_STOP_TIMEOUT_S)


async def _answers(state: StackState) -> bool:
    """Answers, and has our database: it is made here, the first time PostgreSQL does."""
    from psycopg import AsyncConnection  # noqa: PLC0415  # 0.1 s that `travelhub down` need not wait

    opening = AsyncConnection.connect(
        host=str(state.socket_directory), user=DATABASE, dbname="postgres", connect_timeout=3, autocommit=True
    )
    async with await opening as connection:
        found = await connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE])
        if await found.fetchone() is None:
            await connection.execute(f"CREATE DATABASE {DATABASE}".encode())
    return True
