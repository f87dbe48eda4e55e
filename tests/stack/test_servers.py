"""The real PostgreSQL, Valkey and Temporal of the embedded stack."""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import ScheduleOverlapPolicy, ScheduleUpdate
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from sandbox.supervisor import StackError
from schema import search_attributes
from schema.settings import SettingsError
from tests.stack.up_down_up import database, servers, up_down_up
from workers.bootstrap import BootstrapError, bootstrap
from workers.temporal import temporal_connection

pytestmark = pytest.mark.stack


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch):
    for name in [name for name in os.environ if name.startswith(("TRAVELHUB_", "TEMPORAL_"))]:
        monkeypatch.delenv(name)


async def test_data_ports_and_secrets_survive_a_restart(tmp_path):
    await up_down_up(tmp_path / "data")


@contextmanager
def _ordinary_user():
    """A user of this test's own, gone afterwards."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user; the other tests run as an ordinary one already")
    for tool in ("useradd", "userdel", "setpriv"):
        if shutil.which(tool) is None:
            pytest.skip(f"there is no {tool} on this machine")
    name = f"thtest{os.getpid()}"
    made = subprocess.run(["useradd", "--no-create-home", name], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no user could be made: {made.stderr.strip()}")
    try:
        yield pwd.getpwnam(name)
    finally:
        subprocess.run(["userdel", name], capture_output=True, check=True)


def test_an_ordinary_user_can_run_it_too():
    # Reading, and only that, is allowed everywhere: root's interpreter and checkout may be closed to others.
    reading = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    with _ordinary_user() as user, tempfile.TemporaryDirectory(prefix="travelhub-") as directory:
        os.chown(directory, user.pw_uid, user.pw_gid)
        become = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *reading]
        allowed = subprocess.run([*become, "true"], capture_output=True, text=True, check=False)
        if allowed.returncode:
            pytest.skip(f"becoming another user is not allowed here: {allowed.stderr.strip()}")
        command = [*become, sys.executable, "-m", "tests.stack.up_down_up", f"{directory}/data"]
        environment = {"PATH": os.environ["PATH"], "HOME": directory, "PYTHONDONTWRITEBYTECODE": "1"}
        root = Path(__file__).parents[2]
        done = subprocess.run(
            command, cwd=root, env=environment, capture_output=True, text=True, check=False, timeout=90
        )
        assert done.stdout.endswith("kept\n"), done.stderr
        owners = {path.stat().st_uid for path in Path(directory).rglob("*")}
        assert owners == {user.pw_uid}


async def test_a_deep_directory_gets_its_socket_elsewhere(tmp_path):
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    async with servers(deep) as stack:
        assert not stack.state.socket_directory.is_relative_to(tmp_path)
        async with await database(stack) as connection:
            await connection.execute("SELECT 1")
        socket_directory = stack.state.socket_directory
    assert not list(socket_directory.iterdir())
    socket_directory.rmdir()


async def test_every_server_comes_back_after_a_crash_with_its_data(tmp_path):
    said = []
    async with servers(tmp_path / "data", say=said.append) as stack:
        async with await database(stack) as connection:
            await connection.execute("CREATE TABLE kept AS SELECT 1")
        for name in ("postgres", "valkey", "temporal"):
            before = stack.pid(name)
            stack.kill(name, signal.SIGKILL)
            await stack.wait_restarted(name)
            assert stack.pid(name) not in (None, before)
            assert stack.state.parts[name].pid == stack.pid(name), "others find it in stack.json"
            assert any(line.startswith(f"{name} was ended by SIGKILL") for line in said)
        async with await database(stack) as connection:
            await connection.execute("SELECT * FROM kept")
        await temporal_connection(stack.settings())


async def test_a_part_can_be_stopped_and_started_by_hand(tmp_path):
    async with servers(tmp_path / "data") as stack:
        await stack.stop("postgres")
        assert stack.pid("postgres") is None
        with pytest.raises(psycopg.OperationalError):
            await database(stack)
        await stack.start("postgres")
        async with await database(stack) as connection:
            await connection.execute("SELECT 1")
        with pytest.raises(StackError, match="no 'redis' in this stack; there are: postgres, valkey, temporal"):
            await stack.stop("redis")


async def test_a_second_stack_in_one_directory_is_refused_and_the_first_not_disturbed(tmp_path):
    async with servers(tmp_path / "data") as stack:
        with pytest.raises(StackError, match="is running in"):
            async with servers(tmp_path / "data"):
                pytest.fail("it started")
        assert stack.state.load_running(tmp_path / "data").ready
        async with await database(stack) as connection:
            await connection.execute("SELECT 1")


async def test_temporal_is_prepared_once_and_mended_when_it_differs(tmp_path):
    async with servers(tmp_path / "data") as stack:
        settings = stack.settings()
        await bootstrap(settings)
        await bootstrap(settings)
        client = await temporal_connection(settings)

        described = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="default"))
        assert described.config.workflow_execution_retention_ttl.ToTimedelta() == timedelta(days=30)
        listed = await client.operator_service.list_search_attributes(ListSearchAttributesRequest(namespace="default"))
        assert {*search_attributes.KEYWORDS, *search_attributes.TEXTS} <= set(listed.custom_attributes)

        schedule = client.get_schedule_handle("admission-sweep")
        await schedule.pause()

        def too_rarely(update):
            update.description.schedule.spec.intervals[0].every = timedelta(hours=1)
            return ScheduleUpdate(schedule=update.description.schedule)

        await schedule.update(too_rarely)
        await bootstrap(settings)
        mended = (await schedule.describe()).schedule
        assert mended.spec.intervals[0].every == timedelta(seconds=30)
        assert mended.policy.overlap == ScheduleOverlapPolicy.SKIP
        assert mended.state.paused, "what an operator paused stays paused"


async def test_search_attributes_and_a_new_namespace_can_be_used_at_once(tmp_path):
    environment = {"TRAVELHUB_TEMPORAL_NAMESPACE": "trips"}
    async with servers(tmp_path / "data", environment=environment) as stack:
        await bootstrap(stack.settings(), retention_days=7)
        client = await temporal_connection(stack.settings())
        assert client.namespace == "trips"
        attributes = [
            *(SearchAttributePair(SearchAttributeKey.for_keyword(name), "one") for name in search_attributes.KEYWORDS),
            *(SearchAttributePair(SearchAttributeKey.for_text(name), "two three") for name in search_attributes.TEXTS),
        ]
        await client.start_workflow(
            "Any", id="any", task_queue="nobody", search_attributes=TypedSearchAttributes(attributes)
        )


async def test_a_temporal_that_is_away_is_told_in_words(tmp_path):
    async with servers(tmp_path / "data") as stack:
        await stack.stop("temporal")
        with pytest.raises(BootstrapError, match=f"Temporal at {stack.state.temporal_address} cannot be reached"):
            await bootstrap(stack.settings())


async def test_without_an_address_temporals_own_configuration_counts(tmp_path, monkeypatch):
    async with servers(tmp_path / "data") as stack:
        settings = stack.settings().model_copy(update={"temporal_address": None})
        with pytest.raises(SettingsError, match="TRAVELHUB_TEMPORAL_ADDRESS"):
            await temporal_connection(settings)
        monkeypatch.setenv("TEMPORAL_PROFILE", "nowhere")
        with pytest.raises(SettingsError, match="Profile 'nowhere' not found"):
            await temporal_connection(settings)
        monkeypatch.delenv("TEMPORAL_PROFILE")
        monkeypatch.setenv("TEMPORAL_ADDRESS", stack.state.temporal_address)
        client = await temporal_connection(settings)
        assert await client.service_client.check_health()
