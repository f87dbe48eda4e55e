"""The production topology, checked without an engine: whatever it names exists, and what must stay inside stays inside."""

import re
import tomllib
from typing import Any

import jsonschema
import pytest
import typer.main
from check_jsonschema.builtin_schemas import get_builtin_schema
from pydantic import SecretStr
from starlette.routing import Match

from schema.settings import Settings
from tests.house.files import ROOT, VARIABLE, compose, compose_text

SERVERS = {"api", "worker", "temporal", "temporal-ui", "postgres", "valkey"}
JOBS = {"migrate", "bootstrap", "temporal-schema"}
OURS = {"api", "worker", "migrate", "bootstrap"}

REQUIRED = {found["name"] for found in VARIABLE.finditer(compose_text()) if found["operator"] == ":?"}
VALUES = {name: f"placeholder{number}" for number, name in enumerate(sorted(REQUIRED))} | {
    "TRAVELHUB_RAPID_CUSTOMER_IP": "192.0.2.1",
}
SERVICES: dict[str, dict[str, Any]] = compose(VALUES)["services"]


def environment(service: str) -> dict[str, str]:
    return {name: str(value) for name, value in SERVICES[service]["environment"].items()}


@pytest.fixture
def settings(request, monkeypatch) -> Settings:
    """The settings of one of our services, read from exactly the environment that the compose file gives it."""
    for name in Settings.model_fields:
        monkeypatch.delenv(f"TRAVELHUB_{name.upper()}", raising=False)
    for name, value in environment(request.param).items():
        monkeypatch.setenv(name, value)
    return Settings.load()


def test_it_follows_the_compose_specification():
    # Once as it is written and once filled in: a value may be of the right form only after it is filled in.
    validator = jsonschema.Draft202012Validator(get_builtin_schema("vendor.compose-spec"))
    for document in (compose(), compose(VALUES)):
        assert [error.message for error in validator.iter_errors(document)] == []


def test_it_has_the_parts_of_the_topology():
    assert set(SERVICES) == SERVERS | JOBS
    assert SERVICES["temporal"]["environment"]["NUM_HISTORY_SHARDS"] == "512"


@pytest.mark.parametrize("service", sorted(OURS))
def test_its_commands_exist(service):
    import cli  # noqa: PLC0415  # late: every other check here holds without the whole application

    known = typer.main.get_command(cli.app).commands
    command = SERVICES[service]["command"]
    assert command[0] in known
    known[command[0]].make_context(command[0], command[1:])  # raises where it does not take these arguments


@pytest.mark.parametrize("service", sorted(OURS))
def test_its_settings_exist(service):
    fields = {f"TRAVELHUB_{name.upper()}" for name in Settings.model_fields}
    assert {name for name in environment(service) if name not in fields} == set()


@pytest.mark.parametrize("settings", sorted(OURS), indirect=True)
def test_its_settings_are_complete_and_hold_in_production(settings):
    assert settings.environment == "production"
    assert settings.log_format == "json"
    given = settings.model_fields_set
    must = {name for name, field in Settings.model_fields.items() if field.is_required()}
    # A secret with a default is a convenience of the local stack; in production it would be a secret everybody knows.
    must |= {name for name in Settings.model_fields if isinstance(getattr(settings, name), SecretStr)}
    assert must - given == set()


def test_no_secret_has_a_value_in_the_file():
    secret = re.compile(r"PASSWORD|SECRET|TOKEN|_KEY|_PWD")
    for service in compose()["services"].values():
        for name, value in service.get("environment", {}).items():
            if secret.search(name) or name == "REDISCLI_AUTH":
                assert re.fullmatch(r"\$\{[A-Z_]+(:\?[^}]+|-)\}", value), f"{name}: {value}"


def test_the_example_names_each_required_variable_and_gives_none_a_value():
    lines = (ROOT / "ops/travelhub.env.example").read_text().splitlines()
    named = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert named.keys() == REQUIRED
    assert set(named.values()) == {""}
    optional = {found["name"] for found in VARIABLE.finditer(compose_text())} - REQUIRED
    assert {line[1:].split("=", 1)[0] for line in lines if re.match(r"#[A-Z_]+=", line)} == optional


def test_only_the_api_and_the_web_ui_are_reachable_and_only_from_this_host():
    published = {name: service["ports"] for name, service in SERVICES.items() if service.get("ports")}
    assert published.keys() == {"api", "temporal-ui"}
    for ports in published.values():
        for port in ports:
            assert re.fullmatch(r"127\.0\.0\.1:\d+:\d+", port)
    assert not [name for name, service in SERVICES.items() if service.get("network_mode") or service.get("privileged")]


@pytest.mark.parametrize("settings", ["api"], indirect=True)
def test_the_published_port_and_the_health_check_meet_the_api(settings):
    assert [port.rsplit(":", 1)[1] for port in SERVICES["api"]["ports"]] == [str(settings.api_port)]
    assert settings.api_host == "0.0.0.0"  # noqa: S104  # inside the container; the host publishes it on loopback only
    assert f"http://127.0.0.1:{settings.api_port}/" in " ".join(SERVICES["api"]["healthcheck"]["test"])


@pytest.mark.parametrize("settings", ["api"], indirect=True)
def test_the_health_paths_exist(settings):
    from api.app import create_app  # noqa: PLC0415  # late: every other check here holds without the whole application

    routes = create_app(settings).routes

    def served(path: str) -> bool:
        request = {"type": "http", "method": "GET", "path": path, "root_path": "", "headers": []}
        return any(route.matches(request)[0] is Match.FULL for route in routes)

    assert not served("/health/nonsense"), "a route for everything would make this test say yes to anything"
    asked = set(re.findall(r"/health/[a-z]+", compose_text()))
    assert asked
    assert [path for path in asked | {"/health/live", "/health/ready", "/health/startup"} if not served(path)] == []


def test_everything_it_mounts_exists():
    volumes = compose()["volumes"]
    for service in SERVICES.values():
        for mount in service.get("volumes", []):
            source, _, rest = mount.partition(":")
            if source.startswith("."):
                assert (ROOT / source).is_file()
                assert rest.endswith(":ro")
            else:
                assert source in volumes
    server = SERVICES["temporal"]
    assert any(f":{server['environment']['DYNAMIC_CONFIG_FILE_PATH']}:" in mount for mount in server["volumes"])


def test_nothing_waits_for_a_state_that_cannot_come():
    for name, service in SERVICES.items():
        for needed, how in service.get("depends_on", {}).items():
            if how["condition"] == "service_healthy":
                assert "healthcheck" in SERVICES[needed], f"{name} waits for {needed}, which has no health check"
            else:
                assert how["condition"] == "service_completed_successfully"
                assert needed in JOBS, f"{name} waits for {needed} to end, which it never does"


def test_servers_and_jobs_start_again_are_bounded_and_keep_their_logs_short():
    for name, service in SERVICES.items():
        assert re.fullmatch("unless-stopped" if name in SERVERS else r"on-failure:\d+", service["restart"])
        assert {"cpus", "memory"} <= service["deploy"]["resources"]["limits"].keys()
        assert {"max-size", "max-file"} <= service["logging"]["options"].keys()
        assert "healthcheck" in service or name in JOBS | {"worker"}, f"{name} serves, so it has a health check"
        assert re.search(r":[\w.-]+$", service["image"]), f"{name} names the version of its image"
        assert not service["image"].endswith(":latest")


def test_our_containers_can_do_little_else():
    for service in (SERVICES[name] for name in OURS):
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]


def test_the_image_is_built_from_what_exists_and_is_sent():
    dockerfile = (ROOT / "Dockerfile").read_text()
    sent = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source.removeprefix("./")
        for line in re.findall(r"^COPY (?!--from)(.+)$", dockerfile, re.M)
        for source in line.split()[:-1]
    }
    assert copied == sent
    assert [name for name in copied if not (ROOT / name).exists()] == []
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    entry = re.search(r'^ENTRYPOINT \["([a-z]+)"\]$', dockerfile, re.M)
    assert entry
    assert entry[1] in scripts
    user = re.findall(r"^USER (\S+)$", dockerfile, re.M)
    assert user
    assert not user[-1].startswith(("0", "root"))
