"""The supervisor, with small shell programs for parts: what dies comes back, what is stopped stays, nothing is left."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import supervisor as supervisor_module
from sandbox.supervisor import Part, StackError, Supervisor
from tests.stack.waiting import is_alive, until, until_async

# Appends its name to the file of stopped parts when asked to stop. `wait`, not `sleep`, so that it hears at once.
_OBEDIENT = "trap 'echo {name} >> {folder}/stopped; exit 0' TERM; echo $$ > {folder}/{name}.pid; sleep 1000 & wait"
_DEAF = "trap '' TERM; echo $$ > {folder}/{name}.pid; while :; do sleep 1000 & wait; done"


def _part(folder, name, program=_OBEDIENT, **more):
    pid_file = folder / f"{name}.pid"

    async def ready(pid):
        return pid_file.exists() and pid_file.read_text() == f"{pid}\n"

    script = program.format(folder=folder, name=name)
    settings = {"stop_timeout_s": 5, "ready_timeout_s": 10, "ready": ready} | more
    return Part(
        name=name,
        command=["/bin/sh", "-c", script],
        environment={"PATH": os.environ["PATH"]},
        log=folder / f"{name}.log",
        **settings,
    )


@pytest.fixture
async def supervisor():
    said = []
    made = Supervisor(said.append)
    made.said = said
    yield made
    made.hurry()
    await made.stop()


async def test_what_dies_is_restarted_with_growing_backoff_and_that_is_said(supervisor, tmp_path):
    await supervisor.start(_part(tmp_path, "one"))
    pids = {supervisor["one"].process.pid}
    for starts in range(1, 4):
        os.kill(supervisor["one"].process.pid, signal.SIGKILL)
        await supervisor["one"].wait_restarted(timeout_s=10, after_starts=starts)
        pids.add(supervisor["one"].process.pid)
    assert len(pids) == 4
    deaths = [line for line in supervisor.said if "was ended by SIGKILL" in line]
    assert [line.partition("again in ")[2].partition(";")[0] for line in deaths] == ["0.2 s", "0.4 s", "0.8 s"]
    assert all(str(tmp_path / "one.log") in line for line in deaths)


async def test_backoff_starts_over_for_a_part_that_lived_long(supervisor, tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor_module, "FORGIVEN_AFTER_S", 0.0)
    await supervisor.start(_part(tmp_path, "one"))
    for starts in range(1, 3):
        os.kill(supervisor["one"].process.pid, signal.SIGKILL)
        await supervisor["one"].wait_restarted(timeout_s=10, after_starts=starts)
    assert sum("again in 0.2 s" in line for line in supervisor.said) == 2


async def test_a_part_that_was_killed_on_purpose_is_not_made_to_wait(supervisor, tmp_path):
    await supervisor.start(_part(tmp_path, "one"))
    for _ in range(2):
        supervisor["one"].kill(signal.SIGKILL)
        await supervisor["one"].wait_restarted(timeout_s=10)
    assert sum("again in 0.2 s" in line for line in supervisor.said) == 2


async def test_an_exit_code_is_said_and_the_end_of_the_log_shown_when_a_part_cannot_start(supervisor, tmp_path):
    with pytest.raises(StackError) as failure:
        await supervisor.start(_part(tmp_path, "broken", "echo no such port; exit 7"))
    assert "broken does not get ready: it exited with code 7" in str(failure.value)
    assert "no such port" in str(failure.value)
    assert supervisor["broken"].deaths == supervisor_module.DEATHS_WHILE_STARTING


async def test_a_program_that_does_not_exist_is_told(supervisor, tmp_path):
    async def never(_):
        return False

    part = Part(name="gone", command=["/nowhere"], environment={}, log=tmp_path / "gone.log", ready=never)
    with pytest.raises(StackError, match=r"cannot be started.*No such file"):
        await supervisor.start(part)


async def test_a_part_that_never_answers_is_given_up_at_its_deadline(supervisor, tmp_path):
    async def refuses(_):
        raise ConnectionRefusedError("nobody there")

    with pytest.raises(StackError, match="mute does not get ready: ConnectionRefusedError: nobody there"):
        await supervisor.start(_part(tmp_path, "mute", ready=refuses, ready_timeout_s=0.3))
    assert supervisor["mute"].process is None


async def test_parts_stop_in_reverse_order(supervisor, tmp_path):
    await supervisor.start(_part(tmp_path, "first"), _part(tmp_path, "second"))
    await supervisor.start(_part(tmp_path, "third"))
    await supervisor.stop()
    assert (tmp_path / "stopped").read_text().split() == ["third", "second", "first"]


async def test_a_part_that_will_not_stop_is_killed_at_its_deadline_and_that_is_said(supervisor, tmp_path):
    await supervisor.start(_part(tmp_path, "deaf", _DEAF, stop_timeout_s=0.2))
    pid = supervisor["deaf"].process.pid
    await supervisor.stop()
    assert not is_alive(pid)
    assert any("deaf" in line and "was killed" in line for line in supervisor.said)


async def test_in_a_hurry_nothing_is_waited_for(supervisor, tmp_path):
    await supervisor.start(_part(tmp_path, "deaf", _DEAF, stop_timeout_s=1000))
    stopping = asyncio.create_task(supervisor.stop())
    supervisor.hurry()
    async with asyncio.timeout(5):
        await stopping


async def test_a_part_stopped_by_hand_stays_stopped_until_it_is_started(supervisor, tmp_path):
    await supervisor.start(_part(tmp_path, "one"))
    await supervisor.stop_part("one")
    assert not supervisor["one"].wanted
    assert supervisor["one"].process is None
    await supervisor["one"].start()
    assert supervisor["one"].ready
    assert supervisor["one"].starts == 2


async def test_a_part_that_is_frozen_can_still_be_stopped(supervisor, tmp_path):
    await supervisor.start(_part(tmp_path, "one"))
    supervisor["one"].kill(signal.SIGSTOP)
    await supervisor.stop()
    assert (tmp_path / "stopped").read_text().split() == ["one"]


async def test_a_death_of_its_own_accord_can_be_waited_for(supervisor, tmp_path):
    await supervisor.start(_part(tmp_path, "one"))
    seen = supervisor["one"].starts
    os.kill(supervisor["one"].process.pid, signal.SIGKILL)  # not through the supervisor: it has to notice
    await supervisor["one"].wait_restarted(timeout_s=10, after_starts=seen)
    assert supervisor["one"].starts == seen + 1


async def test_hooks_run_at_every_start_and_a_failing_one_is_tried_again(supervisor, tmp_path):
    calls = []

    async def before():
        calls.append("before")
        if len(calls) == 1:
            raise OSError("not yet")

    async def after():
        calls.append("after")

    await supervisor.start(_part(tmp_path, "one", before_start=before, after_ready=after))
    supervisor["one"].kill(signal.SIGKILL)
    await supervisor["one"].wait_restarted(timeout_s=10)
    assert calls == ["before", "before", "after", "before", "after"]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets the supervisor find these")
async def test_what_a_killed_part_had_started_goes_with_it(supervisor, tmp_path):
    program = "sleep 1000 & echo $! > {folder}/grandchild; echo $$ > {folder}/{name}.pid; wait"
    await supervisor.start(_part(tmp_path, "parent", program))
    grandchild = int((tmp_path / "grandchild").read_text())
    supervisor["parent"].kill(signal.SIGKILL)
    await until_async(lambda: not is_alive(grandchild))


_SUPERVISING = """
import asyncio, sys
from pathlib import Path
from sandbox.supervisor import Supervisor
from tests.stack.test_supervisor import _DEAF, _part

async def main(folder):
    await Supervisor(print).start(_part(folder, "deaf", _DEAF), _part(folder, "obedient"))
    (folder / "ready").touch()
    await asyncio.Event().wait()

asyncio.run(main(Path(sys.argv[1])))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start clears up")
def test_no_orphan_is_left_when_the_supervisor_is_killed(tmp_path):
    root = Path(__file__).parents[2]
    supervising = subprocess.Popen([sys.executable, "-c", _SUPERVISING, str(tmp_path)], cwd=root)
    try:
        until((tmp_path / "ready").exists)
        pids = [int((tmp_path / f"{name}.pid").read_text()) for name in ("deaf", "obedient")]
        assert all(is_alive(pid) for pid in pids)
    finally:
        supervising.kill()
        supervising.wait()
    until(lambda: not any(is_alive(pid) for pid in pids))
    assert not (tmp_path / "stopped").exists(), "it was not asked to stop, it was tied to its parent"
