"""What a stack remembers between starts, who may use a data directory, and where sockets and ports go."""

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from sqlalchemy import make_url
from sqlalchemy.dialects import postgresql

from sandbox.stack import _end_leftovers
from sandbox.stack_accounts import give
from sandbox.stack_lock import StackLock, lock_holder
from sandbox.stack_ports import choose_ports, is_free
from sandbox.stack_postgres import _end_stale_server
from sandbox.stack_state import (
    PartRecord,
    Ports,
    StackState,
    choose_socket_directory,
    find_data_directory,
    fits_socket_path,
)
from sandbox.supervisor import StackError
from schema.settings import SettingsError
from tests.stack.waiting import is_alive, until

_PORTS = Ports(valkey=1, temporal=2, temporal_ui=3, sandbox=4, api=5)


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith("TRAVELHUB_")]:
        monkeypatch.delenv(name)


def _state(data):
    return StackState(data=data, socket_directory=data / "run", ports=_PORTS)


def _root():
    return Path(__file__).parents[2]


def test_state_survives_and_only_its_owner_can_read_it(tmp_path):
    state = _state(tmp_path)
    state.save()
    assert StackState.load(tmp_path) == state
    assert stat.S_IMODE(StackState.path(tmp_path).stat().st_mode) == 0o600


def test_secrets_do_not_show_in_a_representation(tmp_path):
    state = _state(tmp_path)
    shown = repr(state)
    kept = [*state.secrets.model_dump().values(), *state.tokens.model_dump().values()]
    assert not [secret for secret in kept if secret in shown]


def test_a_state_that_is_missing_or_damaged_is_told_in_words(tmp_path):
    with pytest.raises(StackError, match=r"there is no stack in .*`travelhub up`"):
        StackState.load(tmp_path)
    StackState.path(tmp_path).write_text("{")
    with pytest.raises(StackError, match="is damaged"):
        StackState.load(tmp_path)


def test_the_environment_is_complete_and_can_be_added_to(tmp_path):
    state = _state(tmp_path / "with spaces & such")
    state.overrides = {"TRAVELHUB_SAGA__CONSENT_TIMEOUT_S": "7", "TRAVELHUB_LOG_LEVEL": "debug"}
    before = dict(os.environ)
    settings = state.settings()
    assert dict(os.environ) == before
    assert settings.saga.consent_timeout_s == 7
    assert settings.log_level == "debug"
    assert settings.stripe_webhook_secret.get_secret_value() == state.secrets.stripe_webhook_secret
    assert str(settings.valkey_url).endswith(f"{state.secrets.valkey_password}@127.0.0.1:1/0")


def test_the_database_is_reached_through_its_socket(tmp_path):
    state = _state(tmp_path / "with spaces & such")
    url = make_url(str(state.settings().database_url))
    _, arguments = postgresql.psycopg.dialect().create_connect_args(url)
    assert arguments["host"] == str(state.socket_directory)
    assert (arguments["user"], arguments["dbname"]) == ("travelhub", "travelhub")


def test_a_wrong_variable_is_a_settings_error(tmp_path, monkeypatch):
    monkeypatch.setenv("TRAVELHUB_LOG_LEVEL", "loud")
    with pytest.raises(SettingsError, match="TRAVELHUB_LOG_LEVEL"):
        _state(tmp_path).settings()


def test_the_data_directory_is_as_chosen_else_by_variable_else_here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_data_directory() == tmp_path / ".travelhub"
    monkeypatch.setenv("TRAVELHUB_DATA", "elsewhere")
    assert find_data_directory() == tmp_path / "elsewhere"
    assert find_data_directory(tmp_path / "there") == tmp_path / "there"


def test_a_second_one_is_told_who_holds_the_directory(tmp_path):
    assert lock_holder(tmp_path) is None
    first, second = StackLock(tmp_path), StackLock(tmp_path)
    first.acquire()
    assert lock_holder(tmp_path) == os.getpid()
    with pytest.raises(StackError, match=rf"is running in .* already \(pid {os.getpid()}\); `travelhub down`"):
        second.acquire()
    first.release()
    assert lock_holder(tmp_path) is None
    second.acquire()
    second.release()


def test_a_lock_does_not_outlive_its_holder(tmp_path):
    program = "import sys, time; from pathlib import Path; from sandbox.stack_lock import StackLock\n"
    program += "StackLock(Path(sys.argv[1])).acquire(); time.sleep(1000)"
    holder = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], cwd=_root())
    try:
        until(lambda: lock_holder(tmp_path) == holder.pid)
    finally:
        holder.kill()
        holder.wait()
    assert lock_holder(tmp_path) is None


def test_asking_who_holds_the_lock_never_keeps_anyone_from_taking_it(tmp_path):
    lock = StackLock(tmp_path)
    lock.acquire()
    lock.release()
    program = "import sys; from pathlib import Path; from sandbox.stack_lock import lock_holder\n"
    program += "print(flush=True)\nwhile True: lock_holder(Path(sys.argv[1]))"
    asking = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], cwd=_root(), stdout=subprocess.PIPE)
    with asking:
        asking.stdout.readline()
        try:
            for _ in range(50):
                lock.acquire()
                lock.release()
        finally:
            asking.kill()


def test_a_socket_gets_a_short_path_when_the_checkout_is_deep(tmp_path):
    shallow, deep = Path("/data"), tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    assert choose_socket_directory(shallow, 1000) == shallow / "run"
    chosen = choose_socket_directory(deep, 1000)
    assert len(str(chosen)) < 50
    assert fits_socket_path(chosen)
    assert choose_socket_directory(deep, 1000) == chosen, "the same at the next start"


def test_the_limit_is_that_of_the_system(tmp_path):
    """107 bytes, counted in bytes: one more and binding fails."""
    for extra in (0, 1):
        room = 107 - len(os.fsencode(tmp_path / "x" / ".s.PGSQL.5432")) + 1
        directory = tmp_path / ("é" * (room // 2) + "x" * (room % 2) + "x" * extra)
        directory.mkdir()
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.bind(str(directory / ".s.PGSQL.5432"))
                fits = True
            except OSError:
                fits = False
        assert fits_socket_path(directory) is fits is (extra == 0)


def test_a_socket_directory_that_someone_else_prepared_is_refused(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StackError, match="belongs to another user"):
        give(tmp_path / "link", None)


def test_ports_are_those_of_last_time_when_they_are_free():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        first = choose_ports({}, None)
        assert len(set(first.model_dump().values())) == 5
        assert choose_ports({}, first) == first
        moved = choose_ports({}, first.model_copy(update={"api": port}))
        assert moved.api != port
        assert moved.model_copy(update={"api": 0}) == first.model_copy(update={"api": 0})
        with pytest.raises(StackError, match=f"port {port}, asked for as temporal ui port, is in use"):
            choose_ports({"temporal_ui": port}, None)
    assert is_free(port)
    with pytest.raises(StackError, match="asked for twice"):
        choose_ports({"api": port, "valkey": port}, None)
    assert choose_ports({"api": first.valkey}, first).valkey != first.valkey


def test_only_processes_of_the_earlier_run_are_ended(tmp_path):
    """A pid alone may have become someone else's; with the time of its creation it cannot."""
    sleepers = [subprocess.Popen(["sleep", "1000"]) for _ in range(2)]
    try:
        ours, other = sleepers
        state = _state(tmp_path)
        created_at = psutil.Process(ours.pid).create_time()
        record = {"ready": True, "starts": 1, "log": tmp_path / "log"}
        state.parts = {
            "worker": PartRecord(pid=ours.pid, created_at=created_at, **record),
            "api": PartRecord(pid=other.pid, created_at=created_at - 100, **record),
        }
        said = []
        _end_leftovers(state, said.append)
        assert not is_alive(ours.pid)
        assert is_alive(other.pid)
        assert len(said) == 1
    finally:
        for sleeper in sleepers:
            sleeper.kill()
            sleeper.wait()


def test_a_pid_file_of_postgres_that_names_a_stranger_is_defused(tmp_path):
    pid_file = tmp_path / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{tmp_path}\n1\n5432\n/run\n\n  1 2\nready\n")
    _end_stale_server(tmp_path, pytest.fail)
    first, *rest = pid_file.read_text().splitlines()
    assert not psutil.pid_exists(int(first))
    assert rest == [str(tmp_path), "1", "5432", "/run", "", "  1 2", "ready"], "PostgreSQL still needs these"
