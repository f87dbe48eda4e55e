"""The `travelhub` command as a user meets it: quick help, mistakes told in words, a stack in the background."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from sandbox.stack_lock import lock_holder
from sandbox.stack_state import StackState
from tests.stack.waiting import is_alive, until

_ROOT = Path(__file__).parents[2]
# Whatever the machine has set must not decide what these tests see.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("TRAVELHUB_", "TEMPORAL_"))}


def _travelhub(*words, timeout_s=60, **environment):
    return subprocess.run(
        [sys.executable, "-P", "-m", "cli", *words],
        cwd=_ROOT,
        env=_ENVIRONMENT | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
    )


def test_help_does_not_load_the_house():
    program = "import cli, sys; print(*sorted({'sqlalchemy', 'temporalio', 'fastapi', 'pydantic'} & set(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", program], cwd=_ROOT, capture_output=True, text=True, check=True)
    assert loaded.stdout.strip() == ""
    shown = _travelhub("--help")
    assert shown.returncode == 0
    commands = ("up", "down", "status", "api", "worker", "relay", "migrate", "sandbox", "bootstrap", "demo", "audit")
    for command in (*commands, "suppliers", "cases", "dead-letters"):
        assert f" {command} " in shown.stdout


@pytest.mark.parametrize("command", ["api", "worker", "migrate", "bootstrap"])
def test_missing_settings_are_all_named_and_exit_2(command):
    done = _travelhub(command)
    assert done.returncode == 2
    assert "TRAVELHUB_DATABASE_URL: Field required" in done.stderr
    assert "TRAVELHUB_STRIPE_API_KEY: Field required" in done.stderr
    assert "Traceback" not in done.stderr, done.stderr


@pytest.mark.parametrize("command", ["migrate", "bootstrap", "worker"])
def test_surroundings_that_are_away_are_told_in_words(command, tmp_path):
    state = StackState.model_validate(
        {
            "data": tmp_path,
            "socket_directory": tmp_path,
            "ports": dict.fromkeys(("valkey", "temporal", "temporal_ui", "sandbox", "api"), 9),
        }
    )
    done = _travelhub(command, **state.environment())
    assert done.returncode == 1
    assert "travelhub: " in done.stderr, done.stderr
    assert "Traceback" not in done.stderr, done.stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["up", "--workers", "99"], "--workers"),
        (["up", "--api-port", "99999"], "--api-port"),
        (["up", "--temporal-synchronous", "off"], "--temporal-synchronous"),
        (["nonsense"], "nonsense"),
    ],
)
def test_a_wrong_option_is_a_usage_error(words, says, tmp_path):
    done = _travelhub(*words, TRAVELHUB_DATA=str(tmp_path))
    assert done.returncode == 2
    assert says in done.stderr
    assert "Traceback" not in done.stderr, done.stderr


def test_a_directory_that_cannot_be_used_is_told_in_words(tmp_path):
    (tmp_path / "file").touch()
    done = _travelhub("up", "--data", str(tmp_path / "file" / "data"))
    assert done.returncode == 1
    assert "Not a directory" in done.stderr
    assert "Traceback" not in done.stderr, done.stderr


def test_where_nothing_runs_down_and_status_say_so(tmp_path):
    for words, code in ((["down"], 0), (["status"], 1)):
        done = _travelhub(*words, "--data", str(tmp_path / "none"))
        assert done.returncode == code
        assert "no stack runs in" in done.stdout
    done = _travelhub("audit", "--data", str(tmp_path / "none"))
    assert done.returncode == 1
    assert "start it with `travelhub up`" in done.stderr


@pytest.fixture
def detached(tmp_path):
    """A stack of servers and vendors in the background, in a folder whose name alone would fill a terminal."""
    data = tmp_path / ("a-long-name" * 10) / "data"
    done = _travelhub("up", "--detach", "--workers", "0", "--no-api", "--data", str(data))
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        yield data
    finally:
        _travelhub("down", "--data", str(data))
        assert lock_holder(data) is None


@pytest.mark.stack
def test_a_stack_runs_in_the_background_until_it_is_stopped(detached):
    state = StackState.load_running(detached)
    pids = [part.pid for part in state.parts.values()]
    assert set(state.parts) == {"postgres", "valkey", "temporal", "sandbox"}
    assert all(psutil.pid_exists(pid) for pid in pids)

    for words in (["up"], ["up", "--detach"]):
        second = _travelhub(*words, "--data", str(detached))
        assert second.returncode == 1
        assert f"is running in {detached} already (pid {state.supervisor_pid})" in second.stderr

    shown = _travelhub("status", "--data", str(detached))
    assert shown.returncode == 0
    for name in state.parts:
        assert f"{name}.log" in shown.stdout
    assert state.temporal_ui_url in shown.stdout

    stopped = _travelhub("down", "--data", str(detached))
    assert (stopped.returncode, stopped.stdout.splitlines()[-1]) == (0, "stopped")
    assert not any(is_alive(pid) for pid in pids)
    assert not is_alive(state.supervisor_pid)


@pytest.mark.stack
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the next start clears up")
def test_a_killed_supervisor_leaves_nothing_and_the_next_start_works(detached):
    state = StackState.load_running(detached)
    os.kill(state.supervisor_pid, signal.SIGKILL)
    until(lambda: not any(is_alive(part.pid) for part in state.parts.values()))
    assert lock_holder(detached) is None
    again = _travelhub("up", "--detach", "--workers", "0", "--no-api", "--data", str(detached))
    assert again.returncode == 0, again.stdout + again.stderr
    assert StackState.load_running(detached).ports == state.ports


@pytest.mark.stack
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_it_starts_stops_it_in_good_order(number, tmp_path):
    data = tmp_path / "data"
    command = [sys.executable, "-P", "-m", "cli", "up", "--workers", "0", "--no-api", "--data", str(data)]
    with subprocess.Popen(command, cwd=_ROOT, env=_ENVIRONMENT, stdout=subprocess.PIPE, text=True) as starting:
        until(lambda: lock_holder(data) and StackState.path(data).exists() and StackState.load(data).parts)
        starting.send_signal(number)
        output, _ = starting.communicate(timeout=30)
    assert starting.returncode == 0
    assert "stopped; the data stay" in output
    assert lock_holder(data) is None
    assert not any(part.pid for part in StackState.load(data).parts.values())


@pytest.mark.stack
def test_a_start_that_fails_shows_why_and_leaves_nothing(tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    (data / "valkey").touch()  # where Valkey's directory should be
    for words in (["up"], ["up", "--detach"]):
        done = _travelhub(*words, "--workers", "0", "--no-api", "--no-vendors", "--data", str(data))
        assert done.returncode == 1
        assert "valkey does not get ready" in done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        assert lock_holder(data) is None
